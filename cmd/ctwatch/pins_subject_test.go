package main

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/pins"
)

// A keyShop makes the files that people have of keys.
type keyShop struct {
	t   *testing.T
	ca  *ctlogtest.CA
	dir string
}

func newKeyShop(t *testing.T) *keyShop {
	ca, err := ctlogtest.NewCA(ctlogtest.CAOptions{Name: "Subject CA", Seed: "subject"})
	if err != nil {
		t.Fatal(err)
	}
	return &keyShop{t, ca, t.TempDir()}
}

func (s *keyShop) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *keyShop) key(name string) *ecdsa.PrivateKey {
	key, err := ctlogtest.SeededKey("subject key " + name)
	s.must(err)
	return key
}

// cert returns a server's certificate in DER, and its pin.
func (s *keyShop) cert(name string, hosts ...string) ([]byte, pins.Pin) {
	issued, err := s.ca.Issue(ctlogtest.Request{Names: hosts, CommonName: hosts[0], Key: s.key(name)})
	s.must(err)
	der, err := issued.Final()
	s.must(err)
	return der, issued.LeafPin
}

func (s *keyShop) request(name string) []byte {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{apiHost}}, s.key(name))
	s.must(err)
	return der
}

func (s *keyShop) file(name string, content string) string {
	path := filepath.Join(s.dir, name)
	s.must(os.WriteFile(path, []byte(content), 0o600))
	return path
}

func inPEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func certPEM(der []byte) string { return inPEM("CERTIFICATE", der) }

func (s *keyShop) config() string {
	return s.file("ctwatch.yaml", "data_dir: data\nwatch:\n  - {domain: example.com, endpoints: []}\n")
}

// TestAuthorizeTakesTheServersOwnKey: whatever the order and the marks in a file, the
// key that is trusted is the server's own, or none is.
func TestAuthorizeTakesTheServersOwnKey(t *testing.T) {
	t.Parallel()
	const mark = "\uFEFF"
	s := newKeyShop(t)
	leaf, pin := s.cert("leaf", apiHost)
	renewed, _ := s.cert("leaf", apiHost, "www.example.com")
	other, otherPin := s.cert("other", apiHost)
	request := s.request("leaf")
	public, err := x509.MarshalPKIXPublicKey(s.key("leaf").Public())
	s.must(err)
	private, err := x509.MarshalPKCS8PrivateKey(s.key("leaf"))
	s.must(err)
	own, ca := certPEM(leaf), certPEM(s.ca.Intermediate)
	ed448, err := os.ReadFile("../../ctwatch/keyfile/testdata/requests/ed448.csr")
	s.must(err)
	pss, err := os.ReadFile("../../ctwatch/keyfile/testdata/requests/rsapss.csr")
	s.must(err)
	forged := append([]byte(nil), request...)
	forged[len(forged)-1] ^= 1

	for name, c := range map[string]struct {
		file string
		says string // of the error; "" for none
	}{
		"chain":                        {own + ca, ""},
		"mark":                         {mark + own + ca, ""},
		"ca first":                     {ca + own, ""},
		"Windows":                      {strings.ReplaceAll(own+ca, "\n", "\r\n"), ""},
		"renewed":                      {own + certPEM(renewed) + ca, ""},
		"DER certificate":              {string(leaf), ""},
		"DER request":                  {string(request), ""},
		"DER key":                      {string(public), ""},
		"request with a mark":          {mark + inPEM("CERTIFICATE REQUEST", request), ""},
		"request and key":              {inPEM("PUBLIC KEY", public) + inPEM("CERTIFICATE REQUEST", request), ""},
		"mark in the middle":           {ca + mark + own, ":13: a byte order mark"},
		"no line break":                {strings.TrimSuffix(own, "\n") + ca, "one line"},
		"leaf hidden, no line break":   {"x" + own + ca, ":1: "},
		"leaf cut short":               {own[:200] + "\n" + ca, "before the block in line 1 ends"},
		"ca alone":                     {ca, "CA"},
		"ca in DER":                    {string(s.ca.Intermediate), "--issuer"},
		"several":                      {own + certPEM(other) + ca, otherPin.String()},
		"request of another":           {inPEM("CERTIFICATE REQUEST", s.request("other")) + inPEM("PUBLIC KEY", public), "several keys"},
		"private key in DER":           {string(private), "this is a private key"},
		"private key with certificate": {own + inPEM("PRIVATE KEY", private), "this is a private key"},
		"forged request":               {string(forged), "not signed by its own key"},
		"Ed448":                        {string(ed448), "unsupported signature algorithm, cannot check the self-signature"},
		"RSA-PSS of another":           {string(pss) + own, "several keys"},
		"noise in DER":                 {"\x30\x03\x02\x01\x01", "neither a certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &keyShop{t, s.ca, t.TempDir()}
			config, file := s.config(), s.file("subject.pem", c.file)
			status, out, errs := runCommand(t.Context(), config, "certs", "authorize", file, "--domain", apiHost, "--reason", "ours")
			if c.says == "" {
				if status != exitDone || !strings.HasPrefix(out, pin.String()) {
					t.Errorf("status %d: %s%s", status, out, errs)
				}
				return
			}
			if status != exitFailed || !strings.Contains(errs, c.says) || !strings.Contains(errs, file) {
				t.Errorf("status %d: %s%s; want %q", status, out, errs, c.says)
			}
			if _, keys, _ := runCommand(t.Context(), config, "pins", "list", "--json"); strings.Contains(keys, "sha256/") {
				t.Errorf("a key is trusted: %s", keys)
			}
		})
	}
}

