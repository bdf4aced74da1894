package entry_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/entry"
	"ctwatch/pins"

	"github.com/google/go-cmp/cmp"
)

func TestDescribe(t *testing.T) {
	c := newTemplate(san(dns("WWW.example.com"), dns("example.com."), dns("www.example.com"), str(0x87, "\xc0\x00\x02\x01"), dns("192.0.2.1")), sctList)
	c.subject = seq(attr(oidO, 0x0c, "Example, Inc"), attr(oidCN, 0x0c, "cn.example.com"))
	tbs := c.build()
	id, _, err := entry.Identity(tbs)
	if err != nil {
		t.Fatal(err)
	}
	want := ctwatch.Certificate{
		ID:          id,
		Serial:      "abcd",
		Names:       []string{"www.example.com", "example.com", "192.0.2.1", "cn.example.com"},
		IPAddresses: []string{"192.0.2.1"},
		Subject:     `CN=cn.example.com,O=Example\, Inc`,
		NotBefore:   time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC),
		NotAfter:    time.Date(2027, 2, 18, 0, 0, 0, 0, time.UTC),
		Issuer:      ctwatch.Issuer{Name: "CN=E7,O=Let's Encrypt,C=US"},
		Key:         ctwatch.CertificateKey{Algorithm: "ECDSA P-256", Pin: pins.FromSPKI(c.key)},
	}
	if diff := cmp.Diff(want, entry.Describe(tbs)); diff != "" {
		t.Error(diff)
	}
}

