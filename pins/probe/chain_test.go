package probe_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/pins"
	"ctwatch/pins/probe"
)

// TestChainFollowsSignatures: a chain has the certificates that signed one another, in
// whatever order they are sent.
func TestChainFollowsSignatures(t *testing.T) {
	f, foreign := newFamily(t), newFamily(t)
	selfSigned := issue(t, identity{}, ecdsaKey(t), nil)
	// Of the right name, but with another key: it signed nothing here.
	impostor := issue(t, identity{}, ecdsaKey(t), ca("Test Intermediate"))
	// A certificate that is not a CA cannot issue, though its signature is valid.
	noCA := issue(t, f.intermediate, ecdsaKey(t), nil)
	byNoCA := issue(t, noCA, ecdsaKey(t), func(c *x509.Certificate) { c.Subject.CommonName = "child" })
	// The root's key, certified by another root: a longer way for older clients.
	cross := issue(t, foreign.root, f.root.key, ca("Test Root"))

	const open, closed = true, false
	unknown := "leads to no trusted root"
	for name, c := range map[string]struct {
		sent    []identity
		roots   *x509.CertPool
		want    []identity
		open    bool
		problem string
	}{
		"the root verifies and is added":       {[]identity{f.leaf, f.intermediate}, f.roots(), []identity{f.leaf, f.intermediate, f.root}, closed, ""},
		"the root is sent":                     {[]identity{f.leaf, f.intermediate, f.root}, f.roots(), []identity{f.leaf, f.intermediate, f.root}, closed, ""},
		"the root is sent, and unknown":        {[]identity{f.leaf, f.intermediate, f.root}, foreign.roots(), []identity{f.leaf, f.intermediate, f.root}, closed, unknown},
		"the root is unknown":                  {[]identity{f.leaf, f.intermediate}, foreign.roots(), []identity{f.leaf, f.intermediate}, open, unknown},
		"the intermediate is missing":          {[]identity{f.leaf}, f.roots(), []identity{f.leaf}, open, unknown},
		"only the root is sent besides":        {[]identity{f.leaf, f.root}, f.roots(), []identity{f.leaf}, open, unknown},
		"in the wrong order":                   {[]identity{f.leaf, f.root, f.intermediate}, f.roots(), []identity{f.leaf, f.intermediate, f.root}, closed, ""},
		"in the wrong order, unknown":          {[]identity{f.leaf, f.root, f.intermediate}, foreign.roots(), []identity{f.leaf, f.intermediate, f.root}, closed, unknown},
		"a foreign certificate is appended":    {[]identity{f.leaf, f.intermediate, foreign.intermediate, foreign.root}, f.roots(), []identity{f.leaf, f.intermediate, f.root}, closed, ""},
		"so too, and the root is unknown":      {[]identity{f.leaf, f.intermediate, foreign.intermediate, foreign.root}, foreign.roots(), []identity{f.leaf, f.intermediate}, open, unknown},
		"a foreign certificate stands between": {[]identity{f.leaf, foreign.leaf, f.intermediate}, foreign.roots(), []identity{f.leaf, f.intermediate}, open, unknown},
		"an impostor has the issuer's name":    {[]identity{f.leaf, impostor}, f.roots(), []identity{f.leaf}, open, unknown},
		"the impostor comes first":             {[]identity{f.leaf, impostor, f.intermediate}, f.roots(), []identity{f.leaf, f.intermediate, f.root}, closed, ""},
		"the leaf twice":                       {[]identity{f.leaf, f.leaf, f.intermediate}, foreign.roots(), []identity{f.leaf, f.intermediate}, open, unknown},
		"the issuer is not a CA":               {[]identity{byNoCA, noCA, f.intermediate}, f.roots(), []identity{byNoCA}, open, unknown},
		"self-signed":                          {[]identity{selfSigned}, f.roots(), []identity{selfSigned}, closed, unknown},
		"self-signed, with the true CA":        {[]identity{selfSigned, f.intermediate, f.root}, f.roots(), []identity{selfSigned}, closed, unknown},
		"cross-signed, short way trusted":      {[]identity{f.leaf, f.intermediate, cross, foreign.root}, f.roots(), []identity{f.leaf, f.intermediate, f.root}, closed, ""},
		"cross-signed, long way trusted":       {[]identity{f.leaf, f.intermediate, cross}, foreign.roots(), []identity{f.leaf, f.intermediate, cross, foreign.root}, closed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			at := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{chain(c.sent...)}})
			s := served(t, probe.Config{Roots: c.roots}, at)
			want := pins.Chain{Open: c.open}
			for _, id := range c.want {
				want.Pins, want.Algorithms = append(want.Pins, id.pin()), append(want.Algorithms, "ECDSA P-256")
			}
			if diff := cmp.Diff(want, s.Chain); diff != "" {
				t.Errorf("chain (-want +got):\n%s", diff)
			}
			if c.problem == "" && s.Problem != "" || !strings.Contains(s.Problem, c.problem) {
				t.Errorf("problem %q, want %q", s.Problem, c.problem)
			}
			var sent [][]byte
			for _, id := range c.sent {
				sent = append(sent, id.cert.Raw)
			}
			if diff := cmp.Diff(sent, s.Certificates); diff != "" {
				t.Errorf("certificates, which should be as sent (-want +got):\n%s", diff)
			}
		})
	}
}

