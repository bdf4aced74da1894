package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/pins"
	"ctwatch/store"
)

// TestShipped: what the supported versions of apps ship is listed until a version is
// dropped.
func TestShipped(t *testing.T) {
	db := open(t)
	file := func(version, content string) pins.ShippedFile {
		return pins.ShippedFile{App: "shop", Version: version, Format: "android", Name: "n.xml", Content: []byte(content), By: "ada"}
	}
	shipped := func() []pins.ShippedFile {
		t.Helper()
		out, err := db.Apps.Shipped(t.Context())
		must(t, err)
		return out
	}
	at := func(s pins.ShippedFile) pins.ShippedFile {
		s.ImportedAt = epoch
		return s
	}
	must(t, db.Apps.Import(t.Context(), file("5.1", "one")))
	must(t, db.Apps.Import(t.Context(), file("5.2", "two")))
	writesNothing(t, db, "the same file", func() { must(t, db.Apps.Import(t.Context(), file("5.1", "one"))) })
	rev := revision(t, db)
	must(t, db.Apps.Import(t.Context(), file("5.1", "corrected")))
	if revision(t, db) <= rev {
		t.Error("the revision did not grow")
	}
	want := []pins.ShippedFile{at(file("5.2", "two")), at(file("5.1", "corrected"))}
	if diff := cmp.Diff(want, shipped()); diff != "" {
		t.Errorf("shipped (-want +got):\n%s", diff)
	}
	must(t, db.Apps.DropVersion(t.Context(), "shop", "5.2", "ada", "nobody runs it"))
	if got := shipped(); len(got) != 1 || got[0].Version != "5.1" {
		t.Errorf("after 5.2 was dropped: %+v", got)
	}
	for _, v := range []string{"5.2", "9"} {
		if err := db.Apps.DropVersion(t.Context(), "shop", v, "ada", ""); !errors.Is(err, ctwatch.ErrNotFound) {
			t.Errorf("dropping %s: %v", v, err)
		}
	}
	must(t, db.Apps.Import(t.Context(), file("5.2", "two")))
	if got := shipped(); len(got) != 2 {
		t.Errorf("5.2 was imported again: %+v", got)
	}
	for name, bad := range map[string]pins.ShippedFile{
		"no app": {Version: "1"}, "no version": {App: "shop"}, "too long": {App: "shop", Version: "1", Content: make([]byte, store.MaxShipped+1)},
	} {
		if err := db.Apps.Import(t.Context(), bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	must(t, db.Apps.Import(t.Context(), pins.ShippedFile{App: "shop", Version: "1", Content: make([]byte, store.MaxShipped)}))
	rs, err := db.Keys.History(t.Context(), pins.Pin{}, 0)
	must(t, err)
	var got []string
	for _, r := range rs {
		got = append(got, r.Action+" "+r.App+" "+r.Version+" "+r.By)
	}
	wantRecords := []string{
		"import shop 5.1 ada", "import shop 5.2 ada", "import shop 5.1 ada", "drop shop 5.2 ada", "import shop 5.2 ada", "import shop 1 ",
	}
	if diff := cmp.Diff(wantRecords, got); diff != "" {
		t.Errorf("audit trail (-want +got):\n%s", diff)
	}
}

// TestConditionsReportedWhenTheyBegin: a condition is reported each time it begins, and
// not while it lasts.
func TestConditionsReportedWhenTheyBegin(t *testing.T) {
	db := open(t)
	missing := func(host string) ctwatch.Condition {
		return ctwatch.Condition{
			Kind: ctwatch.PinMissing, App: "shop", Host: host, What: "key",
			Event: func(episode int64) ctwatch.Event {
				return ctwatch.PinMissingEvent("shop", host, host, nil, pin("key"), "It will break.", episode, epoch)
			},
		}
	}
	sync := func(want int, holding ...ctwatch.Condition) {
		t.Helper()
		must(t, db.Plans.SyncConditions(t.Context(), holding))
		if n := len(events(t, db)); n != want {
			t.Fatalf("%d events in all, want %d", n, want)
		}
		writesNothing(t, db, "the same conditions", func() { must(t, db.Plans.SyncConditions(t.Context(), holding)) })
	}
	a, b := missing("a.example"), missing("b.example")
	sync(0)
	sync(1, a)
	sync(2, a, b, a)
	sync(2, b)
	sync(3, a, b)
	sync(3)
	other := a
	other.What = "other key"
	other.Event = func(episode int64) ctwatch.Event {
		return ctwatch.PinMissingEvent("shop", "a.example", "a.example", nil, pin("other"), "It will break.", episode, epoch)
	}
	sync(5, a, other)
	ids := make(map[string]bool)
	for _, e := range events(t, db) {
		ids[e.ID] = true
	}
	if len(ids) != 5 {
		t.Errorf("5 events have %d IDs", len(ids))
	}
}

// unmarked keeps no serial outside the database.
func unmarked(_ string, least int64) (int64, error) { return least, nil }

// TestDocumentSerialsGrow: whatever the clock does, each document has a greater serial
// than the last.
func TestDocumentSerialsGrow(t *testing.T) {
	c := newClock()
	db := openAt(t, t.TempDir()+"/ctwatch.db", c)
	if _, ok, err := db.Documents.Latest(t.Context(), "shop"); ok || err != nil {
		t.Errorf("a document before any was issued: %v, %v", ok, err)
	}
	issue := func(app string) pins.Document {
		t.Helper()
		d, err := db.Documents.Issue(t.Context(), app, "digest", unmarked, func(serial int64, at time.Time) ([]byte, error) {
			if !at.Equal(c.Now()) {
				t.Errorf("issued at %v, want %v", at, c.Now())
			}
			return []byte(time.UnixMilli(serial).String()), nil
		})
		must(t, err)
		got, ok, err := db.Documents.Latest(t.Context(), app)
		must(t, err)
		if diff := cmp.Diff(d, got); !ok || diff != "" {
			t.Errorf("latest document (-issued +got):\n%s", diff)
		}
		return d
	}
	last := issue("shop").Serial
	if last != epoch.UnixMilli() {
		t.Errorf("the first serial is %d, want %d", last, epoch.UnixMilli())
	}
	for i := range 25 {
		switch {
		case i < 10: // many at once
		case i < 15:
			c.Add(time.Hour)
		default:
			c.Add(-24 * time.Hour)
		}
		d := issue("shop")
		if d.Serial <= last || d.Serial < c.Now().UnixMilli() {
			t.Errorf("serial %d after %d at %d", d.Serial, last, c.Now().UnixMilli())
		}
		last = d.Serial
	}
	issue("other")
	var n int
	must(t, db.Reader().QueryRow(`SELECT count(*) FROM documents WHERE app = 'shop'`).Scan(&n))
	if n != 10 {
		t.Errorf("%d documents are kept, want 10", n)
	}

	failure := errors.New("no key to sign with")
	_, err := db.Documents.Issue(t.Context(), "shop", "", unmarked, func(int64, time.Time) ([]byte, error) { return nil, failure })
	if !errors.Is(err, failure) {
		t.Errorf("error %v, want that of build", err)
	}
	if d, _, _ := db.Documents.Latest(t.Context(), "shop"); d.Serial != last {
		t.Errorf("a failure used serial %d", d.Serial)
	}
}
