package store_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/store"
)

// TestMalformedRowsAreBounded: however many entries and reasons a log makes up, rows and
// events stay bounded.
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
		must(t, db.Logs.Record(t.Context(), b, at))
		c.Add(time.Hour)
	}
	if n := rows(); n > 21*2000 || n < 1000 {
		t.Errorf("%d rows", n)
	}
	reported, listed := 0, map[string]uint64{}
	for _, e := range events(t, db) {
		reported++
		listed[e.Data.Summary[max(0, len(e.Data.Summary)-30):]] += uint64(max(1, len(e.Data.Indexes))) + e.Data.MoreEntries
	}
	var all uint64
	for _, n := range listed {
		all += n
	}
	if reported != 21+2 || all != at {
		t.Errorf("%d events about %d of %d entries", reported, all, at)
	}
}

// TestMigrateBoundsMalformedRows: of an older database those rows stay that were not
// reported yet, and those that were reported last; the former are reported.
func TestMigrateBoundsMalformedRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	w, err := sql.Open("sqlite", path)
	must(t, err)
	steps := store.Migrations()
	before := slices.IndexFunc(steps, func(m store.Migration) bool { return strings.Contains(store.SQL(m), "CREATE TABLE malformed_reasons") })
	must(t, store.Migrate(t.Context(), w, steps[:before]))
	l := testLog(1)
	_, err = w.Exec(`INSERT INTO logs (id, name, operator, kind, state, url, submission_url, key) VALUES (?, ?, 'Lab', 'static', 'usable', '', '', x'')`, l.ID[:], l.Name)
	must(t, err)
	for i, toldAt := range []any{1000, 1000, 2000, nil} {
		h := hash(i)
		_, err := w.Exec(`INSERT INTO malformed (log, entry, leaf_hash, reason, seen_at, told_at) VALUES (1, ?, ?, 'odd', 0, ?)`, i, h[:], toldAt)
		must(t, err)
	}
	must(t, w.Close())

	db := openAt(t, path, newClock())
	var n int
	must(t, db.Reader().QueryRow(`SELECT count(*) FROM malformed`).Scan(&n))
	if n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
	started(t, db, 1)
	must(t, db.Logs.Record(t.Context(), ctwatch.Batch{Log: l.ID, End: 4}, 4))
	es := events(t, db)
	if len(es) != 1 || es[0].Data.Index == nil || *es[0].Data.Index != 3 {
		t.Errorf("events %v", types(es))
	}
}
