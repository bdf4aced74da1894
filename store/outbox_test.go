package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/store"
)

func seqs(t testing.TB, db *store.DB, sender string, limit int) []int64 {
	t.Helper()
	pending, err := db.Outbox.Pending(t.Context(), sender, limit)
	must(t, err)
	out := []int64{}
	for _, q := range pending {
		out = append(out, q.Seq)
	}
	return out
}

// fill writes n events to the outbox.
func fill(t testing.TB, db *store.DB, l ctwatch.Log, from, n int) {
	t.Helper()
	b := ctwatch.Batch{Log: l.ID}
	for i := from; i < from+n; i++ {
		b.Found = append(b.Found, found(l, i, uint64(i)))
	}
	must(t, db.Logs.Record(t.Context(), b, 0))
}

// TestSenderCursors: each sender has a cursor of its own.
func TestSenderCursors(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	must(t, db.Outbox.Register(t.Context(), "a"))
	fill(t, db, l, 0, 5)
	must(t, db.Outbox.Register(t.Context(), "b")) // at the same time as a: it misses nothing
	must(t, db.Outbox.SetDelivered(t.Context(), "a", 1))
	must(t, db.Outbox.SetDelivered(t.Context(), "a", 3))
	must(t, db.Outbox.SetDelivered(t.Context(), "a", 2)) // never back
	must(t, db.Outbox.Register(t.Context(), "a"))        // nor by registering again
	if diff := cmp.Diff([]int64{4, 5}, seqs(t, db, "a", 10)); diff != "" {
		t.Errorf("pending for a (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int64{1, 2}, seqs(t, db, "b", 2)); diff != "" {
		t.Errorf("pending for b (-want +got):\n%s", diff)
	}
	if _, err := db.Outbox.Pending(t.Context(), "c", 1); err == nil {
		t.Error("a sender that is not registered has events pending")
	}
	if err := db.Outbox.SetDelivered(t.Context(), "c", 1); err == nil {
		t.Error("a sender that is not registered delivered")
	}
}

// TestSkippingIsNoSuccess: a sender that skips events has not delivered anything.
func TestSkippingIsNoSuccess(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	must(t, db.Outbox.Register(t.Context(), "a"))
	fill(t, db, l, 0, 3)
	must(t, db.Outbox.SetFailing(t.Context(), "a", "refused"))
	must(t, db.Outbox.SkipTo(t.Context(), "a", 2))
	if diff := cmp.Diff([]int64{3}, seqs(t, db, "a", 10)); diff != "" {
		t.Errorf("pending (-want +got):\n%s", diff)
	}
	s, err := db.Senders.List(t.Context())
	must(t, err)
	if len(s) != 1 || s[0].LastSuccess != nil || s[0].LastError != "refused" {
		t.Errorf("status %+v", s)
	}
	if err := db.Outbox.SkipTo(t.Context(), "b", 1); err == nil {
		t.Error("a sender that is not registered passed")
	}
}

// TestLaterSenderStartsAtEnd: a sender that is added later starts after the newest
// event.
func TestLaterSenderStartsAtEnd(t *testing.T) {
	c := newClock()
	db := openAt(t, t.TempDir()+"/ctwatch.db", c)
	l := started(t, db, 1)
	must(t, db.Outbox.Register(t.Context(), "a"))
	fill(t, db, l, 0, 3)
	c.Add(time.Hour)
	must(t, db.Outbox.Register(t.Context(), "b"))
	if got := seqs(t, db, "b", 10); len(got) > 0 {
		t.Errorf("pending %v for a sender that came later", got)
	}
	// Also when they are gone.
	must(t, db.Outbox.SetDelivered(t.Context(), "a", 3))
	_, err := db.Outbox.Prune(t.Context(), c.Now())
	must(t, err)
	must(t, db.Outbox.Register(t.Context(), "c"))
	fill(t, db, l, 10, 1)
	for _, s := range []string{"a", "b", "c"} {
		if diff := cmp.Diff([]int64{4}, seqs(t, db, s, 10)); diff != "" {
			t.Errorf("pending for %s (-want +got):\n%s", s, diff)
		}
	}
}

func TestSenderStatus(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	must(t, db.Outbox.Register(t.Context(), "a"))
	must(t, db.Outbox.Register(t.Context(), "b"))
	fill(t, db, l, 0, 5)
	must(t, db.Outbox.SetFailing(t.Context(), "a", "503"))
	must(t, db.Outbox.SetFailing(t.Context(), "a", "504"))
	must(t, db.Outbox.SetFailing(t.Context(), "b", "503"))
	must(t, db.Outbox.SetDeadLetter(t.Context(), "b", 1, "too large"))
	must(t, db.Outbox.SetDeadLetter(t.Context(), "b", 1, "too large"))
	must(t, db.Outbox.SetDelivered(t.Context(), "b", 2))
	got, err := db.Senders.List(t.Context())
	must(t, err)
	at := epoch
	want := []ctwatch.SenderStatus{
		{Name: "a", RegisteredAt: epoch, Backlog: 5, OldestPending: &at, LastError: "504", Attempts: 2, Warnings: []ctwatch.SenderWarning{}},
		{Name: "b", RegisteredAt: epoch, Backlog: 3, OldestPending: &at, DeadLetters: 1, LastSuccess: &at, Warnings: []ctwatch.SenderWarning{}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	dead, err := db.Outbox.DeadLetters(t.Context(), "b", 0)
	must(t, err)
	if len(dead) != 1 || dead[0].Reason != "too large" || dead[0].Event.Type != ctwatch.CertificateIssued {
		t.Errorf("dead letters %+v", dead)
	}
}

// TestKnownEventLeavesNoGap: an event that is there already leaves no gap in seq.
func TestKnownEventLeavesNoGap(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	must(t, db.Outbox.Register(t.Context(), "a"))
	fill(t, db, l, 0, 1)
	must(t, db.Outbox.Add(t.Context(), events(t, db)[0]))
	fill(t, db, l, 1, 1)
	if diff := cmp.Diff([]int64{1, 2}, seqs(t, db, "a", 10)); diff != "" {
		t.Errorf("pending (-want +got):\n%s", diff)
	}
}

// TestPrune: it deletes old events that all senders in use have passed.
func TestPrune(t *testing.T) {
	c := newClock()
	db := openAt(t, t.TempDir()+"/ctwatch.db", c)
	db.SetPruneStep(10)
	l := started(t, db, 1)
	fill(t, db, l, 0, 25)
	prune := func(want int64) {
		t.Helper()
		got, err := db.Outbox.Prune(t.Context(), c.Now().Add(-time.Minute))
		must(t, err)
		if got != want {
			t.Errorf("%d events were deleted, want %d", got, want)
		}
	}
	c.Add(time.Hour)
	prune(0) // there is no sender
	for _, s := range []string{"a", "b", "gone"} {
		must(t, db.Outbox.Register(t.Context(), s))
	}
	fill(t, db, l, 25, 10) // young
	must(t, db.Outbox.SetDelivered(t.Context(), "a", 35))
	must(t, db.Outbox.SetDelivered(t.Context(), "b", 2))
	prune(0) // for one that was removed
	db.Outbox.Unregister("gone")
	prune(2)
	must(t, db.Outbox.SetDelivered(t.Context(), "b", 30))
	prune(23)
	prune(0)
	c.Add(time.Hour)
	prune(5)
}

func BenchmarkPending(b *testing.B) {
	db := open(b)
	l := started(b, db, 1)
	must(b, db.Outbox.Register(b.Context(), "a"))
	for i := range 50 {
		var fs []ctwatch.Found
		for j := range 100 {
			n := 100*i + j
			fs = append(fs, found(l, n, uint64(n)))
		}
		record(b, db, l, uint64(100*i+100), fs...)
	}
	b.ReportAllocs()
	for b.Loop() {
		got, err := db.Outbox.Pending(context.Background(), "a", 100)
		if err != nil || len(got) != 100 {
			b.Fatal(len(got), err)
		}
	}
}
