package scan_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"iter"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/ctwatch/entry"
	"ctwatch/ctwatch/scan"
)

// What clients connect to, and what is watched.
const (
	askedHost = "a.shop.example"
	askedIP   = "192.0.2.7"
)

// forms are the ways to encode an element besides DER.
var forms = map[string]ctlogtest.Form{
	"long tag":                    {TagOctets: 1},
	"long tag, a zero":            {TagOctets: 2},
	"long tag, eight zeros":       {TagOctets: 9},
	"one octet of length":         {LengthOctets: 1},
	"two octets of length":        {LengthOctets: 2},
	"a hundred octets of length":  {LengthOctets: 100},
	"indefinite":                  {Indefinite: true},
	"indefinite, long tag":        {Indefinite: true, TagOctets: 2},
	"one part":                    {Parts: 1},
	"parts":                       {Parts: 3},
	"parts, indefinite":           {Parts: 2, Indefinite: true, TagOctets: 1},
	"parts in parts":              {Parts: 2, Nesting: 3, Indefinite: true},
	"parts of another type":       {Parts: 2, PartTag: 0x0c},
	"parts of another class":      {Parts: 2, PartTag: 0x82, Nesting: 1},
	"everything that is possible": {TagOctets: 3, LengthOctets: 6, Indefinite: true},
}

// A suspect is a certificate that a client may accept for the host it connects to.
type suspect struct {
	name string
	cert []byte
	odd  bool // no DER
}

