package store_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/store"
)

// suspicious opens a store whose rules allow one issuer, and know one other.
func suspicious(t *testing.T, path string, c *clock) *store.DB {
	t.Helper()
	prepare(t, path)
	db, err := store.Open(context.Background(), path, store.Options{Logger: discard(), Now: c.Now, Judge: func(c *ctwatch.Certificate, k ctwatch.Standing) ctwatch.Judgment {
		j := ctwatch.Judgment{Verdict: ctwatch.Unexpected, Reasons: reasons("issuer_not_allowed")}
		if c.Issuer.Pin == pin("allowed") {
			j = ctwatch.Judgment{Verdict: ctwatch.Expected, Reasons: reasons("issuer_allowed")}
		}
		if len(k.OtherIssuers) > 0 {
			j.Verdict, j.Reasons = ctwatch.Unexpected, append(j.Reasons, ctwatch.Reason{Code: ctwatch.ReasonIssuerConflict})
		}
		j.IssuerKnown = c.Issuer.Proven && (c.Issuer.Pin == pin("known") || c.Issuer.Pin == pin("allowed"))
		return j
	}})
	must(t, err)
	return db
}

// forged is certificate n, whose issuer nothing proves.
func forged(l ctwatch.Log, n int) ctwatch.Found {
	f := found(l, n, uint64(n))
	f.Certificate.Issuer.Proven = false
	return f
}

// alarmsOf splits the alarms among events into those that people get by themselves and
// those for a digest, and returns the digests.
func alarmsOf(es []ctwatch.Event) (alone, held []string, digests []ctwatch.Event) {
	alone, held = []string{}, []string{}
	for _, e := range es {
		switch {
		case e.Type == ctwatch.EntryUnproven:
			digests = append(digests, e)
		case e.Type != ctwatch.CertificateUnexpected:
		case e.Data.InDigest:
			held = append(held, e.Data.Certificate.Names[0])
		default:
			alone = append(alone, e.Data.Certificate.Names[0])
		}
	}
	return alone, held, digests
}

// TestForgedAlarmsShareADigest: of 300 forged entries people get five alarms and one
// digest that counts all others; programs get each. A restart does not reset the count.
func TestForgedAlarmsShareADigest(t *testing.T) {
	c, path := newClock(), filepath.Join(t.TempDir(), "ctwatch.db")
	db := suspicious(t, path, c)
	l := started(t, db, 1)
	var fs []ctwatch.Found
	for n := range 150 {
		fs = append(fs, forged(l, n))
	}
	recordUnproven(t, db, l, 150, fs...)
	must(t, db.Close())
	db = suspicious(t, path, c)
	defer db.Close()
	_, err := db.Logs.Follow(t.Context(), l)
	must(t, err)
	fs = nil
	for n := 150; n < 300; n++ {
		fs = append(fs, forged(l, n))
	}
	recordUnproven(t, db, l, 300, fs...)

	must(t, db.Outbox.AddDigests(t.Context())) // not due yet
	c.Add(time.Minute)
	must(t, db.Outbox.AddDigests(t.Context()))
	must(t, db.Outbox.AddDigests(t.Context())) // there is nothing more
	alone, held, digests := alarmsOf(events(t, db))
	if len(alone) != 5 || len(held) != 295 || len(digests) != 1 {
		t.Fatalf("%d alone, %d held, %d digests", len(alone), len(held), len(digests))
	}
	got := digests[0].Data
	want := &ctwatch.Unproven{
		Count: 295, Domains: []string{"example.com"},
		First: epoch.Add(5 * time.Second), Last: epoch.Add(299 * time.Second),
	}
	if diff := cmp.Diff(want, got.Unproven); diff != "" || got.Severity != ctwatch.Critical || got.Log.ID != l.ID {
		t.Errorf("digest (-want +got):\n%s", diff)
	}
	counts, err := db.Logs.HeldAlarms(t.Context())
	must(t, err)
	if counts[l.ID] != 295 {
		t.Errorf("counted: %v", counts)
	}
	var listed []string
	for c, err := range db.Certificates.List(t.Context(), store.Filter{Unproven: true, Log: l.ID, Since: got.Unproven.First}) {
		must(t, err)
		listed = append(listed, c.Names[0])
	}
	slices.Reverse(listed)
	if diff := cmp.Diff(held, listed); diff != "" {
		t.Errorf("the command lists others (-held +listed):\n%s", diff)
	}

	// More come: they wait for the next digest. After an hour there are new places.
	recordUnproven(t, db, l, 302, forged(l, 300))
	c.Add(9 * time.Minute)
	must(t, db.Outbox.AddDigests(t.Context()))
	if _, _, digests = alarmsOf(events(t, db)); len(digests) != 1 {
		t.Fatalf("%d digests within ten minutes", len(digests))
	}
	c.Add(time.Minute)
	must(t, db.Outbox.AddDigests(t.Context()))
	if _, _, digests = alarmsOf(events(t, db)); len(digests) != 2 || digests[1].Data.Unproven.Count != 1 || digests[0].ID == digests[1].ID {
		t.Fatalf("digests %+v", digests)
	}
	c.Add(time.Hour)
	recordUnproven(t, db, l, 303, forged(l, 301))
	if alone, _, _ = alarmsOf(events(t, db)); len(alone) != 6 || alone[5] != "w301.example.com" {
		t.Errorf("alone: %v", alone)
	}
}

