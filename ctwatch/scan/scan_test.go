package scan_test

import (
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/ctwatch/scan"
	"ctwatch/ctwatch/watchlist"
	"ctwatch/pins"
)

func list(t testing.TB, domains ...string) *watchlist.List {
	t.Helper()
	var rules []watchlist.Rule
	for _, d := range domains {
		r, err := watchlist.NewRule(d, true)
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, r)
	}
	return watchlist.New(rules)
}

// oneName watches one name and nothing below it.
func oneName(t testing.TB, name string) *watchlist.List {
	t.Helper()
	r, err := watchlist.NewRule(name, false)
	if err != nil {
		t.Fatal(err)
	}
	return watchlist.New([]watchlist.Rule{r})
}

// serve starts a log and opens it.
func serve(t testing.TB, o ctlogtest.Options) (*ctlogtest.Log, ctlog.Log) {
	t.Helper()
	l, err := ctlogtest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	stop, err := l.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	log, err := ctlog.Open(l.Info(), ctlog.Options{Client: &http.Client{Transport: tr}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return l, log
}

func scanAll(t testing.TB, l *ctlogtest.Log, log ctlog.Log, s *scan.Scanner) ctwatch.Batch {
	t.Helper()
	head, err := l.Publish()
	if err != nil {
		t.Fatal(err)
	}
	c, err := log.Fetch(t.Context(), 0, head.Size, head.Size)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Scan(c)
	if err != nil {
		t.Fatal(err)
	}
	if root, err := ctlog.Root(ctwatch.Tree{Size: b.End, Range: b.Range}); err != nil || root != head.Root {
		t.Errorf("the batch's range has the root %v (%v), signed is %v", root, err, head.Root)
	}
	return b
}

// A precertificate and its certificate have one identity, and the same names, key and
// issuer.
func TestOneIdentity(t *testing.T) {
	for _, kind := range []ctwatch.LogKind{ctwatch.KindRFC6962, ctwatch.KindStatic} {
		t.Run(string(kind), func(t *testing.T) {
			l, log := serve(t, ctlogtest.Options{Kind: kind, Name: "Lab"})
			ca, err := ctlogtest.NewCA(ctlogtest.CAOptions{})
			if err != nil {
				t.Fatal(err)
			}
			i, err := ca.Issue(ctlogtest.Request{Names: []string{"API.Shop.example", "other.example"}, CommonName: "www.shop.example"})
			if err != nil {
				t.Fatal(err)
			}
			sct, _, err := l.AddPrecert(i)
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Fill(20); err != nil {
				t.Fatal(err)
			}
			final, err := i.Final(sct)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := l.AddFinal(i, final); err != nil {
				t.Fatal(err)
			}
			b := scanAll(t, l, log, &scan.Scanner{Log: l.Info(), List: list(t, "shop.example", "example.net")})
			if len(b.Found) != 2 || len(b.Malformed) != 0 || b.Start != 0 || b.End != 22 || b.Log != l.Info().ID {
				t.Fatalf("%d found, %d malformed, [%d, %d)", len(b.Found), len(b.Malformed), b.Start, b.End)
			}
			pre, fin := b.Found[0], b.Found[1]
			if pre.Certificate.ID != i.ID || fin.Certificate.ID != i.ID || sha256.Sum256(pre.TBS) != i.ID || sha256.Sum256(fin.TBS) != i.ID {
				t.Errorf("IDs %v and %v, want %v", pre.Certificate.ID, fin.Certificate.ID, i.ID)
			}
			if string(pre.DER) != string(i.Precert) || string(fin.DER) != string(final) {
				t.Error("other bytes than those logged")
			}
			wantPre, wantFin := ctwatch.Hash(sha256.Sum256(i.Precert)), ctwatch.Hash(sha256.Sum256(final))
			if diff := cmp.Diff(ctwatch.Fingerprints{Precertificate: &wantPre}, pre.Certificate.Fingerprints); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(ctwatch.Fingerprints{Certificate: &wantFin}, fin.Certificate.Fingerprints); diff != "" {
				t.Error(diff)
			}
			if kind == ctwatch.KindStatic {
				if len(fin.ChainFingerprints) == 0 || !fin.Certificate.Issuer.Pin.IsZero() {
					t.Fatal("a static log does not give the issuer's certificate, only its fingerprint")
				}
				scan.ProveIssuer(&pre, i.Chain)
				scan.ProveIssuer(&fin, i.Chain)
			}
			for _, f := range []ctwatch.Found{pre, fin} {
				c := f.Certificate
				if c.Key.Pin != i.LeafPin || c.Issuer.Pin != i.IssuerPin {
					t.Errorf("pins %v and %v, want %v and %v", c.Key.Pin, c.Issuer.Pin, i.LeafPin, i.IssuerPin)
				}
				if diff := cmp.Diff([]ctwatch.RolePin{{Role: pins.RoleLeaf, Pin: i.LeafPin}, {Role: pins.RoleIssuer, Pin: i.IssuerPin}}, c.Pins); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff([]string{"api.shop.example", "other.example", "www.shop.example"}, c.Names); diff != "" {
					t.Error(diff)
				}
				want := []ctwatch.Match{
					{Watch: "shop.example", Name: "api.shop.example", Domain: "shop.example"},
					{Watch: "shop.example", Name: "www.shop.example", Domain: "shop.example"},
				}
				if diff := cmp.Diff(want, c.Matches); diff != "" {
					t.Error(diff)
				}
				if len(c.Sightings) != 1 || c.Sightings[0].Log != "Lab" || c.Sightings[0].Verified || c.Verdict != ctwatch.Unreviewed {
					t.Errorf("%+v, %s", c.Sightings, c.Verdict)
				}
			}
			if pre.Certificate.Sightings[0].Kind != ctwatch.Precertificate || fin.Certificate.Sightings[0].Kind != ctwatch.FinalCertificate {
				t.Error("kinds are mixed up")
			}
		})
	}
}

// What cannot be parsed is reported, and matches by what can be.
func TestMalformedIsReported(t *testing.T) {
	l, log := serve(t, ctlogtest.Options{Kind: ctwatch.KindRFC6962})
	ca, err := ctlogtest.NewCA(ctlogtest.CAOptions{})
	if err != nil {
		t.Fatal(err)
	}
	last := pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Value: []byte("to be cut")}
	i, err := ca.Issue(ctlogtest.Request{Names: []string{"a.shop.example"}, ExtraExtensions: []pkix.Extension{last}})
	if err != nil {
		t.Fatal(err)
	}
	cut := i.TBS[:len(i.TBS)-3] // its length lies, and its last extension is broken
	raw := func(header [2]byte, leaf []byte) {
		t.Helper()
		if _, err := l.AddRaw(ctlogtest.Entry{Header: header, Leaf: leaf}); err != nil {
			t.Fatal(err)
		}
	}
	timestamped := func(der []byte) []byte {
		leaf, err := ctlogtest.Timestamped(time.Now(), &i.IssuerKeyHash, der, nil)
		if err != nil {
			t.Fatal(err)
		}
		return leaf
	}
	garbage, err := asn1.Marshal("no certificate")
	if err != nil {
		t.Fatal(err)
	}
	raw([2]byte{0, 0}, timestamped(cut))
	raw([2]byte{0, 0}, timestamped(garbage))
	raw([2]byte{0, 0}, []byte("no entry at all"))
	raw([2]byte{1, 0}, timestamped(i.TBS))
	if err := l.Fill(3); err != nil {
		t.Fatal(err)
	}
	b := scanAll(t, l, log, &scan.Scanner{Log: l.Info(), List: list(t, "shop.example")})
	var malformed []uint64
	for _, m := range b.Malformed {
		malformed = append(malformed, m.Index)
		if m.Reason == "" || m.LeafHash.IsZero() {
			t.Errorf("%+v", m)
		}
	}
	if diff := cmp.Diff([]uint64{0, 1, 2, 3}, malformed); diff != "" {
		t.Error(diff)
	}
	if len(b.Found) != 1 || b.Found[0].Certificate.Sightings[0].Index != 0 || len(b.Found[0].Certificate.Problems) == 0 {
		t.Errorf("found: %+v", b.Found)
	}
}

// BenchmarkScan measures the hot path without the network: the cost of an entry
// that matches nothing, with 1,000 watched domains.
func BenchmarkScan(b *testing.B) {
	var rules []watchlist.Rule
	for i := range 1000 {
		r, err := watchlist.NewRule("domain"+string(rune('a'+i%26))+string(rune('a'+i/26%26))+string(rune('a'+i/676))+".example", true)
		if err != nil {
			b.Fatal(err)
		}
		rules = append(rules, r)
	}
	for _, kind := range []ctwatch.LogKind{ctwatch.KindRFC6962, ctwatch.KindStatic} {
		b.Run(string(kind), func(b *testing.B) {
			l, log := serve(b, ctlogtest.Options{Kind: kind})
			if err := l.Fill(256); err != nil {
				b.Fatal(err)
			}
			if _, err := l.Publish(); err != nil {
				b.Fatal(err)
			}
			s := &scan.Scanner{Log: l.Info(), List: watchlist.New(rules)}
			b.ReportAllocs()
			var scanning time.Duration
			for b.Loop() {
				b.StopTimer()
				c, err := log.Fetch(b.Context(), 0, 256, 256)
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				begun := time.Now()
				if _, err := s.Scan(c); err != nil {
					b.Fatal(err)
				}
				scanning += time.Since(begun)
			}
			b.ReportMetric(float64(scanning.Nanoseconds())/256/float64(b.N), "ns/entry")
		})
	}
}
