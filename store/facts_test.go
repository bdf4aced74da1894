package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

func TestFacts(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	ended := found(l, 2, 1)
	ended.Certificate.NotAfter = epoch
	unreadable := found(l, 3, 2)
	unreadable.Certificate.NotBefore, unreadable.Certificate.NotAfter = time.Time{}, time.Time{}
	unreadable.Certificate.Issuer, unreadable.Certificate.Key = ctwatch.Issuer{}, ctwatch.CertificateKey{}
	hostile := found(l, 4, 3)
	hostile.Certificate.Names = []string{".example.com", "*.Example.com", "-x.example.com", "a b.example.com", "", "*", "api.example.com", "*.*.example.com"}
	hostile.Certificate.Verdict = ctwatch.Unexpected
	noLeaf := found(l, 5, 4)
	noLeaf.Certificate.Key = ctwatch.CertificateKey{}
	record(t, db, l, 5, found(l, 1, 0), ended, unreadable, hostile, noLeaf)
	_, err := db.Certificates.SetVerdict(t.Context(), certificate(1).ID, ctwatch.Expected, nil, "ada", "ours")
	must(t, err)
	observe(t, db, look("w1.example.com", "192.0.2.1:443", 1))
	approve(t, db, approval(pin("key1"), "w1.example.com"))

	got, err := db.Plans.Facts(t.Context())
	must(t, err)
	keys, err := db.Keys.List(t.Context())
	must(t, err)
	issued := func(n int, names ...string) pins.Issued {
		c := certificate(n)
		return pins.Issued{
			ID: c.ID.String(), Names: hosts(names...), Chain: pins.Chain{Pins: []pins.Pin{c.Key.Pin, c.Issuer.Pin}, Open: true},
			NotBefore: c.NotBefore, NotAfter: c.NotAfter, FirstSeen: c.FirstSeen,
		}
	}
	one := issued(1, "w1.example.com", "other.test")
	one.Expected = true
	three := issued(3, "w3.example.com", "other.test")
	three.NotBefore, three.NotAfter, three.Chain.Pins = time.Time{}, time.Time{}, nil
	four := issued(4, "*.example.com", "api.example.com")
	four.Rejected = true
	five := issued(5, "w5.example.com", "other.test")
	five.Chain.Pins[0] = pins.Pin{}
	c := certificate(1)
	want := pins.Facts{
		Now: epoch, Keys: keys,
		Served: []pins.Served{{
			Host: "w1.example.com", Address: "192.0.2.1:443", Algorithm: "ECDSA P-256", Chain: served(1).Chain, ID: c.ID.String(), Named: true,
			NotBefore: c.NotBefore, NotAfter: c.NotAfter, Since: epoch, At: epoch,
		}},
		Issued: []pins.Issued{one, three, four, five},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
}

// TestCertificatesForDocuments: what is served, and the final certificates of keys.
func TestCertificatesForDocuments(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	ended := final(found(l, 11, 2))
	ended.Certificate.NotAfter = epoch
	rejected := final(found(l, 21, 3))
	rejected.Certificate.Verdict = ctwatch.Unexpected
	record(t, db, l, 5, final(found(l, 1, 0)), found(l, 31, 1), ended, rejected, final(found(l, 2, 4)))
	two := look("b.example.com", "192.0.2.1:443", 1, 2)
	two.Addresses = append(two.Addresses, look("b.example.com", "192.0.2.2:443", 1).Addresses...)
	observe(t, db, two)
	observe(t, db, look("a.example.com", "192.0.2.1:443", 1))

	leaf := func(h string, n int) pins.Leaf {
		return pins.Leaf{Names: []pins.Pattern{{Name: h}}, DER: served(n).Certificates[0], CommonName: certificate(n).Names[0], Pin: certificate(n).Key.Pin, NotAfter: certificate(n).NotAfter}
	}
	leaves, err := db.Documents.ServedCertificates(t.Context())
	must(t, err)
	byName := cmpopts.SortSlices(func(a, b pins.Leaf) bool { return a.Names[0].Name+a.CommonName < b.Names[0].Name+b.CommonName })
	if diff := cmp.Diff([]pins.Leaf{leaf("a.example.com", 1), leaf("b.example.com", 1), leaf("b.example.com", 2)}, leaves, byName); diff != "" {
		t.Errorf("served (-want +got):\n%s", diff)
	}

	finals, err := db.Documents.FinalCertificates(t.Context(), []pins.Pin{pin("key1"), pin("?")})
	must(t, err)
	want := []pins.Leaf{{
		DER: final(found(l, 1, 0)).DER, Pin: pin("key1"), Names: []pins.Pattern{{Name: "w1.example.com"}, {Name: "other.test"}}, NotAfter: certificate(1).NotAfter,
	}}
	if diff := cmp.Diff(want, finals); diff != "" {
		t.Errorf("finals (-want +got):\n%s", diff)
	}
	if none, err := db.Documents.FinalCertificates(t.Context(), nil); err != nil || len(none) != 0 {
		t.Errorf("of no keys: %v, %v", none, err)
	}
}

// TestRevision: it grows with what plans depend on, and with nothing else.
func TestRevision(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	noIssuer := found(l, 1, 0)
	noIssuer.Certificate.Issuer = ctwatch.Issuer{}
	steps := []struct {
		name  string
		grows bool
		do    func() error
	}{
		{"a certificate", true, func() error { record(t, db, l, 1, noIssuer); return nil }},
		{"read again", false, func() error { record(t, db, l, 1, noIssuer); return nil }},
		{"a position", false, func() error { return db.Logs.Advance(t.Context(), l.ID, tree(1), head(1)) }},
		{"its issuer", true, func() error { return db.Logs.AddProof(t.Context(), l.ID, found(l, 1, 0)) }},
		{"an approval", true, func() error { approve(t, db, approval(pin("key1"), "a.example")); return nil }},
		{"shipped", true, func() error { return db.Apps.Import(t.Context(), pins.ShippedFile{App: "a", Version: "1"}) }},
		{"settled", true, func() error { settle(t, db, pin("key1")); return nil }},
		{"dropped", true, func() error { return db.Apps.DropVersion(t.Context(), "a", "1", "ada", "") }},
		{"served", true, func() error {
			return db.Endpoints.Observe(t.Context(), look("a.example", "192.0.2.1:443", 1), describe)
		}},
		{"served still", false, func() error {
			return db.Endpoints.Observe(t.Context(), look("a.example", "192.0.2.1:443", 1), describe)
		}},
		{"forgotten", true, func() error { return db.Endpoints.KeepOnly(t.Context(), nil) }},
		{"policy", true, func() error {
			return db.Keys.SyncPolicy(t.Context(), []pins.PolicyGrant{policyGrant("key2", "a.example")})
		}},
		{"retired", true, func() error { return db.Keys.Retire(t.Context(), pin("key1"), true, "ada", "") }},
		{"a verdict", true, func() error {
			_, err := db.Certificates.SetVerdict(t.Context(), certificate(1).ID, ctwatch.Unexpected, nil, "ada", "")
			return err
		}},
		{"conditions", false, func() error { return db.Plans.SyncConditions(t.Context(), nil) }},
	}
	last := revision(t, db)
	for _, s := range steps {
		must(t, s.do())
		now := revision(t, db)
		if (now > last) != s.grows {
			t.Errorf("%s: the revision went from %d to %d", s.name, last, now)
		}
		last = now
	}
}

func BenchmarkFacts(b *testing.B) {
	db := open(b)
	l := started(b, db, 1)
	const n = 20_000
	batch := ctwatch.Batch{Log: l.ID}
	for i := range n {
		f := found(l, i, uint64(i))
		f.Certificate.Key.Pin = pin(fmt.Sprint(i))
		batch.Found = append(batch.Found, f)
	}
	must(b, db.Logs.Record(context.Background(), batch, n))
	for i := range 1000 {
		must(b, db.Endpoints.Observe(context.Background(), look(fmt.Sprintf("w%d.example.com", i), "192.0.2.1:443", i), describe))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := db.Plans.Facts(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}
