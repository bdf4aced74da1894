package store_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/store"
)

// TestListWithAnyFilters: every combination of filters lists exactly the certificates that
// it selects, the last seen first, also when the clock goes back, and continues after any.
func TestListWithAnyFilters(t *testing.T) {
	c := newClock()
	db := openAt(t, t.TempDir()+"/ctwatch.db", c)
	first, second := started(t, db, 1), started(t, db, 2)
	empty := testLog(3).ID
	rnd := rand.New(rand.NewPCG(1, 2))
	const n = 2500 // more than is read from an index at once
	verdicts := []ctwatch.Verdict{ctwatch.Expected, ctwatch.Unreviewed, ctwatch.Unreviewed, ctwatch.Unexpected}
	var all []ctwatch.Certificate // in the order of seq
	inLog := make(map[ctwatch.Hash][]ctwatch.LogID)
	for at := 0; at < n; at += 250 {
		c.Add(time.Duration(rnd.IntN(100)-30) * time.Minute)
		var b, later ctwatch.Batch
		b.Log, later.Log = first.ID, second.ID
		for i := at; i < at+250; i++ {
			f := found(first, i, uint64(i))
			f.Certificate.FirstSeen = time.Time{}
			f.Certificate.Verdict = verdicts[rnd.IntN(len(verdicts))]
			name := fmt.Sprintf("h%d.d%d.example.com", i, i%7)
			f.Certificate.Names = []string{name, "www." + name}
			f.Certificate.Matches = []ctwatch.Match{{Watch: "example.com", Name: name, Domain: "example.com"}}
			if i == 1200 {
				f.Certificate.Names = append(f.Certificate.Names, "beside.example.net", "a.b.c.d.e.f.g.deep.example.net")
			}
			b.Found = append(b.Found, f)
			inLog[f.Certificate.ID] = append(inLog[f.Certificate.ID], first.ID)
			if rnd.IntN(3) == 0 {
				g := f
				g.Certificate.Sightings = found(second, i, uint64(i)).Certificate.Sightings
				later.Found = append(later.Found, g)
				inLog[f.Certificate.ID] = append(inLog[f.Certificate.ID], second.ID)
			}
		}
		must(t, db.Logs.Record(t.Context(), b, uint64(at+250)))
		must(t, db.Logs.Record(t.Context(), later, uint64(at+250)))
	}
	for i := range n {
		all = append(all, get(t, db, i))
	}
	decided, unproven := make(map[ctwatch.Hash]bool), make(map[ctwatch.Hash]bool)
	for i := range n {
		switch rnd.IntN(50) {
		case 0:
			var err error
			all[i], err = db.Certificates.SetVerdict(t.Context(), all[i].ID, ctwatch.Unexpected, []string{"known"}, "ada", "not ours")
			must(t, err)
			decided[all[i].ID] = true
		case 1:
			_, err := db.Writer().Exec(`INSERT INTO unproven (certificate, log, at, state) VALUES (?, 1, 0, 'alone')`, i+1)
			must(t, err)
			unproven[all[i].ID] = true
		}
	}
	sorted := slices.Clone(all)
	slices.Reverse(sorted)
	slices.SortStableFunc(sorted, func(a, b ctwatch.Certificate) int {
		return cmp.Compare(b.FirstSeen.UnixMilli(), a.FirstSeen.UnixMilli())
	})
	if slices.IsSortedFunc(all, func(a, b ctwatch.Certificate) int { return a.FirstSeen.Compare(b.FirstSeen) }) {
		t.Fatal("the clock never went back")
	}

	selects := func(f store.Filter, c *ctwatch.Certificate) bool {
		in := func(name string) bool { return name == f.Domain || strings.HasSuffix(name, "."+f.Domain) }
		return (f.Domain == "" || slices.ContainsFunc(c.Names, in) || c.Matches[0].Domain == f.Domain) &&
			(f.Verdict == "" || c.Verdict == f.Verdict) && (f.Since.IsZero() || !c.FirstSeen.Before(f.Since)) &&
			(!f.Open || c.Verdict != ctwatch.Expected && !decided[c.ID]) && (!f.Unproven || unproven[c.ID]) &&
			(f.Log == ctwatch.LogID{} || slices.Contains(inLog[c.ID], f.Log))
	}
	pick := func(of ...string) string { return of[rnd.IntN(len(of))] }
	for range 150 {
		f := store.Filter{
			Domain:  pick("", "", "example.com", "d3.example.com", "h1200.d3.example.com", "beside.example.net", "c.d.e.f.g.deep.example.net", "x.d.e.f.g.deep.example.net", "com", "none.example"),
			Verdict: ctwatch.Verdict(pick("", "", "expected", "unexpected", "unreviewed")),
			Open:    rnd.IntN(3) == 0, Unproven: rnd.IntN(4) == 0, Limit: rnd.IntN(2) * rnd.IntN(700),
		}
		if rnd.IntN(3) == 0 {
			f.Since = all[rnd.IntN(n)].FirstSeen
		}
		switch rnd.IntN(6) {
		case 0:
			f.Log = second.ID
		case 1:
			f.Log = first.ID
		case 2:
			f.Log = empty
		}
		from := sorted
		if rnd.IntN(3) == 0 {
			at := rnd.IntN(n)
			f.After, from = sorted[at].ID, sorted[at+1:]
		}
		var want, got []string
		for i := range from {
			if selects(f, &from[i]) && (f.Limit == 0 || len(want) < f.Limit) {
				want = append(want, from[i].Serial)
			}
		}
		for c, err := range db.Certificates.List(t.Context(), f) {
			must(t, err)
			got = append(got, c.Serial)
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("%+v (-want +got):\n%s", f, diff)
		}
	}
	var listed []ctwatch.Certificate
	for c, err := range db.Certificates.List(t.Context(), store.Filter{}) {
		must(t, err)
		listed = append(listed, c)
	}
	if diff := gocmp.Diff(sorted, listed); diff != "" {
		t.Errorf("a certificate differs when it is listed (-by itself +listed):\n%s", diff)
	}
}

// TestListWithManySightings: one certificate with more sightings than a list shows hides
// none of the others.
func TestListWithManySightings(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	for i := range 4 {
		recordUnproven(t, db, l, 10, found(l, i, uint64(i)))
	}
	_, err := db.Writer().Exec(`
		WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
		INSERT INTO sightings (certificate, log, entry, leaf_hash, timestamp, kind, epoch, issuer_pin)
		SELECT certificate, log, i, leaf_hash, timestamp - i, kind, epoch, issuer_pin FROM sightings, n WHERE certificate IN (2, 3)`)
	must(t, err)
	i := 3
	for c, err := range db.Certificates.List(t.Context(), store.Filter{}) {
		must(t, err)
		if diff := gocmp.Diff(get(t, db, i), c); diff != "" {
			t.Errorf("certificate %d (-by itself +listed):\n%s", i, diff)
		}
		i--
	}
}
