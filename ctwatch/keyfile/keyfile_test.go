package keyfile

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/pins"
)

const mark = "\uFEFF"

// A fixture makes files of keys.
type fixture struct {
	t  *testing.T
	ca *ctlogtest.CA
}

func newFixture(t *testing.T) fixture {
	t.Helper()
	ca, err := ctlogtest.NewCA(ctlogtest.CAOptions{Name: "Key file CA", Seed: "keyfile"})
	if err != nil {
		t.Fatal(err)
	}
	return fixture{t, ca}
}

// certificate returns a server's certificate in DER, and its pin.
func (f fixture) certificate(key string, names ...string) ([]byte, pins.Pin) {
	f.t.Helper()
	issued, err := f.ca.Issue(ctlogtest.Request{Names: names, CommonName: names[0], Key: f.key(key)})
	if err != nil {
		f.t.Fatal(err)
	}
	der, err := issued.Final()
	if err != nil {
		f.t.Fatal(err)
	}
	return der, issued.LeafPin
}

func (f fixture) key(name string) *ecdsa.PrivateKey {
	f.t.Helper()
	key, err := ctlogtest.SeededKey("key file " + name)
	if err != nil {
		f.t.Fatal(err)
	}
	return key
}

func inPEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func certPEM(der []byte) string { return inPEM("CERTIFICATE", der) }

// TestChainBeginsWithTheServer: a file that begins with the CA's certificate is judged by
// the server's, and what cannot be read is not passed over.
func TestChainBeginsWithTheServer(t *testing.T) {
	f := newFixture(t)
	leaf, pin := f.certificate("leaf", "api.example.com")
	other, _ := f.certificate("other", "api.example.com")
	own, ca := certPEM(leaf), certPEM(f.ca.Intermediate)
	for name, tt := range map[string]struct{ file, wrong string }{
		"chain":              {own + ca, ""},
		"ca first":           {ca + own, ""},
		"mark":               {mark + own + ca, ""},
		"DER":                {string(leaf), ""},
		"mark in the middle": {ca + mark + own, "byte order mark"},
		"no line break":      {strings.TrimSuffix(ca, "\n") + own, "one line"},
		"several":            {ca + own + certPEM(other), "several of servers"},
		"trusted":            {own + inPEM("TRUSTED CERTIFICATE", leaf), "only blocks of type CERTIFICATE are checked"},
		"no certificate":     {inPEM("PUBLIC KEY", leaf), "no certificate"},
		"too many":           {strings.Repeat(own, maxChain+1), "at most 32"},
	} {
		certs, err := Chain("chain.pem", []byte(tt.file))
		if tt.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), tt.wrong) || !strings.HasPrefix(err.Error(), "chain.pem:") {
				t.Errorf("%s: %v, want %q", name, err, tt.wrong)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := Order(certs).Leaf(); got != pin {
			t.Errorf("%s: the leaf is %s, want %s", name, got, pin)
		}
	}
}

// TestOrderFollowsSignatures: a chain is put in order by its signatures, without what does
// not belong, and is open unless it ends with a root.
func TestOrderFollowsSignatures(t *testing.T) {
	f := newFixture(t)
	leaf, pin := f.certificate("leaf", "api.example.com")
	other, _ := f.certificate("other", "api.example.com")
	pinOf := func(der []byte) pins.Pin {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return pins.FromSPKI(c.RawSubjectPublicKeyInfo)
	}
	intermediate, root := pinOf(f.ca.Intermediate), pinOf(f.ca.Root)
	for name, tt := range map[string]struct {
		certs [][]byte
		want  []pins.Pin
		open  bool
	}{
		"whole":             {[][]byte{leaf, f.ca.Root, other, f.ca.Intermediate}, []pins.Pin{pin, intermediate, root}, false},
		"without the root":  {[][]byte{leaf, other, f.ca.Intermediate}, []pins.Pin{pin, intermediate}, true},
		"the leaf alone":    {[][]byte{leaf}, []pins.Pin{pin}, true},
		"not a certificate": {[][]byte{{1}}, nil, true},
	} {
		c := Order(tt.certs)
		if len(c.Pins) != len(tt.want) || c.Open != tt.open {
			t.Errorf("%s: %v, open %v; want %v, %v", name, c.Pins, c.Open, tt.want, tt.open)
			continue
		}
		for i := range c.Pins {
			if c.Pins[i] != tt.want[i] {
				t.Errorf("%s: %v, want %v", name, c.Pins, tt.want)
			}
		}
	}
}

// TestParseTakesTheMeantKey: a file stands for the key of its server, or of its CA if that
// is asked for, and for none if it has several.
func TestParseTakesTheMeantKey(t *testing.T) {
	f := newFixture(t)
	leaf, pin := f.certificate("leaf", "api.example.com", "www.example.com")
	other, _ := f.certificate("other", "api.example.com")
	public, err := x509.MarshalPKIXPublicKey(f.key("leaf").Public())
	if err != nil {
		t.Fatal(err)
	}
	ca, err := x509.ParseCertificate(f.ca.Intermediate)
	if err != nil {
		t.Fatal(err)
	}
	issuer := pins.FromSPKI(ca.RawSubjectPublicKeyInfo)
	own, above := certPEM(leaf), certPEM(f.ca.Intermediate)
	for name, tt := range map[string]struct {
		file   string
		issuer bool
		pin    pins.Pin
		names  int
		wrong  string
	}{
		"chain":             {file: own + above, pin: pin, names: 2},
		"its CA":            {file: own + above, issuer: true, pin: issuer},
		"public key":        {file: inPEM("PUBLIC KEY", public), pin: pin},
		"public key in DER": {file: string(public), issuer: true, pin: pin},
		"several":           {file: own + certPEM(other), wrong: "several keys"},
		"CA alone":          {file: above, wrong: "certificate of a CA"},
		"server alone":      {file: own, issuer: true, wrong: "not of a CA"},
		"private key":       {file: inPEM("EC PRIVATE KEY", public), wrong: "this is a private key"},
		"noise":             {file: "\x30\x03\x02\x01\x01", wrong: "neither a certificate"},
	} {
		s, err := Parse("key.pem", []byte(tt.file), tt.issuer)
		if tt.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), tt.wrong) || !strings.HasPrefix(err.Error(), "key.pem:") {
				t.Errorf("%s: %v, want %q", name, err, tt.wrong)
			}
			continue
		}
		if err != nil || s.Pin != tt.pin || len(s.Names) != tt.names || s.Algorithm == "" {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}