// TestProblemIsASentence: a look says in a sentence why clients would reject a chain.
func TestProblemIsASentence(t *testing.T) {
	f := newFamily(t)
	day := func(n int) time.Time { return time.Date(2020, 1, n, 0, 0, 0, 0, time.UTC) }
	oldCA := issue(t, f.root, ecdsaKey(t), func(c *x509.Certificate) {
		ca("Old \x1b[31mCA")(c)
		c.NotBefore, c.NotAfter = day(1), day(2)
	})
	leaf := func(change func(*x509.Certificate)) []identity {
		return []identity{issue(t, f.intermediate, ecdsaKey(t), change), f.intermediate}
	}
	var many []string
	for i := range 9 {
		many = append(many, fmt.Sprintf("h%d.example.test", i))
	}
	for want, sent := range map[string][]identity{
		"its certificate expired on 2020-01-02T00:00:00Z": leaf(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = day(1), day(2) }),
		"its certificate is not valid before ": leaf(func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
		}),
		`the certificate of its issuer "Old �[31mCA" expired on 2020-01-02T00:00:00Z`:                                                                     {issue(t, oldCA, ecdsaKey(t), nil), oldCA},
		"its certificate is not for api.example.test but for h0.example.test, h1.example.test, h2.example.test, h3.example.test, h4.example.test, 4 more": leaf(func(c *x509.Certificate) { c.DNSNames = many }),
		"its certificate is not for api.example.test but for 10.0.0.1":                                                                                    leaf(func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, []net.IP{{10, 0, 0, 1}} }),
		"its certificate is not for api.example.test but for no name":                                                                                     leaf(func(c *x509.Certificate) { c.DNSNames = nil }),
		"its certificate does not verify: x509: certificate specifies an incompatible key usage": leaf(func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
		}),
	} {
		at := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{chain(sent...)}})
		if s := served(t, probe.Config{Roots: f.roots()}, at); !strings.HasPrefix(s.Problem, want) {
			t.Errorf("problem %q, want %q", s.Problem, want)
		} else if s.Chain.Leaf() != sent[0].pin() {
			t.Errorf("%s: the leaf is not that of the chain %+v", want, s.Chain)
		}
	}
}

// TestProblemUsesGivenClock: chains are judged by the clock of the configuration.
func TestProblemUsesGivenClock(t *testing.T) {
	f := newFamily(t)
	at := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{chain(f.leaf, f.intermediate)}})
	later := time.Now().AddDate(1, 0, 0)
	s := served(t, probe.Config{Roots: f.roots(), Now: func() time.Time { return later }}, at)
	if !strings.HasPrefix(s.Problem, "its certificate expired on ") || !s.Chain.Open {
		t.Errorf("problem %q, chain %+v", s.Problem, s.Chain)
	}
}

func TestTextFromCertificateIsPrintable(t *testing.T) {
	f := newFamily(t)
	bad := issue(t, f.intermediate, ecdsaKey(t), func(c *x509.Certificate) {
		c.Subject.CommonName = "\u202eevil\x1b[2J\n" + strings.Repeat("x", 10_000)
		c.DNSNames = []string{"API.Example.TEST", "a\x00b"}
	})
	at := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{chain(bad, f.intermediate)}})
	s := served(t, probe.Config{Roots: f.roots()}, at)
	if want := "�evil�[2J�" + strings.Repeat("x", 240) + "…"; s.CommonName != want {
		t.Errorf("common name %q, want %q", s.CommonName, want)
	}
	if diff := cmp.Diff([]string{host, "a�b"}, s.Names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}
