package entry_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	ctx509 "github.com/google/certificate-transparency-go/x509"

	"ctwatch/ctwatch/entry"
	"ctwatch/pins"
)

// The modules whose test data hold the strangest certificates there are. They are
// no dependencies: only their zips are downloaded.
var corpus = map[string]string{ // module@version: hash, as in go.sum
	"github.com/zmap/zlint/v3@v3.7.3":                      "h1:k7MZOUjW0nhmvqvG/VtHExOREuXkcTAfee9zoNRe8Vo=",
	"github.com/google/certificate-transparency-go@v1.4.0": "h1:78uNaR2knzCoKKXXDSAGVkz9XPkDg5xXJRP9tP6+rr0=",
	"github.com/cloudflare/cfssl@v1.6.5":                   "h1:46zpNkm6dlNkMZH/wMW22ejih6gIaJbzL2du6vD7ZeI=",
}

// corpusCertificates returns the certificates of the corpus, by where they stand.
func corpusCertificates(t *testing.T) map[string][]byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	args := []string{"mod", "download", "-json"}
	for module := range corpus {
		args = append(args, module)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = t.TempDir() // outside of our module, so that its go.mod stays as it is
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	out, err := cmd.Output()
	certs := make(map[string][]byte)
	seen := make(map[[32]byte]bool)
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var m struct{ Path, Version, Dir, Sum, Error string }
		if err := dec.Decode(&m); err != nil {
			t.Fatal(err)
		}
		if m.Error != "" {
			t.Skipf("the certificates to compare with cannot be downloaded: %s", m.Error)
		}
		if name := m.Path + "@" + m.Version; m.Sum != corpus[name] {
			t.Fatalf("%s has the hash %s, want %s", name, m.Sum, corpus[name])
		}
		err := filepath.WalkDir(m.Dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			name, _ := filepath.Rel(m.Dir, path)
			for i, der := range certificatesIn(b) {
				if sum := sha256.Sum256(der); !seen[sum] {
					seen[sum] = true
					certs[fmt.Sprintf("%s: %s #%d", m.Path, name, i)] = der
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err != nil {
		t.Skipf("the certificates to compare with cannot be downloaded: go mod download: %v", err)
	}
	return certs
}

// certificatesIn finds the certificates in a file: in PEM, wherever they stand, or
// else if it may be one in DER.
func certificatesIn(b []byte) (certs [][]byte) {
	for rest := b; ; {
		i := bytes.Index(rest, []byte("-----BEGIN "))
		if i < 0 {
			break
		}
		rest = rest[i:]
		end := bytes.Index(rest, []byte("-----END "))
		if end < 0 {
			break
		}
		end += len("-----END ")
		if close := bytes.Index(rest[end:], []byte("-----")); close >= 0 {
			end += close + len("-----")
		}
		if block, _ := pem.Decode(append(rest[:end:end], '\n')); block != nil && strings.HasSuffix(block.Type, "CERTIFICATE") {
			certs = append(certs, block.Bytes)
		}
		rest = rest[len("-----BEGIN "):]
	}
	if len(certs) == 0 && len(b) > 100 && b[0] == 0x30 && b[1] > 0x80 && b[1] < 0x84 {
		certs = append(certs, b)
	}
	return certs
}

// What another parser sees in a certificate.
type reading struct {
	dns   []string // dNSNames
	names []string // and common names that look like one
	ips   []net.IP
	spki  []byte
}

// readings returns what crypto/x509 and the fork of it in certificate-transparency-go
// make of a certificate.
func readings(der []byte) map[string]reading {
	out := make(map[string]reading)
	looksLikeName := func(cn string) bool { return strings.Contains(cn, ".") && !strings.ContainsAny(cn, " @") }
	if c, err := x509.ParseCertificate(der); err == nil {
		r := reading{dns: c.DNSNames, names: slices.Clone(c.DNSNames), ips: c.IPAddresses, spki: c.RawSubjectPublicKeyInfo}
		for _, a := range c.Subject.Names {
			if cn, ok := a.Value.(string); ok && a.Type.String() == "2.5.4.3" && looksLikeName(cn) {
				r.names = append(r.names, cn)
			}
		}
		out["crypto/x509"] = r
	}
	if c, err := ctx509.ParseCertificate(der); c != nil && !ctx509.IsFatal(err) {
		r := reading{dns: c.DNSNames, names: slices.Clone(c.DNSNames), ips: c.IPAddresses, spki: c.RawSubjectPublicKeyInfo}
		for _, a := range c.Subject.Names {
			if cn, ok := a.Value.(string); ok && a.Type.String() == "2.5.4.3" && looksLikeName(cn) {
				r.names = append(r.names, cn)
			}
		}
		out["certificate-transparency-go"] = r
	}
	return out
}

// exceptions are the names that are not described as they are but for case and
// trailing dots, and as what.
var exceptions = map[string]struct {
	described []string
	reason    string
}{
	"Not a dns":                {[]string{`not\032a\032dns`}, "what is no label is escaped, and matches any"},
	"\f\x03\x19\x00\t":         {[]string{`\003\025`, `\003\025\000`}, "before its NUL and whole, without white space around it, escaped"},
	" ":                        {nil, "there is nothing but white space"},
	"www.theaterpreise.ch\n\n": {[]string{"www.theaterpreise.ch"}, "white space around a name is none of it"},
	"http://www.anf.es":        {[]string{"www.anf.es"}, "the host is the name in a URL"},
	"http://www.valicert.com/": {[]string{"www.valicert.com"}, "the host is the name in a URL"},
	"адвокатская-контора.москва": {[]string{"xn----7sbaabin3cbc7afgb4aiqh6v.xn--80adxhks"}, "names are returned in punycode"},
	"\xc0\xa8": {[]string{`xn--\032-rfa17n`}, "Latin-1, of which IDNA makes a space and an accent: no label"},
}

// TestTrap35SeesWhatOtherParsersSee compares with other parsers over the
// certificates that linters and CAs test with.
func TestTrap35SeesWhatOtherParsersSee(t *testing.T) {
	certs := corpusCertificates(t)
	if len(certs) < 1500 {
		t.Errorf("%d certificates: want at least 1500", len(certs))
	}
	read, names, refused := 0, 0, 0
	for where, der := range certs {
		others := readings(der)
		tbs, err := entry.TBS(der)
		if err != nil {
			if len(others) > 0 {
				t.Errorf("%s: %v", where, err)
			}
			continue
		}
		c := entry.Describe(tbs)
		if _, ok := others["crypto/x509"]; !ok {
			refused++
		}
		if len(others) > 0 {
			read++
		}
		for parser, r := range others {
			names += len(r.names)
			for _, name := range r.names {
				simple := strings.ToLower(strings.TrimRight(name, "."))
				if e, ok := exceptions[name]; ok {
					for _, want := range e.described {
						if !slices.Contains(c.Names, want) {
							t.Errorf("%s: %q is no name of it, but %q", where, want, c.Names)
						}
					}
				} else if simple != "" && !slices.Contains(c.Names, simple) && !slices.Contains(c.IPAddresses, simple) {
					t.Errorf("%s: %s sees %q, we %q", where, parser, name, c.Names)
				}
			}
			for _, ip := range r.ips {
				if !slices.Contains(c.IPAddresses, ip.String()) {
					t.Errorf("%s: %s sees %v, we %q", where, parser, ip, c.IPAddresses)
				}
			}
			if want := pins.FromSPKI(r.spki); c.Key.Pin != want {
				t.Errorf("%s: pin %v, want %v", where, c.Key.Pin, want)
			}
		}
	}
	t.Logf("%d certificates, of which crypto/x509 refuses %d, and %d names compared", read, refused, names)
}

// FuzzSeesWhatOtherParsersSee: whatever they read, is visited as it is encoded.
func FuzzSeesWhatOtherParsersSee(f *testing.F) {
	f.Add(certificate(typical(f)))
	for _, tbs := range inBER(f) {
		f.Add(certificate(tbs))
	}
	c := newTemplate(san(dns("a.test"), str(0x87, "1234")), keyUse)
	c.subject = seq(attr(oidCN, 0x1e, "\x00a\x00.\x00b"), attr(oidCN, 0x13, "c.test"))
	f.Add(certificate(c.build()))
	f.Fuzz(func(t *testing.T, der []byte) {
		others := readings(der)
		if len(others) == 0 {
			return
		}
		tbs, err := entry.TBS(der)
		if err != nil {
			t.Fatal(err)
		}
		visited := make(map[string]bool)
		_ = entry.Visitor{
			Name: func(b []byte) { visited[string(b)] = true },
			IP:   func(b []byte) { visited["IP "+string(b)] = true },
		}.Visit(tbs)
		for parser, r := range others {
			for _, name := range r.dns {
				if !visited[name] {
					t.Errorf("%s sees %q, we %q", parser, name, slices.Collect(maps.Keys(visited)))
				}
			}
			for _, ip := range r.ips {
				if !visited["IP "+string(ip)] {
					t.Errorf("%s sees %v, we %q", parser, ip, slices.Collect(maps.Keys(visited)))
				}
			}
			if spki, err := entry.SPKI(der); err != nil || !bytes.Equal(spki, r.spki) {
				t.Errorf("%s has the key %x, we %x (%v)", parser, r.spki, spki, err)
			}
		}
	})
}
