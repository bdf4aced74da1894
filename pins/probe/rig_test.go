package probe_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ctwatch/pins"
	"ctwatch/pins/probe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// host is the name that these tests probe.
const host = "api.example.test"

// An identity is a certificate and its key.
type identity struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func (i identity) pin() pins.Pin { return pins.FromSPKI(i.cert.RawSubjectPublicKeyInfo) }

// rsaKey makes one RSA key for all tests, since it takes long.
var rsaKey = sync.OnceValue(func() crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func ecdsaKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func ed25519Key(t testing.TB) crypto.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue makes a certificate for a key; a zero issuer makes it self-signed.
func issue(t testing.TB, issuer identity, key crypto.Signer, change func(*x509.Certificate)) identity {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: host},
		DNSNames:     []string{host},
		NotBefore:    time.Now().Add(-time.Hour).Truncate(time.Second),
		NotAfter:     time.Now().Add(24 * time.Hour).Truncate(time.Second),
	}
	if change != nil {
		change(template)
	}
	parent, signer := issuer.cert, issuer.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return identity{cert, key}
}

// ca makes a template one of a CA.
func ca(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject.CommonName, c.DNSNames = name, nil
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	}
}

// A family is a root, an intermediate, and a leaf.
type family struct{ root, intermediate, leaf identity }

func newFamily(t testing.TB) family {
	t.Helper()
	var f family
	f.root = issue(t, identity{}, ecdsaKey(t), ca("Test Root"))
	f.intermediate = issue(t, f.root, ecdsaKey(t), ca("Test Intermediate"))
	f.leaf = issue(t, f.intermediate, ecdsaKey(t), nil)
	return f
}

func (f family) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(f.root.cert)
	return pool
}

// chain is what a server sends, the leaf first.
func chain(ids ...identity) tls.Certificate {
	c := tls.Certificate{PrivateKey: ids[0].key}
	for _, id := range ids {
		c.Certificate = append(c.Certificate, id.cert.Raw)
	}
	return c
}

// listen serves each connection with a function, until the test ends.
func listen(t testing.TB, address string, serve func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	var (
		all   sync.WaitGroup
		mu    sync.Mutex
		ended bool
		open  = make(map[net.Conn]bool)
	)
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		ended = true
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			if ended {
				c.Close()
			}
			open[c] = true
			mu.Unlock()
			all.Go(func() {
				serve(c)
				c.Close()
				mu.Lock()
				delete(open, c)
				mu.Unlock()
			})
		}
	})
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// serveTLS is a TLS server at 127.0.0.1.
func serveTLS(t testing.TB, config *tls.Config) netip.AddrPort {
	t.Helper()
	return listen(t, "127.0.0.1:0", shakeHands(config))
}

// shakeHands serves TLS until the client leaves.
func shakeHands(config *tls.Config) func(net.Conn) {
	return func(c net.Conn) {
		s := tls.Server(c, config)
		if s.Handshake() == nil {
			s.Read(make([]byte, 1))
		}
	}
}

// patience is the time limit of looks at servers that do answer: far away, since machines
// are busy.
const patience = 10 * time.Minute

// piped is a server that is reached through pipes, for bubbles of testing/synctest: it
// serves each connection with a function, until the test ends.
func piped(t testing.TB, serve func(net.Conn)) (dial func(context.Context, string, string) (net.Conn, error)) {
	t.Helper()
	var all sync.WaitGroup
	t.Cleanup(all.Wait)
	return func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		t.Cleanup(func() { server.Close() })
		all.Go(func() {
			serve(server)
			server.Close()
		})
		return client, nil
	}
}

// look probes a configured server.
func look(t testing.TB, cfg probe.Config, at netip.AddrPort) pins.Look {
	t.Helper()
	for _, d := range []*time.Duration{&cfg.DialTimeout, &cfg.HandshakeTimeout, &cfg.Timeout} {
		if *d == 0 {
			*d = patience
		}
	}
	l := probe.New(cfg).Look(t.Context(), pins.Endpoint{Host: host, Target: at.String(), Configured: true})
	if l.Err != nil {
		t.Fatal(l.Err)
	}
	if len(l.Addresses) != 1 || l.Addresses[0].Addr != at.String() {
		t.Fatalf("addresses: %+v, want one, %s", l.Addresses, at)
	}
	return l
}

// served probes a server that serves one chain.
func served(t testing.TB, cfg probe.Config, at netip.AddrPort) pins.Served {
	t.Helper()
	a := look(t, cfg, at).Addresses[0]
	if a.Err != nil || a.Partial != nil {
		t.Fatalf("at %s: error %v, partial %v", at, a.Err, a.Partial)
	}
	if len(a.Served) != 1 {
		t.Fatalf("%d chains are served, want one: %+v", len(a.Served), a.Served)
	}
	return a.Served[0]
}

// names is a Resolver.
type names map[string][]string

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	var out []netip.Addr
	for _, ip := range n[strings.TrimSuffix(host, ".")] {
		out = append(out, netip.MustParseAddr(ip))
	}
	if out == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return out, nil
}

// mustFail checks the text of an error, and that it is printable.
func mustFail(t testing.TB, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that says %q", want)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
	if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == '\u202e' }) {
		t.Errorf("error %q does not print", err)
	}
}

var errNotDialed = errors.New("not dialed in this test")
