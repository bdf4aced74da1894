package store_test

import (
	"path/filepath"
	"testing"
	"time"

	"ctwatch/store"
)

func TestThreadsAreRememberedForEachSenderUntilTheyAreOld(t *testing.T) {
	c := newClock()
	db := openAt(t, filepath.Join(t.TempDir(), "ctwatch.db"), c)
	db.SetPruneStep(2)
	a, b := db.Senders.Threads("a"), db.Senders.Threads("b")
	want := func(s *store.Threads, key, channel, ts string) {
		t.Helper()
		gotChannel, gotTS, ok, err := s.Thread(t.Context(), key)
		must(t, err)
		if gotChannel != channel || gotTS != ts || ok != (ts != "") {
			t.Errorf("%s: %q, %q, %v; want %q, %q", key, gotChannel, gotTS, ok, channel, ts)
		}
	}
	for _, key := range []string{"1", "2", "3", "4", "5"} {
		must(t, a.SetThread(t.Context(), key, "C1", "1.1"))
	}
	must(t, a.SetThread(t.Context(), "1", "C2", "2.2"))
	want(a, "1", "C2", "2.2")
	want(a, "2", "C1", "1.1")
	want(a, "6", "", "")
	want(b, "1", "", "")

	c.Add(399 * 24 * time.Hour)
	must(t, b.SetThread(t.Context(), "1", "C3", "3.3"))
	must(t, a.SetThread(t.Context(), "2", "C1", "1.1")) // to be kept for longer
	want(a, "1", "C2", "2.2")
	c.Add(48 * time.Hour)
	want(a, "1", "", "")
	_, err := db.Outbox.Prune(t.Context(), c.Now())
	must(t, err)
	var n int
	must(t, db.Reader().QueryRow(`SELECT count(*) FROM threads`).Scan(&n))
	if n != 2 {
		t.Errorf("%d threads are left, want 2", n)
	}
	want(a, "2", "C1", "1.1")
	want(b, "1", "C3", "3.3")
}