func TestDescribeReadsEachPartOnItsOwn(t *testing.T) {
	full := entry.Describe(newTemplate(san(dns("a.test"))).build())
	for name, tt := range map[string]struct {
		change  func(*template)
		lost    func(*ctwatch.Certificate)
		problem string
	}{
		"serial":     {func(c *template) { c.serial = str(0x0c, "x") }, func(c *ctwatch.Certificate) { c.Serial = "" }, "serial number: it is no INTEGER"},
		"issuer":     {func(c *template) { c.issuer = str(0x0c, "x") }, func(c *ctwatch.Certificate) { c.Issuer.Name = "" }, "issuer: it is no SEQUENCE but has tag 0x0c"},
		"subject":    {func(c *template) { c.subject = str(0x0c, "") }, func(c *ctwatch.Certificate) { c.Subject = "" }, "subject: it is no SEQUENCE but has tag 0x0c"},
		"not before": {func(c *template) { c.validity = seq(str(0x17, "x"), str(0x17, "270218000000Z")) }, func(c *ctwatch.Certificate) { c.NotBefore = time.Time{} }, "validity: not before: it is no time"},
		"not after":  {func(c *template) { c.validity = seq(str(0x17, "261120000000Z")) }, func(c *ctwatch.Certificate) { c.NotAfter = time.Time{} }, "validity: not after: it is no time"},
		"validity":   {func(c *template) { c.validity = seq() }, func(c *ctwatch.Certificate) { c.NotBefore, c.NotAfter = time.Time{}, time.Time{} }, "validity: it is no SEQUENCE"},
		"key":        {func(c *template) { c.key = str(4, "x") }, func(c *ctwatch.Certificate) { c.Key = ctwatch.CertificateKey{} }, "public key: finding the key: no SubjectPublicKeyInfo where it belongs"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTemplate(san(dns("a.test")))
			tt.change(&c)
			want := full
			tt.lost(&want)
			want.Problems = []string{tt.problem}
			got := entry.Describe(c.build())
			want.ID = got.ID
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSerials(t *testing.T) {
	for serial, want := range map[string]string{
		"02 01 01": "01", "02 02 0080": "80", "02 01 00": "00", "02 03 00000a": "0a", "02 01 ff": "ff", "02 02 0f00": "0f00",
	} {
		c := newTemplate()
		c.serial = unhex(serial)
		if got := entry.Describe(c.build()).Serial; got != want {
			t.Errorf("serial of %s: %q, want %q", serial, got, want)
		}
	}
}

func TestTimes(t *testing.T) {
	for in, want := range map[string]string{
		"260102030405Z":           "2026-01-02T03:04:05Z",
		"491231235959Z":           "2049-12-31T23:59:59Z",
		"500101000000Z":           "1950-01-01T00:00:00Z",
		"680101000000Z":           "1968-01-01T00:00:00Z",
		"990101000000Z":           "1999-01-01T00:00:00Z",
		"20500102030405Z":         "2050-01-02T03:04:05Z",
		"99991231235959Z":         "9999-12-31T23:59:59Z",
		"2601020304Z":             "2026-01-02T03:04:00Z",
		"260102030405+0100":       "2026-01-02T02:04:05Z",
		"20260102030405.5Z":       "2026-01-02T03:04:05.5Z",
		"260102030405":            "2026-01-02T03:04:05Z",
		"20260102030405":          "2026-01-02T03:04:05Z",
		"261332000000Z":           "",
		"99991231235959-2359":     "",
		"":                        "",
		strings.Repeat("9", 1000): "",
	} {
		for _, tag := range []byte{0x17, 0x18} {
			c := newTemplate()
			c.validity = seq(str(tag, in), str(0x17, "270218000000Z"))
			got := entry.Describe(c.build())
			text := ""
			if !got.NotBefore.IsZero() {
				text = got.NotBefore.Format(time.RFC3339Nano)
			}
			if text != want || (want == "") != (len(got.Problems) == 1) {
				t.Errorf("%q: %s, want %s; problems %q", in, text, want, got.Problems)
			}
		}
	}
}

func TestDistinguishedNames(t *testing.T) {
	for name, tt := range map[string]struct {
		subject []byte
		want    string
	}{
		"empty":            {seq(), ""},
		"T61 in Latin-1":   {seq(attr(oidCN, 0x14, "B\xfccher")), "CN=Bücher"},
		"BMP":              {seq(attr(oidCN, 0x1e, "\x00B\x00\xfc")), "CN=Bü"},
		"Universal":        {seq(attr(oidCN, 0x1c, "\x00\x00\x00B")), "CN=B"},
		"several in one":   {seq(der(0x31, seq(str(6, oidCN), str(0x0c, "a")), seq(str(6, oidO), str(0x0c, "b")))), "CN=a+O=b"},
		"control and bidi": {seq(attr(oidCN, 0x0c, "a\x1b[31m\u202eb\nc")), "CN=a\ufffd[31m\ufffdb\ufffdc"},
		"wrong characters": {seq(attr(oidO, 0x13, "a&b_c")), "O=a&b_c"},
	} {
		c := newTemplate()
		c.subject = tt.subject
		got := entry.Describe(c.build())
		if got.Subject != tt.want || got.Problems != nil {
			t.Errorf("%s: %q, want %q; problems %q", name, got.Subject, tt.want, got.Problems)
		}
	}
}

func TestKeyAlgorithms(t *testing.T) {
	alg := func(oid string, params ...[]byte) []byte {
		return seq(seq(append([][]byte{unhex(oid)}, params...)...), der(3, make([]byte, 33)))
	}
	for name, tt := range map[string]struct {
		key     []byte
		want    string
		problem bool
	}{
		"Ed25519":     {alg("06 03 2b6570"), "Ed25519", false},
		"Ed448":       {alg("06 03 2b6571"), "Ed448", false},
		"ML-DSA":      {alg("06 09 608648016503040312"), "ML-DSA-65", false},
		"unknown":     {alg("06 03 2a0304"), "1.2.3.4", false},
		"no RSA key":  {alg("06 09 2a864886f70d010101", []byte{5, 0}), "RSA", true},
		"secp256k1":   {alg("06 07 2a8648ce3d0201", unhex("06 05 2b8104000a")), "ECDSA 1.3.132.0.10", false},
		"no point":    {alg("06 07 2a8648ce3d0201", unhex("06 08 2a8648ce3d030107")), "ECDSA P-256", true},
		"P-256":       {newTemplate().key, "ECDSA P-256", false},
		"no real OID": {alg("06 02 8080"), "", true},
	} {
		c := newTemplate()
		c.key = tt.key
		got := entry.Describe(c.build())
		if got.Key.Algorithm != tt.want || (len(got.Problems) > 0) != tt.problem {
			t.Errorf("%s: %q, want %q; problems %q", name, got.Key.Algorithm, tt.want, got.Problems)
		}
		if got.Key.Pin != pins.FromSPKI(tt.key) {
			t.Errorf("%s: the pin is not of the bytes", name)
		}
	}
}

func TestDescribeListsTenThousandNames(t *testing.T) {
	var list [][]byte
	for i := range 10_000 {
		list = append(list, dns(fmt.Sprintf("h%d.example.com", i)))
	}
	got := entry.Describe(newTemplate(san(list...)).build())
	if len(got.Names) != 10_000 || got.Problems != nil {
		t.Errorf("%d names, problems %q", len(got.Names), got.Problems)
	}
}

func TestDescribeListsNoMoreThanMaxNames(t *testing.T) {
	var list [][]byte
	for i := range entry.MaxNames + 5 {
		list = append(list, dns(fmt.Sprintf("h%d.test", i)))
	}
	got := entry.Describe(newTemplate(san(list...)).build())
	if len(got.Names) != entry.MaxNames || len(got.Problems) != 1 {
		t.Errorf("%d names, problems %q", len(got.Names), got.Problems)
	}
}

func FuzzDescribe(f *testing.F) {
	f.Add(typical(f))
	for _, tbs := range inBER(f) {
		f.Add(tbs)
	}
	f.Add(newTemplate(san(dns("b\xfc.test"), str(0x87, "12345")), poison).build())
	f.Add([]byte{0x30, 0x80, 0x02})
	f.Fuzz(func(t *testing.T, tbs []byte) {
		var c ctwatch.Certificate
		checkAllocation(t, tbs, func() { c = entry.Describe(tbs) })
		if len(c.Names) > 4*len(tbs) || len(c.Problems) > 16 {
			t.Errorf("%d names, %d problems from %d octets", len(c.Names), len(c.Problems), len(tbs))
		}
		for _, s := range append(c.Names, c.Problems...) {
			if s != ctwatch.Printable(s, len(s)+1) {
				t.Errorf("%q is not printable", s)
			}
		}
		if _, err := json.Marshal(c); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkDescribe(b *testing.B) {
	tbs := typical(b)
	b.ReportAllocs()
	for range b.N {
		entry.Describe(tbs)
	}
}
