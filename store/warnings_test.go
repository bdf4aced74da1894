package store_test

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
)

// What is wrong with a sender is shown once for each code, with how often it was, until it is
// resolved or long ago.
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

// A note lasts until there is another.
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

// A secret is the same after a restart, and another for another purpose and database.
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