// TestAuthorizeDeclaresAnIssuer: the key of a root or an intermediate is declared in
// that role, for hosts that are named.
func TestAuthorizeDeclaresAnIssuer(t *testing.T) {
	t.Parallel()
	s := newKeyShop(t)
	leaf, leafPin := s.cert("leaf", apiHost)
	own, ca := certPEM(leaf), certPEM(s.ca.Intermediate)
	spki, err := x509.ParseCertificate(s.ca.Intermediate)
	s.must(err)
	pin := pins.FromSPKI(spki.RawSubjectPublicKeyInfo)
	chain := s.file("chain.pem", own+ca)
	for name, c := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"a CA's certificate":  {[]string{s.file("ca.pem", ca), "--domain", apiHost}, exitDone, pin.String() + " is authorized as the key of an issuer for " + apiHost},
		"in a chain":          {[]string{chain, "--domain", "*.example.com"}, exitDone, pin.String()},
		"its public key":      {[]string{s.file("ca.pub", inPEM("PUBLIC KEY", spki.RawSubjectPublicKeyInfo)), "--domain", apiHost}, exitDone, pin.String()},
		"its pin":             {[]string{pin.String(), "--domain", apiHost}, exitDone, pin.String()},
		"a chain to the root": {[]string{s.file("full.pem", own+ca+certPEM(s.ca.Root)), "--domain", apiHost}, exitFailed, "several keys"},
		"a server's":          {[]string{s.file("leaf.pem", own), "--domain", apiHost}, exitFailed, "not of a CA"},
		"no host":             {[]string{chain}, exitUsage, "--domain"},
		"an ID":               {[]string{"0123456789abcdef", "--domain", apiHost}, exitUsage, "not an ID"},
		"a pin of no key":     {[]string{pins.FromSPKI(nil).String(), "--domain", apiHost}, exitUsage, "SHA-256 of nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &keyShop{t, s.ca, t.TempDir()}
			config := s.config()
			status, out, errs := runCommand(t.Context(), config, append([]string{"certs", "authorize", "--issuer", "--reason", "backup"}, c.args...)...)
			if status != c.status || !strings.Contains(out+errs, c.says) {
				t.Errorf("status %d: %s%s; want %d, %q", status, out, errs, c.status, c.says)
			}
			_, keys, _ := runCommand(t.Context(), config, "pins", "list", "--json")
			if declared := strings.Contains(keys, `"issuer"`) && strings.Contains(keys, `"declared"`); declared != (c.status == exitDone) || strings.Contains(keys, leafPin.String()) {
				t.Errorf("the keys are %s", keys)
			}
		})
	}
}
