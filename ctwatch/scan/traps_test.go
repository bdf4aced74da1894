package scan_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/ctwatch/entry"
	"ctwatch/ctwatch/scan"
	"ctwatch/pins"
)

// The traps that certificates are, each logged for real. Those of single names and
// of single bytes have tests in packages watchlist and entry, too.

// A precertificate that is not the entry's is not kept, and is a problem.
func TestTrap08WrongPrecertificate(t *testing.T) {
	inBothKinds(t, func(t *testing.T, lab *lab) {
		i := lab.issue(ctlogtest.Request{Names: []string{"a.shop.example"}})
		other := lab.issue(ctlogtest.Request{Names: []string{"a.shop.example"}})
		cut := i.Precert[:200]
		lab.addRaw(&i.IssuerKeyHash, i.TBS, i.Precert)
		lab.addRaw(&i.IssuerKeyHash, i.TBS, other.Precert)
		lab.addRaw(&i.IssuerKeyHash, i.TBS, cut)
		lab.addRaw(&i.IssuerKeyHash, i.TBS, []byte("noise"))
		b := lab.scan("shop.example")
		if len(b.Found) != 4 || len(b.Malformed) != 0 {
			t.Fatalf("%d found, %d malformed", len(b.Found), len(b.Malformed))
		}
		for n, f := range b.Found {
			c := f.Certificate
			if c.ID != i.ID || c.Key.Pin != i.LeafPin || c.Issuer.Pin != i.IssuerPin || len(c.Matches) != 1 {
				t.Errorf("%d: what the entry says was not kept: %+v", n, c)
			}
			honest := n == 0
			if has := f.DER != nil || c.Fingerprints.Precertificate != nil; has != honest {
				t.Errorf("%d: has the precertificate: %v", n, has)
			}
			if reported := len(c.Problems) == 1 && strings.HasPrefix(c.Problems[0], "precertificate: "); reported == honest || honest && lab.kind == ctwatch.KindRFC6962 && c.Problems != nil {
				t.Errorf("%d: problems %q", n, c.Problems)
			}
		}
	})
}

// A precertificate may be issued by a precertificate signing certificate.
func TestTrap08PrecertificateSigner(t *testing.T) {
	for _, kind := range []ctwatch.LogKind{ctwatch.KindRFC6962, ctwatch.KindStatic} {
		lab := newLab(t, kind, ctlogtest.CAOptions{PrecertSigner: true})
		i := lab.add(ctlogtest.Request{Names: []string{"a.shop.example"}})
		b := lab.scan("shop.example")
		if len(b.Found) != 1 || !bytes.Equal(b.Found[0].DER, i.Precert) || b.Found[0].Certificate.Problems != nil {
			t.Fatalf("%s: %+v", kind, b.Found)
		}
		if got := b.Found[0].Certificate.Issuer.Pin; got != i.IssuerPin {
			t.Errorf("%s: issuer %v, want the final one's %v", kind, got, i.IssuerPin)
		}
	}
}

// All forms of a certificate have one identity.
func TestTrap32OneIdentity(t *testing.T) {
	for name, opt := range map[string]ctlogtest.CAOptions{"direct": {}, "precertificate signing certificate": {PrecertSigner: true}} {
		t.Run(name, func(t *testing.T) {
			rfc, static := newLab(t, ctwatch.KindRFC6962, opt), newLab(t, ctwatch.KindStatic, opt)
			static.ca = rfc.ca
			i := rfc.add(ctlogtest.Request{Names: []string{"a.shop.example"}})
			if _, _, err := static.l.AddPrecert(i); err != nil {
				t.Fatal(err)
			}
			sct, _, err := rfc.l.AddPrecert(i) // a second time: another entry
			if err != nil {
				t.Fatal(err)
			}
			final, err := i.Final(sct)
			if err != nil {
				t.Fatal(err)
			}
			for _, lab := range []*lab{rfc, static} {
				if _, _, err := lab.l.AddFinal(i, final); err != nil {
					t.Fatal(err)
				}
			}
			sightings := make(map[string]bool)
			for _, lab := range []*lab{rfc, static} {
				for _, f := range lab.scan("shop.example").Found {
					if f.Certificate.ID != i.ID {
						t.Errorf("%v, want %v", f.Certificate.ID, i.ID)
					}
					s := f.Certificate.Sightings[0]
					sightings[fmt.Sprint(s.LogID, s.Index, s.Kind)] = true
				}
			}
			if len(sightings) != 5 {
				t.Errorf("%d sightings, want 5: %v", len(sightings), sightings)
			}
		})
	}
}

