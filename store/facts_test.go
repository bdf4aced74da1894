package store_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ctwatch/ctwatch"
	"ctwatch/pins"
	"ctwatch/store"
)

// scope is that of an app with some hosts.
func scope(on ...string) pins.Scope {
	return pins.Scope{Apps: []pins.App{{Name: "shop", Hosts: hosts(on...), Role: pins.RoleLeaf, MinPins: 2}}}
}

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

	got, _, err := db.Plans.Facts(t.Context(), scope("w1.example.com", "w3.example.com", "w5.example.com", "api.example.com"))
	must(t, err)
	// Of their hosts and certificates plans need little.
	keys := []pins.Key{key(t, db, pin("key1"), pins.RoleLeaf), key(t, db, pin("issuer"), pins.RoleIssuer), key(t, db, pin("key4"), pins.RoleLeaf)}
	for i := range keys {
		keys[i].Hosts = nil
	}
	keys[1].Certificates = nil
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
		Now: epoch, Keys: keys, Above: map[pins.Pin][]pins.Chain{},
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

// TestConcerns: changes that concern no app pass, and others do not.
func TestConcerns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	clock := newClock()
	db := openAt(t, path, clock)
	l := started(t, db, 1)
	record(t, db, l, 1, found(l, 1, 0))
	observe(t, db, look("w6.example.com", "192.0.2.1:443", 6))
	if !db.Plans.Concerns(revision(t, db)) {
		t.Error("before anything is watched, something passed")
	}
	n := uint64(1)
	logged := func(c int) func() {
		return func() { record(t, db, l, n+1, found(l, c, n)); n++ }
	}
	elsewhere := func(change func(*store.DB)) func() {
		return func() {
			other, err := store.OpenShared(t.Context(), path, store.Options{Logger: discard(), Now: clock.Now})
			must(t, err)
			change(other)
			must(t, other.Close())
		}
	}
	for _, s := range []struct {
		name string
		do   func()
		want bool
	}{
		{"nothing", func() {}, false},
		{"another name", logged(2), false},
		{"two other names", func() { logged(3)(); logged(4)() }, false},
		{"a name of the app", logged(5), true},
		{"a key of the app", logged(21), true}, // that of certificate 1
		{"a verdict elsewhere", func() {
			_, err := db.Certificates.SetVerdict(t.Context(), certificate(2).ID, ctwatch.Expected, nil, "ada", "")
			must(t, err)
		}, false},
		{"a verdict of the app", func() {
			_, err := db.Certificates.SetVerdict(t.Context(), certificate(1).ID, ctwatch.Unexpected, nil, "ada", "")
			must(t, err)
		}, true},
		{"an approval elsewhere", func() { approve(t, db, approval(pin("key2"), "w2.example.com")) }, false},
		{"an approval for the app", func() { approve(t, db, approval(pin("key2"), ".example.com")) }, true},
		{"of a key that is served", func() { approve(t, db, approval(pin("key6"), "w6.example.com")) }, true},
		{"retired elsewhere", func() { must(t, db.Keys.Retire(t.Context(), pin("key3"), false, "ada", "")) }, true},
		{"served", func() { observe(t, db, look("w9.example.com", "192.0.2.1:443", 9)) }, true},
		{"shipped", func() { must(t, db.Apps.Import(t.Context(), pins.ShippedFile{App: "a", Version: "1"})) }, true},
		{"another process", elsewhere(func(o *store.DB) { approve(t, o, approval(pin("key4"), "w4.example.com")) }), true},
		{"another process, then here", func() {
			elsewhere(func(o *store.DB) { approve(t, o, approval(pin("key4"), "w4.example.net")) })()
			logged(7)()
		}, true},
		{"here, then another process", func() {
			logged(8)()
			elsewhere(func(o *store.DB) { approve(t, o, approval(pin("key4"), "w4.example.org")) })()
		}, true},
	} {
		_, in, err := db.Plans.Facts(t.Context(), scope("w1.example.com", "w5.example.com"))
		must(t, err)
		db.Plans.Watch(in)
		s.do()
		if got := db.Plans.Concerns(revision(t, db)); got != s.want {
			t.Errorf("%s: %v, want %v", s.name, got, s.want)
		}
	}

	// What changes after facts were read, and before they are watched, may concern them.
	_, in, err := db.Plans.Facts(t.Context(), scope("w1.example.com"))
	must(t, err)
	logged(12)()
	db.Plans.Watch(in)
	if logged(13)(); !db.Plans.Concerns(revision(t, db)) {
		t.Error("a change before the facts were watched passed")
	}
}