// suspects issues certificates for the host, or the address, in every encoding: with
// each element in each form, alone and all together.
func suspects(t *testing.T, ca *ctlogtest.CA) (out []suspect) {
	key, err := ctlogtest.SeededKey("suspect")
	if err != nil {
		t.Fatal(err)
	}
	issue := func(name string, odd bool, req ctlogtest.Request) []byte {
		req.Key = key
		i, err := ca.Issue(req)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		cert, err := i.Final()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out = append(out, suspect{name, cert, odd})
		return cert
	}
	o := string(str(0x31, string(str(0x30, "\x06\x03\x55\x04\x0a\x0c\x04Shop"))))
	wide := func(n int) string {
		pad := strings.Repeat("\x00", n-1)
		return pad + strings.Join(strings.Split(askedHost, ""), pad)
	}
	for base, req := range inOrder(map[string]ctlogtest.Request{
		"SAN":  {Names: []string{"other.test", askedHost}, Subject: str(0x30, o)},
		"IP":   {IPs: []netip.Addr{netip.MustParseAddr(askedIP)}},
		"CN":   {Subject: str(0x30, o+string(str(0x31, string(commonName(str(0x0c, askedHost))))))},
		"BMP":  {Subject: subject(str(0x1e, wide(2)))},
		"UCS4": {Subject: subject(str(0x1c, wide(4)))},
	}) {
		cert := issue(base, false, req)
		for name, form := range inOrder(forms) {
			again := func(where string, is func(path []int) bool) {
				applies := false
				req := req
				req.Encode = func(tbs []byte) ([]byte, error) {
					b, err := ctlogtest.Reencode(tbs, func(path []int, tag byte) ctlogtest.Form {
						if form.Parts > 0 && !isString(tag) || !is(path) {
							return ctlogtest.Form{}
						}
						return form
					})
					applies = !bytes.Equal(b, tbs)
					return b, err
				}
				if issue(fmt.Sprintf("%s: %s at %s", base, name, where), true, req); !applies {
					out = out[:len(out)-1]
				}
			}
			again("every element", func([]int) bool { return true })
			for _, path := range wayTo[base] {
				again(fmt.Sprint(path), func(p []int) bool { return slices.Equal(p, path) })
			}
			for _, place := range [][]int{{}, {1}, {1, 0}, {2}} { // around the TBSCertificate
				outer, err := ctlogtest.Reencode(cert, func(path []int, tag byte) ctlogtest.Form {
					if !slices.Equal(path, place) || form.Parts > 0 && !isString(tag) {
						return ctlogtest.Form{}
					}
					return form
				})
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(outer, cert) {
					out = append(out, suspect{fmt.Sprintf("%s: %s outside at %v", base, name, place), outer, true})
				}
			}
		}
	}
	names := func(more string, names ...string) pkix.Extension {
		e := san(names...)
		e.Value = append(e.Value, more...)
		return e
	}
	for name, req := range inOrder(map[string]ctlogtest.Request{
		"trailing data in the SAN":        {ExtraExtensions: []pkix.Extension{names("\x04\x02hi", askedHost)}},
		"noise behind the SAN":            {ExtraExtensions: []pkix.Extension{names("\xff", askedHost)}},
		"two SANs":                        {ExtraExtensions: []pkix.Extension{san("other.test"), san(askedHost)}},
		"two SANs and a CN":               {ExtraExtensions: []pkix.Extension{san("other.test"), san("other.test")}, CommonName: askedHost},
		"an empty SAN and a CN":           {ExtraExtensions: []pkix.Extension{san()}, CommonName: askedHost},
		"a SAN that is noise, and a CN":   {ExtraExtensions: []pkix.Extension{extension([]byte("noise"), 2, 5, 29, 17)}, CommonName: askedHost},
		"a SAN of an address, and a CN":   {IPs: []netip.Addr{netip.MustParseAddr("192.0.2.8")}, CommonName: askedHost},
		"an e-mail address and a CN":      {ExtraExtensions: []pkix.Extension{extension(str(0x30, "\x81\x06a@b.cc"), 2, 5, 29, 17)}, CommonName: askedHost},
		"a wildcard":                      {Names: []string{"*.shop.example"}},
		"a wildcard in a CN":              {CommonName: "*.Shop.Example"},
		"part of a wildcard":              {Names: []string{"a*.shop.example"}},
		"upper case":                      {Names: []string{"A.SHOP.EXAMPLE"}},
		"a dot":                           {Names: []string{askedHost + "."}},
		"a NUL":                           {Names: []string{askedHost + "\x00.test"}},
		"a NUL behind":                    {Names: []string{askedHost + "\x00"}},
		"a NUL in a CN":                   {CommonName: askedHost + "\x00.test"},
		"the last of many CNs":            {Subject: subject(str(0x0c, "other.test"), str(0x0c, askedHost))},
		"the first of many CNs":           {Subject: subject(str(0x0c, askedHost), str(0x0c, "other.test"))},
		"a CN in T61":                     {Subject: subject(str(0x14, askedHost))},
		"a CN in IA5":                     {Subject: subject(str(0x16, askedHost))},
		"a CN of digits":                  {Subject: subject(str(0x12, askedHost))},
		"a CN as a BIT STRING":            {Subject: subject(str(0x03, "\x00"+askedHost))},
		"a CN of an unknown type":         {Subject: subject(str(0x0d, askedHost))},
		"an address in the CN":            {CommonName: askedIP},
		"an address as a name":            {Names: []string{askedIP}},
		"a boolean that is neither":       {Names: []string{askedHost}, Encode: replace("\x55\x1d\x11\x01\x01\xff", "\x55\x1d\x11\x01\x01\x01")},
		"no version":                      {Names: []string{askedHost}, Encode: func(b []byte) ([]byte, error) { return str(0x30, string(b[4+5:])), nil }},
		"an extension of nothing but OID": {Names: []string{askedHost}, ExtraExtensions: []pkix.Extension{extension(nil, 2, 5, 29, 99)}},
	}) {
		issue(name, false, req)
	}
	return out
}

// inOrder yields what is in a map by the order of its keys.
func inOrder[V any](m map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}

// replace returns what changes each TBSCertificate in a place.
func replace(old, with string) func([]byte) ([]byte, error) {
	return func(tbs []byte) ([]byte, error) {
		return bytes.Replace(tbs, []byte(old), []byte(with), 1), nil
	}
}

// The elements on the way to a name and to what else is read, by their places in the
// TBSCertificates of suspects.
var (
	fields = [][]int{{}, {0}, {0, 0}, {1}, {2}, {2, 0}, {3}, {3, 0}, {3, 0, 0}, {3, 0, 0, 0}, {3, 0, 0, 1}, {4}, {4, 0}, {5}, {6}, {6, 0}, {6, 0, 0}, {6, 0, 1}, {6, 1}, {7}, {7, 0}, {7, 0, 2}, {7, 0, 2, 0}, {7, 0, 2, 1}, {7, 0, 2, 2}, {7, 0, 2, 2, 0}}
	inSAN  = [][]int{{7, 0, 8}, {7, 0, 8, 0}, {7, 0, 8, 1}, {7, 0, 8, 2}, {7, 0, 8, 2, 0}, {7, 0, 8, 2, 0, 0}, {7, 0, 8, 2, 0, 1}}
	inCN   = [][]int{{5, 0}, {5, 0, 0}, {5, 0, 0, 0}, {5, 0, 0, 1}, {5, 1}, {5, 1, 0}, {5, 1, 0, 0}, {5, 1, 0, 1}}

	wayTo = map[string][][]int{"SAN": slices.Concat(fields, inSAN), "IP": inSAN, "CN": inCN, "BMP": inCN, "UCS4": inCN}
)

