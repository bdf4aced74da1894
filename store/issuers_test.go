package store_test

import (
	"bytes"
	"database/sql"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/pins"
	"ctwatch/store"
)

// TestIssuerKeys: each path of a key is stored once, with its constraints.
func TestIssuerKeys(t *testing.T) {
	db := open(t)
	r3 := ctwatch.IssuerKey{Pin: pin("r3"), Anchor: pin("x1"), NotBefore: time.Unix(0, 0).UTC(), NotAfter: time.Unix(1<<33, 0).UTC()}
	cross, limited, later := r3, r3, r3
	cross.Anchor = pin("x3")
	limited.NameConstraints = []byte{0x30, 0x00}
	later.NotAfter = later.NotAfter.Add(time.Second)
	must(t, db.Issuers.AddKeys(t.Context()))
	must(t, db.Issuers.AddKeys(t.Context(), r3, r3))
	must(t, db.Issuers.AddKeys(t.Context(), r3, cross, limited, later, ctwatch.IssuerKey{Anchor: pin("x1")}, ctwatch.IssuerKey{Pin: pin("?")}))
	writesNothing(t, db, "what is known", func() { must(t, db.Issuers.AddKeys(t.Context(), later, r3)) })
	got, err := db.Issuers.Keys(t.Context())
	must(t, err)
	for _, want := range []ctwatch.IssuerKey{r3, cross, limited, later} {
		n := 0
		for _, k := range got {
			if k.Equal(want) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%+v is there %d times", want, n)
		}
	}
	if len(got) != 4 {
		t.Errorf("%d keys are kept, want 4", len(got))
	}
}

// TestKeysByNameBecomeClaims: issuing keys of databases of version 4 are claims. All
// certificates are judged again, and a proven path replaces a claim.
func TestKeysByNameBecomeClaims(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	w, err := sql.Open("sqlite", path)
	must(t, err)
	must(t, store.Migrate(t.Context(), w, store.Migrations()[:4]))
	r3, e1 := pin("r3"), pin("e1")
	_, err = w.Exec(`
		INSERT INTO issuers VALUES (?, 'Let''s Encrypt', 1), (?, 'Sectigo', 2);
		INSERT INTO meta VALUES ('rules', 'digest')`, r3[:], e1[:])
	must(t, err)
	must(t, w.Close())

	db := openAt(t, path, newClock())
	claims := func() map[pins.Pin]string {
		t.Helper()
		m, err := db.Issuers.Claims(t.Context())
		must(t, err)
		return m
	}
	wantEqual(t, "claims", map[pins.Pin]string{r3: "Let's Encrypt", e1: "Sectigo"}, claims())
	learned, err := db.Issuers.Keys(t.Context())
	must(t, err)
	if len(learned) > 0 {
		t.Errorf("learned by name: %+v", learned)
	}
	var n int
	must(t, db.Reader().QueryRow(`SELECT count(*) FROM meta WHERE key = 'rules'`).Scan(&n))
	if n != 0 {
		t.Error("certificates are not judged again")
	}
	must(t, db.Issuers.AddKeys(t.Context(), ctwatch.IssuerKey{Pin: r3, Anchor: pin("x1"), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1, 0)}))
	wantEqual(t, "claims", map[pins.Pin]string{e1: "Sectigo"}, claims())
}

// TestIssuerCertificatesStoredOnce: certificates of CAs are stored once, in bounded size
// and number.
func TestIssuerCertificatesStoredOnce(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	a, b, large := []byte("CA a"), []byte("CA b"), bytes.Repeat([]byte("x"), 17<<10)
	first, second := found(l, 1, 0), found(l, 2, 1)
	first.Chain, second.Chain = [][]byte{a, b, nil}, [][]byte{a, large}
	record(t, db, l, 2, first, second)
	check := func(after int, want ...[]byte) {
		t.Helper()
		got, err := db.Issuers.Certificates(t.Context(), after)
		must(t, err)
		if !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("after %d: got %q, want %q", after, got, want)
		}
	}
	check(0, a, b)
	check(1, b)
	check(2)

	before, err := db.Plans.Revision(t.Context())
	must(t, err)
	third := found(l, 3, 2)
	for i := range 20 {
		third.Chain = append(third.Chain, []byte{'c', byte(i)})
	}
	record(t, db, l, 3, third)
	all, err := db.Issuers.Certificates(t.Context(), 2)
	must(t, err)
	if len(all) != 8 {
		t.Errorf("%d of one chain are kept, want 8", len(all))
	}
	if after, err := db.Plans.Revision(t.Context()); err != nil || after <= before {
		t.Errorf("revision %d after %d: %v", after, before, err)
	}
}
