package storetest_test

import (
	"log/slog"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/store"
	"ctwatch/store/storetest"
)

// A filled store has each certificate once, verified, with both forms where the second log has one.
func TestFill(t *testing.T) {
	db, err := store.Open(t.Context(), t.TempDir()+"/ctwatch.db", store.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := storetest.New(storetest.Options{Domains: 10, Keys: 50})
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range [][2]int{{0, 301}, {301, 400}} {
		if err := s.Fill(t.Context(), db, part[0], part[1]); err != nil {
			t.Fatal(err)
		}
	}
	keys := make(map[string]bool)
	certificates, sightings := 0, 0
	for c, err := range db.Certificates.List(t.Context(), store.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		certificates++
		keys[c.Key.Pin.String()] = true
		if len(c.Matches) == 0 || !c.Issuer.Proven || len(c.Problems) > 0 {
			t.Fatalf("not a certificate as it would be found: %+v", c)
		}
		for _, s := range c.Sightings {
			sightings++
			if !s.Verified {
				t.Fatalf("%v is not verified in %s", c.ID, s.Log)
			}
		}
		if both := c.Fingerprints.Certificate != nil; both != (len(c.Sightings) == 2) || c.Sightings[0].Kind != ctwatch.Precertificate {
			t.Fatalf("sightings %v", c.Sightings)
		}
	}
	if certificates != 400 || sightings != 600 || len(keys) != 50 {
		t.Errorf("%d certificates with %d sightings and %d keys, want 400, 600 and 50", certificates, sightings, len(keys))
	}
}

// A store is filled once, and then used by all benchmarks.
func TestFilled(t *testing.T) {
	t.Setenv("CTWATCH_TEST_STORES", t.TempDir())
	path := storetest.Filled(t, 3)
	if again := storetest.Filled(t, 3); again != path {
		t.Errorf("the store is at %s and then at %s", path, again)
	}
	db, err := store.OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	n := 0
	for _, err := range db.Certificates.List(t.Context(), store.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 3 {
		t.Errorf("%d certificates, want 3", n)
	}
}
