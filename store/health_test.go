package store_test

import (
	"testing"
	"time"

	"ctwatch/ctwatch"
)

// TestHealthReportedOnChange: that a log is unhealthy or healthy is reported when it
// changes.
func TestHealthReportedOnChange(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	must(t, db.Logs.AddHead(t.Context(), l.ID, head(5)))
	healthy := func() bool {
		t.Helper()
		logs, err := db.Logs.List(t.Context())
		must(t, err)
		return logs[0].Healthy
	}
	must(t, db.Logs.SetHealthy(t.Context(), l.ID)) // it was well all along
	if !healthy() || len(eventsOf(t, db, ctwatch.LogRecovered)) != 0 {
		t.Error("a log that was well has recovered")
	}
	for episode := 1; episode <= 2; episode++ {
		must(t, db.Logs.SetUnhealthy(t.Context(), l.ID, "away"))
		must(t, db.Logs.SetUnhealthy(t.Context(), l.ID, "still away"))
		if e := eventsOf(t, db, ctwatch.LogUnhealthy); healthy() || len(e) != episode || e[0].Data.Log.Healthy {
			t.Errorf("healthy %v, reported %d times in episode %d", healthy(), len(e), episode)
		}
		p, err := db.Logs.Follow(t.Context(), l)
		must(t, err)
		if p.Unhealthy != "still away" {
			t.Errorf("progress says %q", p.Unhealthy)
		}
		must(t, db.Logs.SetHealthy(t.Context(), l.ID))
		must(t, db.Logs.SetHealthy(t.Context(), l.ID))
		if e := eventsOf(t, db, ctwatch.LogRecovered); !healthy() || len(e) != episode || !e[0].Data.Log.Healthy {
			t.Errorf("healthy %v, reported %d times in episode %d", healthy(), len(e), episode)
		}
	}
}

// TestUnfollowReportsGap: entries of an unfollowed log that were not read are a gap.
func TestUnfollowReportsGap(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	must(t, db.Logs.AddHead(t.Context(), l.ID, head(100)))
	must(t, db.Logs.Record(t.Context(), ctwatch.Batch{Log: l.ID, Start: 0, End: 40}, 40))
	for range 2 { // the same gap is reported once
		must(t, db.Logs.Unfollow(t.Context(), l.ID, "gone"))
	}
	gaps := eventsOf(t, db, ctwatch.WatchGap)
	if len(gaps) != 1 || *gaps[0].Data.Start != 40 || *gaps[0].Data.End != 100 {
		t.Fatalf("gaps: %+v", gaps)
	}
	must(t, db.Logs.Record(t.Context(), ctwatch.Batch{Log: l.ID, Start: 40, End: 100}, 100))
	must(t, db.Logs.Unfollow(t.Context(), l.ID, "gone"))
	if gaps := eventsOf(t, db, ctwatch.WatchGap); len(gaps) != 1 {
		t.Errorf("a log that was read to its end left a gap")
	}
}

// TestMalformedReportedHourly: malformed entries are reported once an hour for each
// reason.
func TestMalformedReportedHourly(t *testing.T) {
	c := newClock()
	db := openAt(t, t.TempDir()+"/ctwatch.db", c)
	l := started(t, db, 1)
	at := uint64(0)
	record := func(reasons ...string) {
		t.Helper()
		b := ctwatch.Batch{Log: l.ID, Start: at, End: at + uint64(len(reasons))}
		for _, r := range reasons {
			if r != "" {
				b.Malformed = append(b.Malformed, ctwatch.Malformed{Index: at, LeafHash: hash("leaf", at), Reason: r})
			}
			at++
		}
		must(t, db.Logs.Record(t.Context(), b, at))
	}
	check := func(want ...int) {
		t.Helper()
		var got []int
		for _, e := range eventsOf(t, db, ctwatch.EntryMalformed) {
			got = append(got, max(1, len(e.Data.Indexes)))
		}
		if len(got) != len(want) {
			t.Fatalf("reported %v entries, want %v", got, want)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("reported %v entries, want %v", got, want)
			}
		}
	}
	record("a", "a", "", "b")
	check(2, 1)
	record("a", "b", "a")
	check(2, 1)
	c.Add(30 * time.Minute)
	record("c", "a")
	check(2, 1, 1)
	c.Add(31 * time.Minute)
	record("") // an hour after the first: what was held back is reported
	check(2, 1, 1, 3, 1)
	c.Add(2 * time.Hour)
	record("", "")
	check(2, 1, 1, 3, 1)
}
