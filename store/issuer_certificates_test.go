package store_test

import (
	"bytes"
	"slices"
	"testing"
)

// Certificates of CAs are kept once, in bounded size and number, whoever shows them.
func TestIssuerCertificatesAreKeptOnce(t *testing.T) {
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
