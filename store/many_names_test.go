package store_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/policy"
	"ctwatch/pins"
	"ctwatch/store"
)

// foundMany is certificate n with so many names, all of them watched.
func foundMany(l ctwatch.Log, n int, index uint64, names int) ctwatch.Found {
	f := found(l, n, index)
	c := &f.Certificate
	c.Names, c.Matches = nil, nil
	for i := range names {
		name := fmt.Sprintf("n%d.example.com", i)
		c.Names = append(c.Names, name)
		c.Matches = append(c.Matches, ctwatch.Match{Watch: "example.com", Name: name, Domain: "example.com"})
	}
	return f
}

// judged opens a database whose rules expect the certificates of found: the real ones.
func judged(t testing.TB) *store.DB {
	t.Helper()
	cas := policy.NewCAs()
	p := policy.New([]policy.Rule{{
		Pattern: pins.Pattern{Name: "example.com", Reach: pins.AllBelow}, Where: "example.com", Issuers: []policy.Issuer{{Pin: pin("issuer")}},
	}}, cas)
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	prepare(t, path)
	db, err := store.Open(t.Context(), path, store.Options{Logger: discard(), Now: newClock().Now, Judge: p.Judge})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	return db
}

// TestWorkGrowsWithNames: recording and proving a certificate takes work in proportion
// to its names: four times the names take four times the allocations, of rows,
// statements and text.
func TestWorkGrowsWithNames(t *testing.T) {
	work := func(names int) uint64 {
		db := judged(t)
		l := started(t, db, 1)
		a, b, c := foundMany(l, 1, 0, names), foundMany(l, 1, 1, names), foundMany(l, 11, 2, names)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		record(t, db, l, 1, a)
		record(t, db, l, 2, b) // in another entry
		record(t, db, l, 3, c) // its key in another certificate
		runtime.ReadMemStats(&after)
		return after.Mallocs - before.Mallocs
	}
	few, many := work(2000), work(8000)
	if many > 5*few {
		t.Errorf("2000 names take %d allocations, and 8000 take %d", few, many)
	}
	if per := many / 3 / 8000; per > 60 {
		t.Errorf("%d allocations for each name", per)
	}
}

// TestEventsOmitNames: events about a certificate with many names are small, and the
// database has it whole.
func TestEventsOmitNames(t *testing.T) {
	db := judged(t)
	l := started(t, db, 1)
	const names = 20_000
	f := foundMany(l, 1, 0, names)
	f.Certificate.Subject = strings.Repeat("\x01", 60_000)
	record(t, db, l, 1, f)
	record(t, db, l, 2, foundMany(l, 1, 1, names))
	must(t, db.Outbox.Add(t.Context(), ctwatch.TestEvent(strings.Repeat("x", 1<<20), epoch)))
	_, err := db.Certificates.SetVerdict(t.Context(), f.Certificate.ID, ctwatch.Unexpected, []string{"rejected"}, "alice", strings.Repeat("no ", 1<<20))
	must(t, err)

	for _, b := range storedEvents(t, db) {
		if len(b) > 64<<10 {
			t.Errorf("an event has %d bytes", len(b))
		}
	}
	reported := 0
	for _, e := range events(t, db) {
		if c := e.Data.Certificate; c != nil {
			reported++
			if n := len(c.Names) + c.Omitted["names"]; n != names {
				t.Errorf("%s has %d names", e.Type, n)
			}
		}
	}
	if reported < 4 {
		t.Errorf("%d events about the certificate", reported)
	}
	if c := get(t, db, 1); len(c.Names) != names || len(c.Matches) != names || len(c.Subject) != 60_000 || c.Omitted != nil {
		t.Errorf("the store has %d names, %d matches, a subject of %d bytes", len(c.Names), len(c.Matches), len(c.Subject))
	}
}

// TestAlarmReadsFewCertificates: however many certificates a key has, an alarm reads a
// bounded part of them.
func TestAlarmReadsFewCertificates(t *testing.T) {
	db := judged(t)
	l := started(t, db, 1)
	record(t, db, l, 1, foundMany(l, 1, 0, 10))
	work := func(n int, index uint64) uint64 {
		f := foundMany(l, n, index, 1000)
		f.Certificate.Issuer.Pin = pin("rogue")
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		record(t, db, l, index+1, f)
		runtime.ReadMemStats(&after)
		return after.Mallocs - before.Mallocs
	}
	first := work(11, 1)
	var last uint64
	for i := range 20 {
		last = work(21+10*i, uint64(i)+2)
	}
	if last > 2*first {
		t.Errorf("the first alarm takes %d allocations, the 21st %d", first, last)
	}
}

func BenchmarkRecordManyNames(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		db := judged(b)
		l := started(b, db, 1)
		fs := []ctwatch.Found{foundMany(l, 1, 0, 60_000), foundMany(l, 1, 1, 60_000), foundMany(l, 11, 2, 60_000)}
		b.StartTimer()
		for i, f := range fs { // new, in another entry, its key in another certificate
			record(b, db, l, uint64(i)+1, f)
		}
	}
}