// A precertificate entry has everything that is needed.
func TestTrap33PrecertificateSuffices(t *testing.T) {
	inBothKinds(t, func(t *testing.T, lab *lab) {
		i := lab.add(ctlogtest.Request{
			Names: []string{"a.shop.example"}, IPs: []netip.Addr{netip.MustParseAddr("192.0.2.7")},
			CommonName: "b.shop.example", NotBefore: time.Unix(1767225600, 0), NotAfter: time.Unix(1775001600, 0), Serial: big.NewInt(0x1234),
		})
		b := lab.scan("shop.example")
		if len(b.Found) != 1 {
			t.Fatal(len(b.Found))
		}
		f := b.Found[0]
		if lab.kind == ctwatch.KindStatic { // whose chain has to be fetched
			scan.ProveIssuer(&f, i.Chain)
		}
		c := f.Certificate
		want := ctwatch.Certificate{
			ID: i.ID, Serial: "1234", Names: []string{"a.shop.example", "b.shop.example"}, IPAddresses: []string{"192.0.2.7"},
			Subject: "CN=b.shop.example", NotBefore: time.Unix(1767225600, 0).UTC(), NotAfter: time.Unix(1775001600, 0).UTC(),
			Issuer: ctwatch.Issuer{Name: "CN=ctlogtest Intermediate,O=ctlogtest", Pin: i.IssuerPin, Proven: true},
			Key:    ctwatch.CertificateKey{Algorithm: "ECDSA P-256", Pin: i.LeafPin},
			Pins:   []ctwatch.RolePin{{Role: pins.RoleLeaf, Pin: i.LeafPin}, {Role: pins.RoleIssuer, Pin: i.IssuerPin}},
			Matches: []ctwatch.Match{
				{Watch: "shop.example", Name: "a.shop.example", Domain: "shop.example"},
				{Watch: "shop.example", Name: "b.shop.example", Domain: "shop.example"},
			},
			Verdict: ctwatch.Unreviewed, Sightings: c.Sightings, Fingerprints: c.Fingerprints,
		}
		if diff := cmp.Diff(want, c); diff != "" {
			t.Error(diff)
		}
	})
}

// Two CAs have one name, and their certificates one serial number; and an entry has the
// bytes of another but a different key. Issuers are distinguished by their keys.
func TestTrap34IssuerIsItsKey(t *testing.T) {
	inBothKinds(t, func(t *testing.T, lab *lab) {
		r := ctlogtest.Request{Names: []string{"a.shop.example"}, Serial: big.NewInt(7)}
		honest := lab.add(r)
		rogue := newLab(t, lab.kind, ctlogtest.CAOptions{})
		forged := rogue.issue(r)
		if _, _, err := lab.l.AddPrecert(forged); err != nil {
			t.Fatal(err)
		}
		lab.addRaw(&forged.IssuerKeyHash, honest.TBS, honest.Precert)
		b := lab.scan("shop.example")
		if len(b.Found) != 3 {
			t.Fatal(len(b.Found))
		}
		for n, want := range []pins.Pin{honest.IssuerPin, forged.IssuerPin, forged.IssuerPin} {
			c := b.Found[n].Certificate
			if c.Issuer.Pin != want || c.Issuer.Name != b.Found[0].Certificate.Issuer.Name || c.Serial != "07" {
				t.Errorf("%d: issuer %+v, want the pin %v", n, c.Issuer, want)
			}
		}
		if b.Found[0].Certificate.ID == b.Found[1].Certificate.ID {
			t.Error("certificates of two CAs are one")
		}
	})
}