// isString reports whether an element may be cut into parts.
func isString(tag byte) bool {
	switch tag {
	case 0x03, 0x04, 0x0c, 0x13, 0x17, 0x1c, 0x1e, 0x82, 0x87:
		return true
	}
	return false
}

// Each certificate, in any encoding, that a client accepts for a watched host matches, and
// an unusual encoding is reported. OpenSSL decides: it verifies all of them, and connects,
// like curl, to a server that presents some of them.
func TestSeesWhatOpenSSLAccepts(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	lab := newLab(t, ctwatch.KindRFC6962, ctlogtest.CAOptions{})
	all := suspects(t, lab.ca)
	for _, s := range all {
		lab.addRaw(nil, s.cert, nil)
	}
	found := lab.scanLong("shop.example", askedIP)
	accepted := verified(t, openssl, lab.ca, all)
	judged := len(accepted)
	for i, s := range all {
		if c, ok := found[uint64(i)]; ok && accepted[i] && !c.Issuer.Proven {
			t.Errorf("%s: OpenSSL verifies it, and its issuer is not proven: %q", s.name, c.Problems)
		}
		if !accepted[i] && !s.odd {
			accepted[i] = named(t, openssl, s.cert)
		}
		c, ok := found[uint64(i)]
		if !ok && accepted[i] {
			t.Errorf("%s: OpenSSL accepts it, and it does not match", s.name)
		}
		if ok && s.odd && c.Problems == nil {
			t.Errorf("%s: nothing is said of its encoding", s.name)
		}
		if ok && c.NotAfter.IsZero() && accepted[i] {
			t.Errorf("%s: OpenSSL reads it, and we not its validity: %q", s.name, c.Problems)
		}
		if ok && c.Key.Algorithm != "ECDSA P-256" {
			t.Errorf("%s: the key is one of %q: %q", s.name, c.Key.Algorithm, c.Problems)
		}
	}
	t.Logf("%d certificates: %d are found, and OpenSSL verifies %d", len(all), len(found), judged)
	if judged < len(all)/2 {
		t.Errorf("OpenSSL verifies only %d of %d certificates: most forms were not tried", judged, len(all))
	}
}

// verified returns which of some certificates OpenSSL verifies for the host or for the
// address, each by its own.
func verified(t *testing.T, openssl string, ca *ctlogtest.CA, all []suspect) map[int]bool {
	t.Helper()
	dir := t.TempDir()
	root := writePEM(t, dir, "root.pem", ca.Root, ca.Intermediate)
	out := make(map[int]bool)
	var files []string
	for i, s := range all {
		files = append(files, filepath.Base(writePEM(t, dir, fmt.Sprintf("%d.pem", i), s.cert)))
	}
	for _, asked := range [][]string{{"-verify_hostname", askedHost}, {"-verify_ip", askedIP}} {
		cmd := exec.CommandContext(t.Context(), openssl, slices.Concat([]string{"verify", "-CAfile", root}, asked, files)...)
		cmd.Dir = dir
		text, _ := cmd.Output() // it fails, since some are refused
		for line := range strings.Lines(string(text)) {
			var i int
			if n, _ := fmt.Sscanf(line, "%d.pem: OK", &i); n == 1 && strings.HasSuffix(line, "OK\n") {
				out[i] = true
			}
		}
	}
	return out
}

// named reports whether OpenSSL says that a certificate is for the host or the address,
// no matter who signed it.
func named(t *testing.T, openssl string, cert []byte) bool {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), openssl, "x509", "-noout", "-checkhost", askedHost, "-checkip", askedIP)
	cmd.Stdin = bytes.NewReader(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
	text, _ := cmd.Output()
	return strings.Contains(string(text), "does match")
}

func writePEM(t *testing.T, dir, name string, certs ...[]byte) string {
	t.Helper()
	var b bytes.Buffer
	for _, c := range certs {
		if err := pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c}); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What openssl s_client and curl accept from a server matches.
