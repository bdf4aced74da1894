package entry_test

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/ctwatch/entry"
	"ctwatch/pins"
)

// formBy chooses a form for each element, the same one for the same place.
func formBy(seed uint64) func(path []int, tag byte) ctlogtest.Form {
	return func(path []int, tag byte) ctlogtest.Form {
		h := fnv.New64a()
		fmt.Fprint(h, path)
		r := rand.New(rand.NewPCG(seed, h.Sum64()))
		f := ctlogtest.Form{TagOctets: r.IntN(4), Indefinite: r.IntN(3) == 0}
		if r.IntN(3) == 0 {
			f.LengthOctets = 4 + r.IntN(20) // more than any length here needs
		}
		switch tag {
		case 0x03, 0x04, 0x0c, 0x13, 0x17, 0x18, 0x82, 0x87: // strings and times
			if r.IntN(3) == 0 {
				f.Parts, f.Nesting = 1+r.IntN(3), r.IntN(3)
			}
		}
		return f
	}
}

// inForms issues a certificate in the forms that the seed chooses.
func inForms(tb testing.TB, ca *ctlogtest.CA, seed uint64) *ctlogtest.Issued {
	tb.Helper()
	key, err := ctlogtest.SeededKey("forms")
	if err != nil {
		tb.Fatal(err)
	}
	i, err := ca.Issue(ctlogtest.Request{
		Names: []string{"a.shop.example", "*.shop.example"}, IPs: []netip.Addr{netip.MustParseAddr("192.0.2.7")}, CommonName: "b.shop.example", Key: key,
		Encode: func(tbs []byte) ([]byte, error) { return ctlogtest.Reencode(tbs, formBy(seed)) },
	})
	if err != nil {
		tb.Fatal(err)
	}
	return i
}

// checkForms compares what is read in whatever forms with what is read in DER.
func checkForms(t *testing.T, ca *ctlogtest.CA, seed uint64) {
	i := inForms(t, ca, seed)
	c := entry.Describe(i.TBS)
	want := ctwatch.Certificate{
		ID: i.ID, Serial: c.Serial, Names: []string{"a.shop.example", "*.shop.example", "b.shop.example"}, IPAddresses: []string{"192.0.2.7"},
		Subject: "CN=b.shop.example", NotBefore: c.NotBefore, NotAfter: c.NotBefore.AddDate(0, 0, 90),
		Issuer: ctwatch.Issuer{Name: "CN=ctlogtest Intermediate,O=ctlogtest"},
		Key:    ctwatch.CertificateKey{Algorithm: "ECDSA P-256", Pin: c.Key.Pin},
	}
	problems := c.Problems
	c.Problems = nil
	if diff := cmp.Diff(want, c); diff != "" || c.NotBefore.IsZero() || len(c.Serial) != 32 {
		t.Errorf("seed %d: %s\nproblems %q", seed, diff, problems)
	}
	if n := len(problems); n == 0 {
		t.Errorf("seed %d: nothing is said of the encoding", seed)
	}
	final, err := i.Final([]byte("an SCT"))
	if err != nil {
		t.Fatal(err)
	}
	// Pin and identity are of the bytes as they came, in all forms of the certificate.
	for what, cert := range map[string][]byte{"precertificate": i.Precert, "certificate": final} {
		tbs, err := entry.TBS(cert)
		if err != nil {
			t.Fatalf("seed %d: %s: %v", seed, what, err)
		}
		if id, _, err := entry.Identity(tbs); err != nil || id != i.ID {
			t.Errorf("seed %d: the %s has the identity %v (%v), want %v", seed, what, id, err, i.ID)
		}
		if spki, err := entry.SPKI(cert); err != nil || pins.FromSPKI(spki) != want.Key.Pin {
			t.Errorf("seed %d: the %s has another pin (%v)", seed, what, err)
		}
	}
	if err := entry.PrecertificateIssuedBy(ctwatch.Hash(i.IssuerKeyHash), i.TBS, i.Precert, i.PrecertChain); err != nil {
		t.Errorf("seed %d: the precertificate: %v", seed, err)
	}
	issuer, err := entry.SPKI(i.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	if err := entry.SignedBy(final, issuer); err != nil {
		t.Errorf("seed %d: the certificate: %v", seed, err)
	}
}

func formsCA(tb testing.TB) *ctlogtest.CA {
	tb.Helper()
	ca, err := ctlogtest.NewCA(ctlogtest.CAOptions{Seed: "forms"})
	if err != nil {
		tb.Fatal(err)
	}
	return ca
}

// Whatever forms BER has for the elements of a certificate, what it says is read, its
// bytes are hashed as they came, and its issuer is proven.
func TestFormsOfBERChangeNothing(t *testing.T) {
	ca := formsCA(t)
	for seed := range uint64(300) {
		checkForms(t, ca, seed)
	}
}

// A CA's certificate says that it is one in any form.
func TestIsCAInAnyForm(t *testing.T) {
	tbs, err := entry.TBS(formsCA(t).Intermediate)
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(100) {
		if b, err := ctlogtest.Reencode(tbs, formBy(seed)); err != nil || !entry.IsCA(b) {
			t.Errorf("seed %d: no CA (%v)", seed, err)
		}
	}
}

func FuzzFormsOfBERChangeNothing(f *testing.F) {
	ca := formsCA(f)
	for seed := range uint64(4) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { checkForms(t, ca, seed) })
}

