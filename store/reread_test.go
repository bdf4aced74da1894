package store_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/pins"
	"ctwatch/store"
)

func refs(t testing.TB, db *store.DB, l ctwatch.Log, limit int) (indexes []uint64) {
	t.Helper()
	all, err := db.Logs.EntriesToReread(t.Context(), l.ID, limit)
	must(t, err)
	for _, e := range all {
		indexes = append(indexes, e.Index)
	}
	return indexes
}

// incomplete is a certificate whose log did not serve its chain.
func incomplete(l ctwatch.Log, n int, index uint64) ctwatch.Found {
	f := claimed(l, n, index, "issuer")
	f.Incomplete = true
	return f
}

// TestFloodHidesNoIncompleteEntry: an entry whose issuer a log did not serve is read
// again although thousands of unprovable entries came after it.
func TestFloodHidesNoIncompleteEntry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	db := judging(t, path, provenRule("issuer"))
	l := started(t, db, 1)
	b := []ctwatch.Found{incomplete(l, 0, 0)}
	for n := 1; n < 1500; n++ {
		b = append(b, claimed(l, n, uint64(n), "issuer"))
	}
	record(t, db, l, 1500, b...)
	if got := refs(t, db, l, 3); !slices.Equal(got, []uint64{0, 1499, 1498}) {
		t.Errorf("to be read again: %v", got)
	}
	// Each is put off by itself, over restarts.
	e := ctwatch.EntryRef{Index: 0, LeafHash: b[0].LeafHash}
	must(t, db.Logs.RereadLater(t.Context(), l.ID, e, time.Now().Add(1000*time.Hour)))
	must(t, db.Logs.RereadLater(t.Context(), l.ID, ctwatch.EntryRef{Index: 1499, LeafHash: b[1499].LeafHash}, time.Time{}))
	must(t, db.Close())
	db = judging(t, path, provenRule("issuer"))
	if got := refs(t, db, l, 2); slices.Contains(got, 0) {
		t.Errorf("to be read again: %v", got)
	}
}

// TestKnownIssuerMakesEntriesDue: when any log has shown the certificate of an issuer,
// entries of all logs that lack one are read again at once, and the database has it.
func TestKnownIssuerMakesEntriesDue(t *testing.T) {
	db := judging(t, "", provenRule("issuer"))
	l, other := started(t, db, 1), started(t, db, 2)
	f := incomplete(l, 1, 0)
	record(t, db, l, 1, f)
	must(t, db.Logs.RereadLater(t.Context(), l.ID, ctwatch.EntryRef{Index: 0, LeafHash: f.LeafHash}, epoch.Add(100*365*24*time.Hour)))
	if got := refs(t, db, l, 2); len(got) > 0 {
		t.Errorf("to be read again: %v", got)
	}
	g := found(other, 2, 0)
	g.Chain = [][]byte{[]byte("an issuer")}
	record(t, db, other, 1, g)
	all, err := db.Logs.EntriesToReread(t.Context(), l.ID, 2)
	must(t, err)
	if len(all) != 1 || all[0].Asked != 1 {
		t.Errorf("to be read again: %+v", all)
	}
	if der, err := db.Issuers.Certificate(t.Context(), hash("an issuer")); err != nil || string(der) != "an issuer" {
		t.Errorf("the store has %q, %v", der, err)
	}
	if der, err := db.Issuers.Certificate(t.Context(), hash("nobody")); err != nil || der != nil {
		t.Errorf("the store has %q, %v", der, err)
	}
	// What is read again teaches the same.
	f = found(l, 1, 0)
	f.Chain = [][]byte{[]byte("another issuer")}
	must(t, db.Logs.AddProof(t.Context(), l.ID, f))
	if der, err := db.Issuers.Certificate(t.Context(), hash("another issuer")); err != nil || der == nil {
		t.Errorf("the store has %q, %v", der, err)
	}
}

// TestRejudgeNewAfterCrash: the process ends after an issuing key was learned, and
// before its certificates were judged again.
func TestRejudgeNewAfterCrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	known := false // who the issuer is
	rule := func(c *ctwatch.Certificate, _ ctwatch.Standing) ctwatch.Judgment {
		if known {
			return ctwatch.Judgment{Verdict: ctwatch.Expected}
		}
		return ctwatch.Judgment{Verdict: ctwatch.Unexpected, Reasons: reasons("issuer_not_allowed")}
	}
	db := judging(t, path, rule)
	l := started(t, db, 1)
	record(t, db, l, 1, found(l, 1, 0))
	must(t, db.Issuers.AddKeys(t.Context(), ctwatch.IssuerKey{Pin: pin("issuer"), Anchor: pin("root"), NotBefore: epoch, NotAfter: epoch.Add(time.Hour)}))
	must(t, db.Crash())

	db = judging(t, path, rule)
	known = true
	must(t, db.Issuers.RejudgeNew(t.Context()))
	if c := get(t, db, 1); c.Verdict != ctwatch.Expected {
		t.Errorf("it is %s %q", c.Verdict, c.Reasons)
	}
	known = false
	must(t, db.Issuers.RejudgeNew(t.Context()))
	if c := get(t, db, 1); c.Verdict != ctwatch.Expected {
		t.Error("it was judged again though nothing became known")
	}
	must(t, db.Issuers.Rejudge(t.Context(), []pins.Pin{pin("issuer")}...))
	if c := get(t, db, 1); c.Verdict != ctwatch.Unexpected {
		t.Errorf("it is %s %q", c.Verdict, c.Reasons)
	}
}

// TestRereadsAreLookedUpOnce: while no entry of a log is due, EntriesToReread asks the
// database once; what makes one due is seen at once, or soon if another process did it.
func TestRereadsAreLookedUpOnce(t *testing.T) {
	c := newClock()
	db := openAt(t, filepath.Join(t.TempDir(), "ctwatch.db"), c)
	l := started(t, db, 1)
	want := func(when string, want ...uint64) {
		t.Helper()
		if got := refs(t, db, l, 4); !slices.Equal(got, want) {
			t.Errorf("%s: to be read again: %v, want %v", when, got, want)
		}
	}
	// hidden makes an entry due, or not, without this process's knowledge.
	hidden := func(at time.Time) {
		t.Helper()
		_, err := db.Writer().Exec(`UPDATE sightings SET ask_at = ?`, at.UnixMilli())
		must(t, err)
	}
	want("at first")
	f := incomplete(l, 1, 7)
	recordUnproven(t, db, l, 8, f)
	want("recorded", 7)
	must(t, db.Logs.RereadLater(t.Context(), l.ID, ctwatch.EntryRef{Index: 7, LeafHash: f.LeafHash}, c.Now().Add(20*time.Second)))
	want("put off")
	hidden(time.UnixMilli(0))
	want("made due elsewhere, just now")
	c.Add(20 * time.Second)
	want("when it was to be due", 7)
	hidden(c.Now().Add(time.Hour))
	want("put off elsewhere")
	hidden(time.UnixMilli(0))
	c.Add(29 * time.Second)
	want("made due elsewhere, half a minute ago")
	c.Add(time.Second)
	want("made due elsewhere, longer ago", 7)
}