// TestProvenAlarmIsNotHeld: in a flood, a certificate that a CA known by its keys is
// proven to have issued gets its own alarm at once; one that is proven later, by its
// entry or by its issuer, gets it then.
func TestProvenAlarmIsNotHeld(t *testing.T) {
	c := newClock()
	db := suspicious(t, filepath.Join(t.TempDir(), "ctwatch.db"), c)
	defer db.Close()
	l, other := started(t, db, 1), started(t, db, 2)
	var fs []ctwatch.Found
	for n := range 20 {
		fs = append(fs, forged(l, n))
	}
	rogue := found(l, 20, 20)
	rogue.Certificate.Issuer.Pin = pin("known")
	recordUnproven(t, db, l, 30, append(fs, rogue, forged(l, 21))...)
	first := []string{"w0.example.com", "w1.example.com", "w2.example.com", "w3.example.com", "w4.example.com", "w20.example.com"}
	alone, held, _ := alarmsOf(events(t, db))
	if diff := cmp.Diff(first, alone); diff != "" || len(held) != 16 {
		t.Fatalf("%d held; alone (-want +got):\n%s", len(held), diff)
	}

	// Another log proves one of them to be in its tree.
	record(t, db, other, 1, func() ctwatch.Found { f := forged(other, 10); f.Certificate.Sightings[0].Index = 0; return f }())
	alone, _, _ = alarmsOf(events(t, db))
	if diff := cmp.Diff(append(slices.Clone(first), "w10.example.com"), alone); diff != "" {
		t.Fatalf("alone (-want +got):\n%s", diff)
	}
	// The issuer of another is proven when its entry is read again.
	again := forged(l, 11)
	again.Certificate.Issuer.Pin, again.Certificate.Issuer.Proven = pin("known"), true
	must(t, db.Logs.AddProof(t.Context(), l.ID, again))
	alone, _, _ = alarmsOf(events(t, db))
	if diff := cmp.Diff(append(slices.Clone(first), "w10.example.com", "w11.example.com"), alone); diff != "" {
		t.Fatalf("alone (-want +got):\n%s", diff)
	}
	// In the end the log's tree proves all: those that had no alarm of their own get it.
	must(t, db.Logs.Advance(t.Context(), l.ID, tree(30), head(30)))
	c.Add(time.Hour)
	must(t, db.Outbox.AddDigests(t.Context()))
	alone, held, digests := alarmsOf(events(t, db))
	slices.Sort(alone)
	if len(alone) != 22 || len(slices.Compact(alone)) != 22 || len(digests) != 0 {
		t.Errorf("%d digests; alone: %v", len(digests), alone)
	}
	for _, name := range held {
		if !slices.Contains(alone, name) {
			t.Errorf("no alarm of its own for %s", name)
		}
	}
}

// TestProvenAlarmsFreePlaces: alarms whose entries are proven do not count, so that an
// honest log never reaches its limit.
func TestProvenAlarmsFreePlaces(t *testing.T) {
	db := suspicious(t, filepath.Join(t.TempDir(), "ctwatch.db"), newClock())
	defer db.Close()
	l := started(t, db, 1)
	for n := range 50 {
		record(t, db, l, uint64(n+1), forged(l, n))
	}
	if alone, held, _ := alarmsOf(events(t, db)); len(alone) != 50 || len(held) != 0 {
		t.Errorf("%d alone, %d held", len(alone), len(held))
	}
}

// TestForgedConflictsAreHeld: to repeat our certificates in forged entries that name
// another issuer is as cheap, though the certificates themselves are proven. Once such
// an entry is proven, its alarm follows.
func TestForgedConflictsAreHeld(t *testing.T) {
	c := newClock()
	db := suspicious(t, filepath.Join(t.TempDir(), "ctwatch.db"), c)
	defer db.Close()
	l, other := started(t, db, 1), started(t, db, 2)
	var ours, copies []ctwatch.Found
	for n := range 20 {
		f := found(l, n, uint64(n))
		f.Certificate.Issuer.Pin = pin("allowed")
		ours = append(ours, f)
		copies = append(copies, forged(other, n))
	}
	record(t, db, l, 20, ours...)
	recordUnproven(t, db, other, 20, copies...)
	if alone, held, _ := alarmsOf(events(t, db)); len(alone) != 5 || len(held) != 15 {
		t.Fatalf("%d alone, %d held", len(alone), len(held))
	}
	c.Add(time.Minute)
	must(t, db.Outbox.AddDigests(t.Context()))
	if _, _, digests := alarmsOf(events(t, db)); len(digests) != 1 || digests[0].Data.Log.ID != other.ID {
		t.Fatalf("digests of another log: %+v", digests)
	}
	must(t, db.Logs.Advance(t.Context(), other.ID, tree(20), head(20)))
	if alone, _, _ := alarmsOf(events(t, db)); len(alone) != 20 {
		t.Errorf("%d alone", len(alone))
	}
}

// TestDigestNamesDomains: the domains with the most alarms come first, and the others
// are counted.
func TestDigestNamesDomains(t *testing.T) {
	c := newClock()
	db := suspicious(t, filepath.Join(t.TempDir(), "ctwatch.db"), c)
	defer db.Close()
	l := started(t, db, 1)
	var fs []ctwatch.Found
	for n := range 150 {
		f := forged(l, n)
		f.Certificate.Matches[0].Domain = fmt.Sprintf("d%03d.example", n%130)
		fs = append(fs, f)
	}
	recordUnproven(t, db, l, 150, fs...)
	c.Add(time.Minute)
	must(t, db.Outbox.AddDigests(t.Context()))
	_, _, digests := alarmsOf(events(t, db))
	u := digests[0].Data.Unproven
	if u.Count != 145 || len(u.Domains) != 100 || u.MoreDomains != 30 || u.Domains[0] != "d005.example" {
		t.Errorf("%+v", u)
	}
}
