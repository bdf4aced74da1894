package store_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/store"
)

// pendingEvents returns what is pending, and checks that its seqs grow.
func pendingEvents(t testing.TB, db *store.DB, sender string, limit int) (out []ctwatch.Queued) {
	t.Helper()
	out, err := db.Outbox.Pending(t.Context(), sender, limit)
	must(t, err)
	for i := 1; i < len(out); i++ {
		if out[i].Seq <= out[i-1].Seq {
			t.Errorf("seqs do not grow: %d after %d", out[i].Seq, out[i-1].Seq)
		}
	}
	return out
}

// indexes identifies events by fill.
func indexes(queued []ctwatch.Queued) []int {
	out := []int{}
	for _, q := range queued {
		out = append(out, int(q.Event.Data.Certificate.Sightings[0].Index))
	}
	return out
}

// deliver takes all that waits for a sender, in batches, as a dispatcher does.
func deliver(t testing.TB, db *store.DB, sender string, batch int) []int {
	t.Helper()
	out := []int{}
	for {
		queued := pendingEvents(t, db, sender, batch)
		if len(queued) == 0 {
			return out
		}
		out = append(out, indexes(queued)...)
		for _, q := range queued {
			must(t, db.Outbox.SetDelivered(t.Context(), sender, q.Seq))
		}
	}
}

func replay(t testing.TB, db *store.DB, sender string, r store.Replay, want int64) {
	t.Helper()
	n, err := db.Outbox.Replay(t.Context(), sender, r)
	must(t, err)
	if n != want {
		t.Errorf("%d events were put before it, want %d", n, want)
	}
}

func deadLetters(t testing.TB, db *store.DB, sender string) []int64 {
	t.Helper()
	all, err := db.Outbox.DeadLetters(t.Context(), sender, 0)
	must(t, err)
	out := []int64{}
	for _, d := range all {
		out = append(out, d.Seq)
	}
	return out
}