// Certificates that crypto/x509 does not parse match.
func TestTrap35ReadsWhatStrictParsersRefuse(t *testing.T) {
	names := []string{"a.shop.example"}
	utcTimes := func(b []byte) []byte { // spoils both dates
		for at := 0; ; {
			i := bytes.Index(b[at:], []byte("\x17\x0d"))
			if i < 0 {
				return b
			}
			at += i + 2
			copy(b[at:], "not a date at")
		}
	}
	for name, tt := range map[string]struct {
		request ctlogtest.Request
		change  func(cert []byte) []byte
		problem string // "" for none
	}{
		"negative serial number":         {request: ctlogtest.Request{Names: names, Serial: big.NewInt(-5)}},
		"invalid dates":                  {request: ctlogtest.Request{Names: names}, change: utcTimes, problem: "validity"},
		"data behind the certificate":    {request: ctlogtest.Request{Names: names}, change: func(b []byte) []byte { return append(b, "more"...) }},
		"two SAN extensions":             {request: ctlogtest.Request{Names: []string{"other.test"}, ExtraExtensions: []pkix.Extension{san(names...)}}},
		"an empty SAN extension and one": {request: ctlogtest.Request{ExtraExtensions: []pkix.Extension{extension(nil, 2, 5, 29, 17), san(names...)}}},
		"garbage in an extension":        {request: ctlogtest.Request{Names: names, ExtraExtensions: []pkix.Extension{extension([]byte("noise"), 2, 5, 29, 15)}}},
		"non-ASCII in a dNSName":         {request: ctlogtest.Request{Names: []string{"\xfc.test", names[0]}}},
		"iPAddress of 5 octets":          {request: ctlogtest.Request{ExtraExtensions: []pkix.Extension{extension(str(0x30, string(str(0x82, names[0]))+string(str(0x87, "12345"))), 2, 5, 29, 17)}}, problem: "IP addresses"},
		"wrong characters in a string":   {request: ctlogtest.Request{Subject: subject(str(0x13, "a_b@c"), str(0x13, "*.shop.example"))}},
		"a BMPString cut short":          {request: ctlogtest.Request{Names: names, Subject: subject([]byte("\x1e\x03\x00ab"))}, problem: "names"},
		"a key that is noise": {request: ctlogtest.Request{Names: names}, change: func(b []byte) []byte {
			return bytes.Replace(b, []byte("\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04"), []byte("\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x09"), 1)
		}, problem: "public key"},
		"lengths that are no DER": {request: ctlogtest.Request{Names: names}, change: func(b []byte) []byte {
			// The outermost, in four octets instead of two.
			return append([]byte{0x30, 0x84, 0, 0, b[2], b[3]}, b[4:]...)
		}, problem: "encoding"},
	} {
		t.Run(name, func(t *testing.T) {
			inBothKinds(t, func(t *testing.T, lab *lab) {
				i := lab.issue(tt.request)
				final, err := i.Final()
				if err != nil {
					t.Fatal(err)
				}
				if tt.change != nil {
					final = tt.change(slices.Clone(final))
				}
				if _, err := x509.ParseCertificate(final); err == nil {
					t.Error("crypto/x509 parses it: the case shows nothing")
				}
				lab.addRaw(nil, final, nil)
				b := lab.scan("shop.example")
				if len(b.Found) != 1 {
					t.Fatalf("%d found, malformed: %+v", len(b.Found), b.Malformed)
				}
				c := b.Found[0].Certificate
				if c.Key.Pin != i.LeafPin && tt.problem != "public key" || len(c.Matches) == 0 || !bytes.Equal(b.Found[0].DER, final) {
					t.Errorf("%+v", c)
				}
				problems := strings.Join(c.Problems, "\n")
				if tt.problem == "" && problems != "" || !strings.HasPrefix(problems, tt.problem) {
					t.Errorf("problems %q, want %q", problems, tt.problem)
				}
				if reported := len(b.Malformed) > 0; reported != (tt.problem == "names") {
					t.Errorf("malformed: %+v", b.Malformed)
				}
			})
		})
	}
}

// Damaged certificates match by what is left of them, and are reported.
func TestTrap35DamagedCertificates(t *testing.T) {
	inBothKinds(t, func(t *testing.T, lab *lab) {
		final, err := lab.issue(ctlogtest.Request{CommonName: "b.shop.example", Names: []string{"a.shop.example"}}).Final()
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range []func(b []byte) []byte{
			func(b []byte) []byte { b[6], b[7] = 0xff, 0xff; return b },             // the TBSCertificate is longer than the certificate
			func(b []byte) []byte { b[2], b[3] = 0xff, 0xff; return b[:len(b)-60] }, // the certificate is cut short behind it, where nothing is read
			func(b []byte) []byte { b[4] = 0x04; return b },                         // the TBSCertificate is no SEQUENCE
			func(b []byte) []byte { return append([]byte("noise"), b...) },
			func(b []byte) []byte { // an extension is longer than the extensions
				i := bytes.Index(b, []byte("\x06\x03\x55\x1d\x0f"))
				b[i-1] = 0x7f
				return b
			},
		} {
			lab.addRaw(nil, change(slices.Clone(final)), nil)
		}
		b := lab.scan("shop.example")
		got := matched(b)
		for i := range uint64(5) {
			if !slices.Contains(got[i], "a.shop.example") {
				t.Errorf("entry %d matches by %q", i, got[i])
			}
		}
		reasons := make(map[uint64]string)
		for _, m := range b.Malformed {
			reasons[m.Index] = m.Reason
		}
		want := map[uint64]string{
			0: string(entry.TruncatedTBS), 2: string(entry.NoTBS), 3: string(entry.NoCertificate), 4: string(entry.TruncatedExtensions),
		}
		if diff := cmp.Diff(want, reasons); diff != "" {
			t.Error(diff)
		}
	})
}

