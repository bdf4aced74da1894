package policy_test

import (
	"fmt"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/policy"
	"ctwatch/pins"
)

// Issuing keys: of CAs in the built-in table, and of one that is in none.
var (
	letsEncrypt = mustPin("sha256/y7xVm0TVJNahMr2sZydE2jQH8SquXV9yLF9seROHHHU=") // E7
	digiCert    = mustPin("sha256/i7WTqTvh0OioIruIfFR4kMPnBqrS2rdiVPl/s2uC/CY=") // DigiCert Global Root G2
	google      = mustPin("sha256/hxqRlPTu1bMS/0DITB1SSu0vd4u/8l8TjPgfaAp63Gc=") // GTS Root R1
	unknownCA   = pinOf("a CA of no table")
)

// Names that issuers give themselves.
const (
	dnLetsEncrypt = "CN=E7,O=Let's Encrypt,C=US"
	dnDigiCert    = "CN=DigiCert Global G2 TLS RSA SHA256 2020 CA1,O=DigiCert Inc,C=US"
	dnUnknown     = "CN=Lab Issuing CA,O=Nobody Knows,C=XX"
)

func mustPin(s string) pins.Pin {
	p, err := pins.Parse(s)
	if err != nil {
		panic(err)
	}
	return p
}

func pinOf(text string) pins.Pin { return pins.FromSPKI([]byte(text)) }

func pattern(t testing.TB, s string) pins.Pattern {
	t.Helper()
	p, err := pins.PatternOf(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func patterns(t testing.TB, list ...string) (out []pins.Pattern) {
	t.Helper()
	for _, s := range list {
		out = append(out, pattern(t, s))
	}
	return out
}

func issuers(t testing.TB, list ...string) (out []policy.Issuer) {
	t.Helper()
	for _, s := range list {
		i, err := policy.ParseIssuer(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, i)
	}
	return out
}

// now is when the tests play.
var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// certificate is an ordinary one: from Let's Encrypt, for 90 days, matched by a rule
// for all of example.com.
func certificate(names ...string) *ctwatch.Certificate {
	c := &ctwatch.Certificate{
		Serial: "03a1", Names: names, Subject: "CN=" + names[0],
		NotBefore: now, NotAfter: now.Add(90*24*time.Hour - time.Second),
		Issuer: ctwatch.Issuer{Name: dnLetsEncrypt, Pin: letsEncrypt, Proven: true},
		Key:    ctwatch.CertificateKey{Algorithm: "ECDSA P-256", Pin: pinOf("our key")},
	}
	for _, name := range names {
		c.Matches = append(c.Matches, ctwatch.Match{Watch: ".example.com", Domain: "example.com", Name: name})
	}
	return c
}

// from has another CA issue a certificate.
func from(c *ctwatch.Certificate, pin pins.Pin, dn string) *ctwatch.Certificate {
	c.Issuer = ctwatch.Issuer{Name: dn, Pin: pin, Proven: !pin.IsZero()}
	return c
}

// with has a certificate for another key.
func with(c *ctwatch.Certificate, key string) *ctwatch.Certificate {
	c.Key.Pin = pinOf(key)
	return c
}

func change(c *ctwatch.Certificate, f func(*ctwatch.Certificate)) *ctwatch.Certificate {
	f(c)
	return c
}

// rule makes a rule of a pattern.
func rule(t testing.TB, about string, set ...func(*policy.Rule)) policy.Rule {
	t.Helper()
	r := policy.Rule{Pattern: pattern(t, about), Where: fmt.Sprintf("%s in the configuration", about)}
	for _, f := range set {
		if f != nil {
			f(&r)
		}
	}
	return r
}

func no() *bool { b := false; return &b }

// suggest returns what is suggested for one certificate.
func suggest(p *policy.Policy, c *ctwatch.Certificate, k ctwatch.Standing) string {
	s := p.Suggest()
	s.Add(c, k)
	return s.String()
}

// unproven is the certificate in an entry beside which nothing proves its issuer.
func unproven(c *ctwatch.Certificate) *ctwatch.Certificate {
	c.Issuer.Proven = false
	return c
}