func wantEqual(t testing.TB, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// withDead opens a database with ten events, which a is done with but for the last
// two; three are dead letters of it.
func withDead(t testing.TB, path string, c *clock) *store.DB {
	t.Helper()
	db := openAt(t, path, c)
	l := started(t, db, 1)
	must(t, db.Outbox.Register(t.Context(), "a"))
	must(t, db.Outbox.Register(t.Context(), "b"))
	fill(t, db, l, 0, 5)
	c.Add(time.Hour)
	fill(t, db, l, 5, 5)
	for _, seq := range []int64{2, 4, 7} {
		must(t, db.Outbox.SetDelivered(t.Context(), "a", seq-1))
		must(t, db.Outbox.SetDeadLetter(t.Context(), "a", seq, "too large"))
	}
	must(t, db.Outbox.SetDelivered(t.Context(), "a", 8))
	must(t, db.Outbox.SetDelivered(t.Context(), "b", 10))
	return db
}

// TestReplayDeadLetters: dead letters are replayed to their sender alone.
func TestReplayDeadLetters(t *testing.T) {
	db := withDead(t, filepath.Join(t.TempDir(), "ctwatch.db"), newClock())
	all, err := db.Outbox.DeadLetters(t.Context(), "a", 2)
	must(t, err)
	if len(all) != 2 || all[0].Seq != 7 || all[0].Reason != "too large" || all[0].Event.Type != ctwatch.CertificateIssued || !all[0].At.Equal(epoch.Add(time.Hour)) {
		t.Fatalf("dead letters %+v", all)
	}
	replay(t, db, "a", store.Replay{}, 3)
	replay(t, db, "a", store.Replay{}, 0)
	replay(t, db, "b", store.Replay{}, 0)
	wantEqual(t, "dead letters", []int64{}, deadLetters(t, db, "a"))
	s, err := db.Senders.List(t.Context())
	must(t, err)
	if s[0].Backlog != 5 || s[0].DeadLetters != 0 || s[1].Backlog != 0 || s[1].OldestPending != nil {
		t.Errorf("status %+v", s)
	}
	wantEqual(t, "delivered", []int{1, 3, 6, 8, 9}, deliver(t, db, "a", 2))
	wantEqual(t, "delivered to another", []int{}, deliver(t, db, "b", 2))
	wantEqual(t, "dead letters", []int64{}, deadLetters(t, db, "a"))
}

// TestReplayedEventFailsAgain: an event that fails again is a dead letter again.
func TestReplayedEventFailsAgain(t *testing.T) {
	db := withDead(t, filepath.Join(t.TempDir(), "ctwatch.db"), newClock())
	replay(t, db, "a", store.Replay{Seq: 4}, 1)
	wantEqual(t, "dead letters", []int64{7, 2}, deadLetters(t, db, "a"))
	queued := pendingEvents(t, db, "a", 10)
	wantEqual(t, "pending", []int{3}, indexes(queued))
	must(t, db.Outbox.SetDeadLetter(t.Context(), "a", queued[0].Seq, "still too large"))
	all, err := db.Outbox.DeadLetters(t.Context(), "a", 0)
	must(t, err)
	if len(all) != 3 || all[1].Seq != 4 || all[1].Reason != "still too large" {
		t.Errorf("dead letters %+v", all)
	}
	wantEqual(t, "delivered after it", []int{8, 9}, deliver(t, db, "a", 10))
	replay(t, db, "a", store.Replay{}, 3)
	wantEqual(t, "delivered", []int{1, 3, 6}, deliver(t, db, "a", 10))
}

func TestReplaySince(t *testing.T) {
	c := newClock()
	db := withDead(t, filepath.Join(t.TempDir(), "ctwatch.db"), c)
	replay(t, db, "a", store.Replay{Since: epoch.Add(time.Minute)}, 3) // and two wait anyway
	wantEqual(t, "dead letters", []int64{4, 2}, deadLetters(t, db, "a"))
	// More is asked for while a batch is under way.
	under := pendingEvents(t, db, "a", 1)
	wantEqual(t, "pending", []int{5}, indexes(under))
	replay(t, db, "a", store.Replay{Since: epoch}, 5)
	must(t, db.Outbox.SetDelivered(t.Context(), "a", under[0].Seq))
	wantEqual(t, "delivered", []int{6, 7, 0, 1, 2, 3, 4, 8, 9}, deliver(t, db, "a", 3))
	wantEqual(t, "dead letters", []int64{}, deadLetters(t, db, "a"))
	replay(t, db, "a", store.Replay{Since: epoch.Add(2 * time.Hour)}, 0)
	replay(t, db, "b", store.Replay{Since: epoch}, 10)
}

// TestReplayBesideDelivery: a replay by a command does not disturb a delivery under way.
func TestReplayBesideDelivery(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	db := withDead(t, path, newClock())
	under := pendingEvents(t, db, "a", 10)
	before := revision(t, db)
	replay(t, shared(t, path), "a", store.Replay{Since: epoch}, 8)
	if revision(t, db) == before {
		t.Error("the daemon cannot notice it")
	}
	for _, q := range under {
		must(t, db.Outbox.SetDelivered(t.Context(), "a", q.Seq))
	}
	wantEqual(t, "delivered", []int{0, 1, 2, 3, 4, 5, 6, 7}, deliver(t, db, "a", 5))
}

// TestSenderWakesAfterReplay: a sender that is done with a replay continues with what is
// pending.
func TestSenderWakesAfterReplay(t *testing.T) {
	woken := 0
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "ctwatch.db"), store.Options{Logger: discard(), OnEvents: func() { woken++ }})
	must(t, err)
	defer db.Close()
	l := started(t, db, 1)
	must(t, db.Outbox.Register(t.Context(), "a"))
	fill(t, db, l, 0, 3)
	must(t, db.Outbox.SetDelivered(t.Context(), "a", 2))
	wantWoken := func(what string, want int) {
		t.Helper()
		if woken != want {
			t.Errorf("%s: woken %d times, want %d", what, woken, want)
		}
	}
	wantWoken("written", 1)
	replay(t, db, "a", store.Replay{Since: epoch}, 2)
	wantWoken("put before it", 2)
	queued := pendingEvents(t, db, "a", 10)
	must(t, db.Outbox.SetDelivered(t.Context(), "a", queued[0].Seq))
	wantWoken("one is delivered", 2)
	must(t, db.Outbox.SetDeadLetter(t.Context(), "a", queued[1].Seq, ""))
	wantWoken("all are done with, and others wait", 3)
}