// TestNewNames: names are those of certificates that were found since.
func TestNewNames(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	record(t, db, l, 1, found(l, 1, 0))
	names, last, err := db.Plans.NewNames(t.Context(), -1)
	must(t, err)
	if len(names) > 0 || last != 1 {
		t.Errorf("at first %v, up to %d", names, last)
	}
	ended := found(l, 3, 2)
	ended.Certificate.NotAfter = epoch
	record(t, db, l, 3, found(l, 2, 1), ended)
	for after, want := range map[int64][]pins.Pattern{0: hosts("w1.example.com", "other.test", "w2.example.com", "other.test"), 1: hosts("w2.example.com", "other.test"), 2: nil, 3: nil} {
		names, last, err := db.Plans.NewNames(t.Context(), after)
		must(t, err)
		if diff := cmp.Diff(want, names); diff != "" || last != 3 {
			t.Errorf("after %d up to %d (-want +got):\n%s", after, last, diff)
		}
	}
}

// TestPlansReadByIndexes: what plans read, they find by an index: json_each has what is looked
// for, and the index of what policy granted nothing else.
func TestPlansReadByIndexes(t *testing.T) {
	plans, err := open(t).PlanForPlans(t.Context())
	must(t, err)
	for q, plan := range plans {
		for _, p := range plan {
			if strings.HasPrefix(p, "SCAN ") && !strings.Contains(p, "VIRTUAL TABLE") && !strings.Contains(p, "grants_by_policy") && p != "SCAN CONSTANT ROW" {
				t.Errorf("%s\n%s", q, strings.Join(plan, "\n"))
				break
			}
		}
	}
}

// TestPlansReadNoOtherRows: what is read for a plan, and to settle keys, is the same
// however many certificates there are that concern no app.
func TestPlansReadNoOtherRows(t *testing.T) {
	db := judging(t, "", issuerRule("issuer"))
	l := started(t, db, 1)
	record(t, db, l, 2, found(l, 1, 0), found(l, 5, 1))
	read := func() (pins.Facts, int) {
		f, _, err := db.Plans.Facts(t.Context(), scope("w1.example.com", "w5.example.com", "*.sub.example.com"))
		must(t, err)
		n, err := db.MaySettle(t.Context())
		must(t, err)
		return f, n
	}
	before, settle := read()
	var others []ctwatch.Found
	for i := range 300 {
		f := found(l, 1000+i, uint64(2+i))
		f.Certificate.Key.Pin = pin(fmt.Sprint("another ", i))
		f.Certificate.Names = f.Certificate.Names[:1]
		f.Certificate.SetPins()
		others = append(others, f)
	}
	record(t, db, l, 302, others...)
	if s := state(t, db, pin("another 7")); s != pins.StateApproved {
		t.Fatalf("rules approve by others, and the key is %s", s)
	}
	after, settleNow := read()
	if diff := cmp.Diff(before, after); diff != "" || len(after.Issued) != 2 {
		t.Errorf("%d certificates, with others (-want +got):\n%s", len(after.Issued), diff)
	}
	if settle != settleNow {
		t.Errorf("%d keys are considered to be settled, and with others %d", settle, settleNow)
	}
}