// inBER returns TBSCertificates that are no DER, for fuzzing to begin with.
func inBER(tb testing.TB) (out [][]byte) {
	tb.Helper()
	ca := formsCA(tb)
	for seed := range uint64(8) {
		out = append(out, inForms(tb, ca, seed).TBS)
	}
	return out
}

// What is not DER is named.
func TestEncodingIsNamed(t *testing.T) {
	for name, tt := range map[string]struct {
		b    []byte
		want string // after the common beginning; "" for DER
	}{
		"DER":                   {typical(t), ""},
		"a long tag":            {[]byte{0x3f, 0x10, 0}, "tag numbers in the long form"},
		"a tag above 30":        {[]byte{0x1f, 0x1f, 0}, ""},
		"a tag with zeros":      {[]byte{0x3f, 0x80, 0x80, 0x10, 0}, "tag numbers in the long form"},
		"a long length":         {[]byte{0x30, 0x81, 0}, "lengths in more octets than they need"},
		"an indefinite length":  {[]byte{0x30, 0x80, 0, 0}, "indefinite lengths"},
		"parts":                 {[]byte{0x2c, 3, 0x0c, 1, 'a'}, "strings in parts"},
		"a boolean":             {[]byte{1, 1, 1}, "booleans that are neither 0 nor 255"},
		"within a SAN":          {san([]byte{0x82, 0x81, 1, 'a'}), "lengths in more octets than they need"},
		"not in what is opaque": {ext(oidKeyUse, []byte{0x30, 0x80}), ""},
		"several":               {[]byte{0x3f, 0x10, 0x80, 0, 0}, "tag numbers in the long form, indefinite lengths"},
	} {
		got := ""
		if err := entry.Encoding(tt.b); err != nil {
			got = err.Error()
		}
		want := tt.want
		if want != "" {
			want = "it is not DER, which strict parsers refuse and OpenSSL accepts: " + want
		}
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// Names that are visited in odd forms are reported of every entry, and are no less read.
func TestOddFormsAreReported(t *testing.T) {
	for name, tbs := range map[string][]byte{
		"a long tag":           newTemplate(san([]byte{0x9f, 0x80, 2, 6, 'a', '.', 't', 'e', 's', 't'})).build(),
		"an indefinite length": newTemplate(seq(str(6, oidSAN), append(append([]byte{0x24, 0x80}, der(4, seq(dns("a.test")))...), 0, 0))).build(),
		"parts in parts":       newTemplate(seq(str(6, oidSAN), der(0x24, der(0x24, str(4, "\x30\x08\x82\x06a.te"), str(4, "st"))))).build(),
	} {
		got, err := names(tbs)
		if diff := cmp.Diff([]string{"a.test"}, got); diff != "" || err != entry.OddEncoding {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}