// TestReplaySurvivesCrash: a replay and its events survive a crash.
func TestReplaySurvivesCrash(t *testing.T) {
	path, c := filepath.Join(t.TempDir(), "ctwatch.db"), newClock()
	db := withDead(t, path, c)
	c.Add(time.Hour)
	prune := func(want int64) {
		t.Helper()
		n, err := db.Outbox.Prune(t.Context(), c.Now())
		must(t, err)
		if n != want {
			t.Errorf("%d events were deleted, want %d", n, want)
		}
	}
	replay(t, db, "a", store.Replay{Since: epoch.Add(time.Minute)}, 3)
	must(t, db.Crash())
	db = openAt(t, path, c)
	must(t, db.Outbox.Register(t.Context(), "a"))
	prune(5) // those that wait for a again stay
	wantEqual(t, "delivered", []int{5, 6, 7, 8, 9}, deliver(t, db, "a", 2))
	prune(5)
	replay(t, db, "a", store.Replay{}, 2) // which are no longer in the outbox
	wantEqual(t, "delivered", []int{1, 3}, deliver(t, db, "a", 10))
}

// TestPruneIgnoresUnusedReplay: the replay of a sender that is not in use keeps no
// events.
func TestPruneIgnoresUnusedReplay(t *testing.T) {
	c := newClock()
	db := withDead(t, filepath.Join(t.TempDir(), "ctwatch.db"), c)
	c.Add(time.Hour)
	must(t, db.Outbox.SetDelivered(t.Context(), "a", 10))
	replay(t, db, "a", store.Replay{Since: epoch}, 10)
	db.Outbox.Unregister("a")
	n, err := db.Outbox.Prune(t.Context(), c.Now())
	must(t, err)
	if n != 10 {
		t.Errorf("%d events were deleted, want all", n)
	}
	wantEqual(t, "delivered", []int{1, 3, 6}, deliver(t, db, "a", 10)) // its dead letters
	s, err := db.Senders.List(t.Context())
	must(t, err)
	if s[0].Backlog != 0 {
		t.Errorf("%d events wait", s[0].Backlog)
	}
}

// TestRefusedReplays: invalid replays change nothing.
func TestRefusedReplays(t *testing.T) {
	db := withDead(t, filepath.Join(t.TempDir(), "ctwatch.db"), newClock())
	for _, c := range []struct {
		sender string
		replay store.Replay
		want   error
	}{
		{"nobody", store.Replay{}, store.ErrNoSender},
		{"nobody", store.Replay{Since: epoch}, store.ErrNoSender},
		{"a", store.Replay{Seq: 3}, ctwatch.ErrNotFound},
		{"a", store.Replay{Seq: -1}, ctwatch.ErrNotFound},
		{"b", store.Replay{Seq: 2}, ctwatch.ErrNotFound},
	} {
		if n, err := db.Outbox.Replay(t.Context(), c.sender, c.replay); !errors.Is(err, c.want) || n != 0 {
			t.Errorf("%s, %+v: %d, error %v, want %v", c.sender, c.replay, n, err, c.want)
		}
	}
	if _, err := db.Outbox.Replay(t.Context(), "a", store.Replay{Seq: 2, Since: epoch}); err == nil {
		t.Error("one dead letter, and all events since a time")
	}
	if _, err := db.Outbox.DeadLetters(t.Context(), "nobody", 0); !errors.Is(err, store.ErrNoSender) {
		t.Errorf("dead letters of nobody: %v", err)
	}
	wantEqual(t, "dead letters", []int64{7, 4, 2}, deadLetters(t, db, "a"))
}
