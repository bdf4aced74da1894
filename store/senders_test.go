package store_test

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/store"
)

// TestSenderWarnings: a problem of a sender is shown once for each code, with a count,
// until it is resolved or old.
func TestSenderWarnings(t *testing.T) {
	c := newClock()
	db := openAt(t, filepath.Join(t.TempDir(), "ctwatch.db"), c)
	must(t, db.Senders.AddWarning(t.Context(), "nats", "planted_message", "one"))
	c.Add(time.Hour)
	must(t, db.Senders.AddWarning(t.Context(), "nats", "planted_message", "two\xff"))
	must(t, db.Senders.AddWarning(t.Context(), "nats", "stream", "limits"))
	must(t, db.Senders.AddWarning(t.Context(), "other", "stream", "limits"))
	must(t, db.Senders.ResolveWarning(t.Context(), "other", "stream"))
	must(t, db.Senders.ResolveWarning(t.Context(), "other", "never said"))
	must(t, db.Outbox.Register(t.Context(), "nats"))
	must(t, db.Outbox.Register(t.Context(), "other"))
	got, err := db.Senders.List(t.Context())
	must(t, err)
	want := []ctwatch.SenderWarning{
		{Code: "planted_message", Text: "two\uFFFD", Since: epoch, Last: epoch.Add(time.Hour), Times: 2},
		{Code: "stream", Text: "limits", Since: epoch.Add(time.Hour), Last: epoch.Add(time.Hour), Times: 1},
	}
	if diff := cmp.Diff(want, got[0].Warnings); diff != "" {
		t.Error(diff)
	}
	if len(got[1].Warnings) > 0 {
		t.Errorf("a resolved warning: %+v", got[1])
	}
	c.Add(91 * 24 * time.Hour)
	if got, err = db.Senders.List(t.Context()); err != nil || len(got[0].Warnings) > 0 {
		t.Errorf("after 91 days: %+v, %v", got, err)
	}
}

// TestSenderNotes: a note lasts until there is another.
func TestSenderNotes(t *testing.T) {
	db := open(t)
	for _, want := range []string{"", "one", "two"} {
		if want != "" {
			must(t, db.Senders.SetNote(t.Context(), "nats", want))
		}
		if got, err := db.Senders.Note(t.Context(), "nats"); err != nil || got != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	if got, err := db.Senders.Note(t.Context(), "other"); err != nil || got != "" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestSecretsLast: a secret is the same after a restart, and differs by purpose and
// database.
func TestSecretsLast(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	db := openAt(t, path, newClock())
	first, err := db.Senders.Secret(t.Context(), "nats")
	must(t, err)
	other, err := db.Senders.Secret(t.Context(), "other")
	must(t, err)
	must(t, db.Close())
	again, err := openAt(t, path, newClock()).Senders.Secret(t.Context(), "nats")
	must(t, err)
	elsewhere, err := open(t).Senders.Secret(t.Context(), "nats")
	must(t, err)
	if len(first) != 32 || !bytes.Equal(first, again) || bytes.Equal(first, other) || bytes.Equal(first, elsewhere) {
		t.Errorf("%x, then %x; for another purpose %x, in another database %x", first, again, other, elsewhere)
	}
}

// TestThreads: threads are remembered for each sender until they are old.
func TestThreads(t *testing.T) {
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
