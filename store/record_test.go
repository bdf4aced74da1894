package store_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ctwatch/ctwatch"
	"ctwatch/pins"
	"ctwatch/store"
)

// TestCertificateRoundTrip: a certificate is read as it was recorded.
func TestCertificateRoundTrip(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	hostile := []string{
		"<!channel>.example.com", "\x1b[31m.example.com", "a\x00b.example.com", "\u202emoc.elpmaxe", "'; DROP TABLE logs; --",
		"line\nbreak", "<https://evil|click>", `"quoted"\`, strings.Repeat("x", 500),
	}
	f := found(l, 1, 7)
	f.Certificate.Names = hostile
	f.Certificate.IPAddresses = []string{"192.0.2.1", "2001:db8::1"}
	f.Certificate.Subject = "CN=\x00\x1b]0;title\x07"
	f.Certificate.Problems = []string{"Hm: \u2066.", "<b>"}
	f.Certificate.Reasons = []string{"issuer_not_allowed"}
	f.Certificate.Verdict = ctwatch.Unexpected
	f.Certificate.Matches = nil
	for _, n := range hostile {
		f.Certificate.Matches = append(f.Certificate.Matches, ctwatch.Match{Watch: "example.com", Name: n, Domain: "example.com"})
	}
	recordUnproven(t, db, l, 8, f)

	got := get(t, db, 1)
	if diff := cmp.Diff(f.Certificate, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("certificate (-recorded +read):\n%s", diff)
	}
	es := events(t, db)
	ignoreDomain := cmpopts.IgnoreFields(ctwatch.Match{}, "Domain")
	if diff := cmp.Diff(&f.Certificate, es[0].Data.Certificate, cmpopts.EquateEmpty(), ignoreDomain); diff != "" {
		t.Errorf("certificate in the event (-recorded +reported):\n%s", diff)
	}
	der, err := db.Certificates.DER(t.Context(), got.ID)
	must(t, err)
	if diff := cmp.Diff(store.DER{TBS: f.TBS, Precertificate: f.DER}, der); diff != "" {
		t.Errorf("DER (-want +got):\n%s", diff)
	}
}

// TestUnreadableCertificate: a certificate without any readable field is recorded.
func TestUnreadableCertificate(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	c := ctwatch.Certificate{ID: hash("certificate", 1), Sightings: []ctwatch.Sighting{{Kind: ctwatch.FinalCertificate}}}
	recordUnproven(t, db, l, 1, ctwatch.Found{Certificate: c})

	want := c
	want.Verdict, want.FirstSeen = ctwatch.Unreviewed, epoch
	want.Sightings = []ctwatch.Sighting{{Log: l.Name, LogID: l.ID, Kind: ctwatch.FinalCertificate}}
	if diff := cmp.Diff(want, get(t, db, 1), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("certificate (-want +got):\n%s", diff)
	}
	if got := types(events(t, db)); !slices.Equal(got, []string{"certificate.issued"}) {
		t.Errorf("events %v: there is no key to be a candidate", got)
	}
}

// TestInvalidTimesAndText: times and bytes that JSON cannot express are stored as the
// nearest that it can.
func TestInvalidTimesAndText(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	f := found(l, 1, 0)
	f.Certificate.NotAfter = time.Date(250_000, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Certificate.NotBefore = time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Certificate.Sightings[0].Timestamp = time.UnixMilli(1<<53 - 1)
	f.Certificate.Names = []string{"\xff\xfe.example.com"}
	f.Certificate.Matches[0].Name = "\xff\xfe.example.com"
	recordUnproven(t, db, l, 1, f)
	got := get(t, db, 1)
	if y := got.NotAfter.Year(); y != 9999 {
		t.Errorf("not after in the year %d, want 9999", y)
	}
	if y := got.Sightings[0].Timestamp.Year(); y != 9999 {
		t.Errorf("timestamp in the year %d, want 9999", y)
	}
	es := events(t, db)
	if want := "\uFFFD.example.com"; es[0].Data.Certificate.Names[0] != want || got.Names[0] != want || got.Matches[0].Name != want {
		t.Errorf("names %q in the event, %q and %q in the store, want %q", es[0].Data.Certificate.Names, got.Names, got.Matches, want)
	}
	far := ctwatch.Head{Size: 5, Timestamp: time.UnixMilli(1<<53 - 1), Raw: []byte("signed")}
	must(t, db.Logs.AddHead(t.Context(), l.ID, far))
	must(t, db.Logs.AddFault(t.Context(), l.ID, ctwatch.Fault{Cause: ctwatch.CauseRollback, Evidence: ctwatch.Evidence{Heads: []ctwatch.EvidenceHead{far.Evidence()}}}))
	if err := db.Logs.AddHead(t.Context(), l.ID, ctwatch.Head{Size: 1 << 63}); err == nil {
		t.Error("a tree head of 2^63 entries was accepted")
	}
}

// TestRecordReportsOnce: what is read again is not reported again.
func TestRecordReportsOnce(t *testing.T) {
	type batch []ctwatch.Found
	l1, l2 := testLog(1), testLog(2)
	otherKey := found(l1, 2, 3)
	otherKey.Certificate.Key.Pin = pin("fresh")
	alsoNet := found(l1, 11, 3) // the key of certificate 1
	alsoNet.Certificate.Matches = append(alsoNet.Certificate.Matches, ctwatch.Match{Watch: "example.net", Name: "w.example.net", Domain: "example.net"})
	const issued, logged, candidate = "certificate.issued", "certificate.logged", "pin.candidate"

	for _, tt := range []struct {
		name    string
		batches []batch
		want    []string
	}{
		{"new certificate", []batch{{found(l1, 1, 0)}}, []string{issued, candidate}},
		{"same entry again", []batch{{found(l1, 1, 0)}, {found(l1, 1, 0)}}, []string{issued, candidate}},
		{"same entry twice in a batch", []batch{{found(l1, 1, 0), found(l1, 1, 0)}}, []string{issued, candidate}},
		{"another entry of the log", []batch{{found(l1, 1, 0)}, {found(l1, 1, 5)}}, []string{issued, logged, candidate}},
		{"another entry in the batch", []batch{{found(l1, 1, 0), found(l1, 1, 5)}}, []string{issued, logged, candidate}},
		{"another log", []batch{{found(l1, 1, 0)}, {found(l2, 1, 0)}}, []string{issued, logged, candidate}},
		{"final certificate", []batch{{found(l1, 1, 0)}, {final(found(l1, 1, 4))}}, []string{issued, logged, candidate}},
		{"final certificate, then again", []batch{{found(l1, 1, 0)}, {final(found(l1, 1, 4))}, {final(found(l1, 1, 4)), found(l1, 1, 0)}}, []string{issued, logged, candidate}},
		{"the index with another leaf", []batch{{found(l1, 1, 0)}, {final(found(l1, 1, 0))}}, []string{issued, logged, candidate}},
		{"renewal with the same key", []batch{{found(l1, 1, 0)}, {found(l1, 11, 1)}}, []string{issued, issued, candidate}},
		{"renewal with a new key", []batch{{found(l1, 1, 0)}, {otherKey}}, []string{issued, issued, candidate, candidate}},
		{"known key on a domain new to it", []batch{{found(l1, 1, 0)}, {alsoNet}}, []string{issued, issued, candidate, candidate}},
		{"nothing", []batch{{}}, []string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db := open(t)
			started(t, db, 1)
			started(t, db, 2)
			for _, b := range tt.batches {
				for _, f := range b {
					id := f.Certificate.Sightings[0].LogID
					must(t, db.Logs.Record(t.Context(), ctwatch.Batch{Log: id, Found: []ctwatch.Found{f}}, 10))
				}
			}
			for _, l := range []ctwatch.Log{l1, l2} {
				must(t, db.Logs.Record(t.Context(), ctwatch.Batch{Log: l.ID}, 10))
				must(t, db.Logs.Advance(t.Context(), l.ID, tree(10), head(10)))
			}
			one := types(events(t, db))

			// The same with each batch in one transaction.
			db = open(t)
			started(t, db, 1)
			started(t, db, 2)
			for _, b := range tt.batches {
				id := l1.ID
				if len(b) > 0 {
					id = b[0].Certificate.Sightings[0].LogID
				}
				must(t, db.Logs.Record(t.Context(), ctwatch.Batch{Log: id, Found: b}, 10))
			}
			for _, l := range []ctwatch.Log{l1, l2} {
				must(t, db.Logs.Record(t.Context(), ctwatch.Batch{Log: l.ID}, 10))
				must(t, db.Logs.Advance(t.Context(), l.ID, tree(10), head(10)))
			}
			es := events(t, db)
			if diff := cmp.Diff(tt.want, types(es)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.want, one); diff != "" {
				t.Errorf("events, one entry at a time (-want +got):\n%s", diff)
			}
			if ids := make(map[string]bool); true {
				for _, e := range es {
					ids[e.ID] = true
				}
				if len(ids) != len(es) {
					t.Errorf("%d events have %d IDs", len(es), len(ids))
				}
			}
		})
	}
}

// TestMergeLosesNothing: sightings in any order give the same certificate.
func TestMergeLosesNothing(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	first := found(l, 1, 0)
	first.Certificate.Issuer = ctwatch.Issuer{Name: first.Certificate.Issuer.Name}
	first.Certificate.SetPins()
	first.Certificate.Problems = []string{"no issuer"}
	second := final(found(l, 1, 9))
	second.Certificate.FirstSeen = epoch.Add(time.Hour)
	second.Certificate.Problems = []string{"odd", "no issuer"}
	second.Certificate.Matches = append(second.Certificate.Matches, ctwatch.Match{Watch: "example.net", Name: "w.example.net", Domain: "example.net"})
	recordUnproven(t, db, l, 1, first)
	recordUnproven(t, db, l, 10, second)

	want := certificate(1)
	want.Fingerprints = ctwatch.Fingerprints{
		Precertificate: first.Certificate.Fingerprints.Precertificate,
		Certificate:    second.Certificate.Fingerprints.Certificate,
	}
	want.Problems = []string{"no issuer", "odd"}
	want.Matches = second.Certificate.Matches
	want.Sightings = []ctwatch.Sighting{first.Certificate.Sightings[0], second.Certificate.Sightings[0]}
	if diff := cmp.Diff(want, get(t, db, 1), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("certificate (-want +got):\n%s", diff)
	}
	es := events(t, db)
	logged := es[slices.IndexFunc(es, func(e ctwatch.Event) bool { return e.Type == ctwatch.CertificateLogged })]
	if diff := cmp.Diff(&want, logged.Data.Certificate, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(ctwatch.Match{}, "Domain")); diff != "" {
		t.Errorf("certificate.logged does not have the whole certificate (-want +got):\n%s", diff)
	}
	der, err := db.Certificates.DER(t.Context(), want.ID)
	must(t, err)
	if diff := cmp.Diff(store.DER{TBS: first.TBS, Certificate: second.DER, Precertificate: first.DER}, der); diff != "" {
		t.Errorf("DER (-want +got):\n%s", diff)
	}
	keys, err := db.Keys.List(t.Context(), pins.PinRole{}, 0)
	must(t, err)
	if len(keys) != 2 || keys[1].Role != pins.RoleIssuer || keys[1].Pin != pin("issuer") {
		t.Errorf("keys %+v: the issuer's is missing", keys)
	}
}

func TestKeys(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	record(t, db, l, 3, found(l, 1, 0), found(l, 11, 2), found(l, 1, 1))
	got, err := db.Keys.List(t.Context(), pins.PinRole{}, 0)
	must(t, err)
	ids := []string{certificate(1).ID.String(), certificate(11).ID.String()}
	hosts := []string{"w1.example.com", "w11.example.com"}
	key := pins.Key{
		State: pins.StateSeen, Hosts: hosts, ApprovedFor: []pins.Pattern{}, Certificates: ids, Apps: []pins.AppVersion{},
		FirstSeen: epoch, ChangedAt: epoch, By: "log", Reason: "first seen in Lab 1 entry 0",
	}
	leaf, issuer := key, key
	leaf.Pin, leaf.Role, leaf.Algorithm = pin("key1"), pins.RoleLeaf, "ECDSA P-256"
	issuer.Pin, issuer.Role = pin("issuer"), pins.RoleIssuer
	if diff := cmp.Diff([]pins.Key{leaf, issuer}, got); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}

	es := events(t, db)
	reported := es[len(es)-1].Data.Key
	leaf.Hosts, leaf.Certificates = hosts[:1], ids[:1]
	if diff := cmp.Diff(&leaf, reported); diff != "" {
		t.Errorf("key in pin.candidate (-want +got):\n%s", diff)
	}
}

// TestMalformedReportedByReason: malformed entries with one reason share an event.
func TestMalformedReportedByReason(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	var b ctwatch.Batch
	b.Log, b.End = l.ID, 2500
	for i := range uint64(2500) {
		reason := "truncated"
		if i == 7 {
			reason = "odd"
		}
		b.Malformed = append(b.Malformed, ctwatch.Malformed{Index: i, LeafHash: hash(i), Reason: reason})
	}
	must(t, db.Logs.Record(t.Context(), b, 2500))
	must(t, db.Logs.Record(t.Context(), b, 2500))
	b.Malformed = append(b.Malformed, ctwatch.Malformed{Index: 2500, LeafHash: hash("x"), Reason: "new"})
	must(t, db.Logs.Record(t.Context(), b, 2501))

	var got []string
	for _, e := range events(t, db) {
		got = append(got, fmt.Sprint(e.Type, " ", *e.Data.Index, " ", len(e.Data.Indexes), " +", e.Data.MoreEntries, " at ", e.Data.Log.Position))
	}
	want := []string{
		"entry.malformed 0 1000 +1499 at 2500", "entry.malformed 7 0 +0 at 2500", "entry.malformed 2500 0 +0 at 2501",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestRecordIsAtomic: Record does everything or nothing.
func TestRecordIsAtomic(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	recordUnproven(t, db, l, 5, found(l, 1, 0))
	before := events(t, db)

	bad := found(l, 3, 6)
	bad.Certificate.Sightings = nil
	err := db.Logs.Record(t.Context(), ctwatch.Batch{Log: l.ID, Found: []ctwatch.Found{found(l, 2, 5), bad}}, 10)
	if err == nil {
		t.Fatal("a certificate without a sighting was recorded")
	}
	if _, err := db.Certificates.Get(t.Context(), hash("certificate", 2).String()); !errors.Is(err, ctwatch.ErrNotFound) {
		t.Errorf("the batch left a certificate behind: %v", err)
	}
	if p := status(t, db, l).Position; p != 5 {
		t.Errorf("position %d, want 5", p)
	}
	if diff := cmp.Diff(types(before), types(events(t, db))); diff != "" {
		t.Errorf("the batch left events behind:\n%s", diff)
	}
}

// TestFullDiskLeavesNothing: a batch that the disk has no room for leaves nothing
// behind.
func TestFullDiskLeavesNothing(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	recordUnproven(t, db, l, 1, found(l, 1, 0))
	var pages int
	must(t, db.Writer().QueryRow(`PRAGMA page_count`).Scan(&pages))
	_, err := db.Writer().Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages+10))
	must(t, err)

	var b ctwatch.Batch
	b.Log = l.ID
	for i := range 500 {
		b.Found = append(b.Found, found(l, i+2, uint64(i+1)))
	}
	err = db.Logs.Record(t.Context(), b, 501)
	if !errors.Is(err, store.ErrDisk) || !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("error %v, want one that says that the disk is full", err)
	}
	if p := status(t, db, l).Position; p != 1 {
		t.Errorf("position %d, want 1", p)
	}
	if n := len(events(t, db)); n != 1 {
		t.Errorf("%d events, want 1", n)
	}

	_, err = db.Writer().Exec("PRAGMA max_page_count = 1000000")
	must(t, err)
	must(t, db.Logs.Record(t.Context(), b, 501))
	if p := status(t, db, l).Position; p != 501 {
		t.Errorf("position %d once there was room, want 501", p)
	}
}

// TestConcurrentRecord: many logs record at once.
func TestConcurrentRecord(t *testing.T) {
	const logs, batches = 8, 10
	db := open(t)
	var all []ctwatch.Log
	for i := range logs {
		all = append(all, started(t, db, i))
	}
	var wg sync.WaitGroup
	for _, l := range all {
		wg.Go(func() {
			for i := range uint64(batches) {
				f := found(l, int(i), i) // each certificate is in every log
				if err := db.Logs.Record(context.Background(), ctwatch.Batch{Log: l.ID, Found: []ctwatch.Found{f}}, i+1); err != nil {
					t.Error(err)
				}
				if _, err := db.Logs.List(context.Background()); err != nil {
					t.Error(err)
				}
				if err := db.Logs.Advance(context.Background(), l.ID, tree(i+1), head(i+1)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	count := make(map[ctwatch.EventType]int)
	for _, e := range events(t, db) {
		count[e.Type]++
	}
	want := map[ctwatch.EventType]int{
		ctwatch.CertificateIssued: batches, ctwatch.CertificateLogged: batches * (logs - 1), ctwatch.PinCandidate: batches,
	}
	if diff := cmp.Diff(want, count); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	for i := range batches {
		c := get(t, db, i)
		for _, s := range c.Sightings {
			if !s.Verified {
				t.Errorf("certificate %d is not verified in %s", i, s.Log)
			}
		}
		if len(c.Sightings) != logs {
			t.Errorf("certificate %d has %d sightings, want %d", i, len(c.Sightings), logs)
		}
	}
}

// TestReadersDoNotBlockWriter: a transaction that reads does not delay writes.
func TestReadersDoNotBlockWriter(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	recordUnproven(t, db, l, 1, found(l, 1, 0))
	tx, err := db.Reader().Begin()
	must(t, err)
	defer tx.Rollback()
	var before, after int
	must(t, tx.QueryRow(`SELECT count(*) FROM certificates`).Scan(&before))
	// Were it to wait for the reader, it would fail at the busy time-out.
	must(t, db.Logs.Record(t.Context(), ctwatch.Batch{Log: l.ID, Found: []ctwatch.Found{found(l, 2, 1)}}, 2))
	must(t, tx.QueryRow(`SELECT count(*) FROM certificates`).Scan(&after))
	if before != 1 || after != 1 {
		t.Errorf("the reader saw %d certificates, then %d, want 1 both times", before, after)
	}
	get(t, db, 2)
}

// TestManySightings: a certificate that is seen very often makes objects of bounded
// size.
func TestManySightings(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	recordUnproven(t, db, l, 1, found(l, 1, 0))
	_, err := db.Writer().Exec(`
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
		INSERT INTO sightings (certificate, log, entry, leaf_hash, timestamp, kind, epoch, issuer_pin)
		SELECT certificate, log, i, leaf_hash, timestamp, kind, epoch, issuer_pin FROM sightings, n`)
	must(t, err)
	recordUnproven(t, db, l, 6000, found(l, 1, 5999))
	if n := len(get(t, db, 1).Sightings); n != 200 {
		t.Errorf("the certificate carries %d sightings, want the bound of 200", n)
	}
	if got := types(events(t, db)); len(got) != 2 {
		t.Errorf("events %v: the last sighting was not reported", got)
	}
}

// TestHotStatementsSortNothing: no hot statement sorts what it reads.
func TestHotStatementsSortNothing(t *testing.T) {
	db := open(t)
	for _, q := range store.HotStatements() {
		plan, err := db.QueryPlan(t.Context(), q)
		must(t, err)
		if text := strings.Join(plan, "\n"); strings.Contains(text, "TEMP B-TREE") {
			t.Errorf("%s:\n%s", q, text)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	for _, n := range []int{1, 500} {
		b.Run(fmt.Sprintf("found=%d", n), func(b *testing.B) { benchmarkRecord(b, open(b), n, math.MaxInt) })
		b.Run(fmt.Sprintf("judged/found=%d", n), func(b *testing.B) { benchmarkRecord(b, judging(b, "", issuerRule("issuer")), n, 200) })
	}
}

// benchmarkRecord records certificates that have so many keys in turn.
func benchmarkRecord(b *testing.B, db *store.DB, n, keys int) {
	l := started(b, db, 1)
	b.ReportAllocs()
	next := 0
	for b.Loop() {
		batch := ctwatch.Batch{Log: l.ID}
		for range n {
			f := found(l, next, uint64(next))
			f.Certificate.Key.Pin = pin(fmt.Sprint(next % keys))
			batch.Found = append(batch.Found, f)
			next++
		}
		if err := db.Logs.Record(context.Background(), batch, uint64(next)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(next), "µs/certificate")
}
