package store_test

import (
	"fmt"
	"testing"
	"time"

	"ctwatch/ctwatch"
)

// TestMalformedRowsAreBounded: a log that serves entries nobody can parse, for as many
// reasons as it likes, makes no more than so many rows, and no more than so many events
// an hour.
func TestMalformedRowsAreBounded(t *testing.T) {
	c := newClock()
	db := openAt(t, t.TempDir()+"/ctwatch.db", c)
	l := started(t, db, 1)
	const reasons, each = 60, 1200
	at := uint64(0)
	rows := func() (n int) {
		must(t, db.Reader().QueryRow(`SELECT count(*) FROM malformed`).Scan(&n))
		return n
	}
	for hour := range 3 {
		b := ctwatch.Batch{Log: l.ID}
		for i := range each * reasons / 10 {
			reason := fmt.Sprintf("odd %d", i%reasons)
			if hour > 0 {
				reason = "odd 3" // by now only one
			}
			b.Malformed = append(b.Malformed, ctwatch.Malformed{Index: at, LeafHash: hash(at), Reason: reason})
			at++
		}
		b.End = at
		must(t, db.Record(t.Context(), b, at))
		c.Add(time.Hour)
	}
	if n := rows(); n > 21*2000 || n < 1000 {
		t.Errorf("%d rows", n)
	}
	told, listed := 0, map[string]uint64{}
	for _, e := range events(t, db) {
		told++
		listed[e.Data.Summary[max(0, len(e.Data.Summary)-30):]] += uint64(max(1, len(e.Data.Indexes))) + e.Data.MoreEntries
	}
	var all uint64
	for _, n := range listed {
		all += n
	}
	if told != 21+2 || all != at {
		t.Errorf("%d events about %d of %d entries", told, all, at)
	}
}