// Entries as large as a log can hold are read in bounded memory.
func TestTrap41HugeCertificates(t *testing.T) {
	t.Run("10,000 names", func(t *testing.T) {
		inBothKinds(t, func(t *testing.T, lab *lab) {
			var names []string
			for i := range 10_000 {
				names = append(names, fmt.Sprintf("host-%d.shop.example", i))
			}
			lab.add(ctlogtest.Request{Names: names})
			b := lab.scan("shop.example")
			if len(b.Found) != 1 || len(b.Found[0].Certificate.Matches) != 10_000 || b.Found[0].Certificate.Problems != nil {
				t.Fatalf("%d found", len(b.Found))
			}
		})
	})
	t.Run("duplicate and empty SAN", func(t *testing.T) {
		inBothKinds(t, func(t *testing.T, lab *lab) {
			lab.add(ctlogtest.Request{ExtraExtensions: []pkix.Extension{san("b.test"), san(), extension(nil, 2, 5, 29, 17), san("a.shop.example"), san("a.shop.example")}})
			if got := matched(lab.scan("shop.example")); len(got[0]) != 1 {
				t.Errorf("%v", got)
			}
		})
	})
	t.Run("16 MiB", func(t *testing.T) {
		const most = 1<<24 - 1<<12
		long := strings.Repeat("a", 16_000)
		lab := newLab(t, ctwatch.KindStatic, ctlogtest.CAOptions{})
		i := lab.issue(ctlogtest.Request{ExtraExtensions: []pkix.Extension{san(append(slices.Repeat([]string{long + ".test", long + "!\x00\xff"}, most/(2*len(long)+20)), "a.shop.example")...)}})
		lab.addRaw(&i.IssuerKeyHash, i.TBS, i.Precert[:100])
		head, err := lab.l.Publish()
		if err != nil {
			t.Fatal(err)
		}
		c, err := lab.log.Fetch(t.Context(), 0, head.Size, head.Size)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		b, err := (&scan.Scanner{Log: lab.l.Info(), List: list(t, "shop.example")}).Scan(c)
		runtime.ReadMemStats(&after)
		if err != nil || len(b.Found) != 1 {
			t.Fatal(err, len(b.Found))
		}
		if all := after.TotalAlloc - before.TotalAlloc; all > 512<<20 {
			t.Errorf("%d MiB were allocated in all", all>>20)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); held > 64<<20 {
			t.Errorf("%d MiB are held for one entry", held>>20)
		}
		runtime.KeepAlive(b)
	})
}

// Text from certificates is printable.
func TestTrap42HostileText(t *testing.T) {
	hostile := []string{"<!channel>.shop.example", "<https://evil|click>.shop.example", "\x1b[31mred.shop.example", "\u202eevil.shop.example", "a\nb.shop.example", "\"'&`$(x).shop.example"}
	inBothKinds(t, func(t *testing.T, lab *lab) {
		for _, s := range hostile {
			lab.add(ctlogtest.Request{Names: []string{s}, Subject: subject(str(0x0c, s))})
		}
		b := lab.scan("shop.example")
		if len(b.Found) != len(hostile) {
			t.Errorf("%d found, want %d", len(b.Found), len(hostile))
		}
		for _, f := range b.Found {
			c := f.Certificate
			for _, m := range c.Matches {
				if m.Domain != "shop.example" || m.Watch != "shop.example" {
					t.Errorf("a subject could have text from a certificate in it: %+v", m)
				}
			}
			for _, s := range append(slices.Concat(c.Names, c.Problems), c.Subject, c.Issuer.Name) {
				if s != ctwatch.Printable(s, len(s)) {
					t.Errorf("%q is not printable", s)
				}
			}
		}
	})
}