func TestSeesWhatTLSClientsAccept(t *testing.T) {
	lab := newLab(t, ctwatch.KindStatic, ctlogtest.CAOptions{})
	key, err := ctlogtest.SeededKey("suspect")
	if err != nil {
		t.Fatal(err)
	}
	var sample []suspect
	for _, s := range suspects(t, lab.ca) {
		if strings.Contains(s.name, " every element") || strings.Contains(s.name, "long tag, a zero at") && strings.HasPrefix(s.name, "SAN") || !s.odd && !strings.Contains(s.name, "IP") {
			sample = append(sample, s)
			lab.addRaw(nil, s.cert, nil)
		}
	}
	found := lab.scanLong("shop.example", askedIP)

	var now atomic.Pointer[tls.Certificate]
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return now.Load(), nil }}
	server.StartTLS()
	t.Cleanup(server.Close)
	addr := server.Listener.Addr().String()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	root := writePEM(t, t.TempDir(), "root.pem", lab.ca.Root)
	for _, client := range [][]string{
		{"openssl", "s_client", "-connect", addr, "-servername", askedHost, "-verify_hostname", askedHost, "-verify_return_error", "-CAfile", root},
		{"curl", "--silent", "--noproxy", "*", "--cacert", root, "--resolve", askedHost + ":" + port + ":127.0.0.1", "https://" + askedHost + ":" + port + "/"},
	} {
		t.Run(client[0], func(t *testing.T) {
			if _, err := exec.LookPath(client[0]); err != nil {
				t.Skip("it is not installed")
			}
			accepted := 0
			for i, s := range sample {
				now.Store(&tls.Certificate{Certificate: [][]byte{s.cert, lab.ca.Intermediate}, PrivateKey: key})
				if exec.CommandContext(t.Context(), client[0], client[1:]...).Run() != nil {
					continue
				}
				accepted++
				if _, ok := found[uint64(i)]; !ok {
					t.Errorf("%s: it is accepted, and does not match", s.name)
				}
			}
			t.Logf("%d of %d certificates are accepted", accepted, len(sample))
			if accepted < len(sample)/3 {
				t.Errorf("only %d of %d certificates are accepted: the client was hardly tried", accepted, len(sample))
			}
		})
	}
}

// A precertificate in BER is found with its issuer proven, and has the identity and the
// pins of its certificate. A chain in BER is a problem of its own.
func TestPrecertificatesInBER(t *testing.T) {
	inBothKinds(t, func(t *testing.T, lab *lab) {
		form := func([]int, byte) ctlogtest.Form { return forms["everything that is possible"] }
		i := lab.add(ctlogtest.Request{
			Names:  []string{askedHost},
			Encode: func(tbs []byte) ([]byte, error) { return ctlogtest.Reencode(tbs, form) },
		})
		final, err := i.Final()
		if err != nil {
			t.Fatal(err)
		}
		lab.addRaw(nil, final, nil)
		b := lab.scan("shop.example")
		if len(b.Found) != 2 || len(b.Malformed) != 2 || b.Malformed[0].Reason != string(entry.OddEncoding) {
			t.Fatalf("%d found, malformed: %+v", len(b.Found), b.Malformed)
		}
		odd, err := ctlogtest.Reencode(lab.ca.Root, form)
		if err != nil {
			t.Fatal(err)
		}
		for n, f := range b.Found {
			scan.ProveIssuer(&f, i.Chain)
			c := f.Certificate
			if c.ID != i.ID || c.Key.Pin != b.Found[0].Certificate.Key.Pin || !c.Issuer.Proven || c.Issuer.Pin != i.IssuerPin || c.Key.Algorithm != "ECDSA P-256" {
				t.Errorf("%d: %+v", n, c)
			}
			before := len(c.Problems)
			scan.ProveIssuer(&f, [][]byte{lab.ca.Intermediate, odd})
			if c = f.Certificate; !c.Issuer.Proven || len(c.Problems) != before+1 || !strings.Contains(c.Problems[before], "certificate 2: x509: ") {
				t.Errorf("%d: an odd root in the chain: %q", n, c.Problems)
			}
			if scan.ProveIssuer(&f, i.Chain); len(f.Certificate.Problems) != before {
				t.Errorf("%d: the problem stays: %q", n, f.Certificate.Problems)
			}
		}
	})
}
