package policy_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"strings"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/policy"
	"ctwatch/pins"
)

// Name constraints of every certificate of the
// path hold for each certificate of the key, also after a restart.
func TestLearnedKeyCountsForPermittedNames(t *testing.T) {
	network := func(s string) []*net.IPNet {
		_, n, err := net.ParseCIDR(s)
		if err != nil {
			t.Fatal(err)
		}
		return []*net.IPNet{n}
	}
	permit := func(names ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = names, true }
	}
	exclude := func(names ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExcludedDNSDomains, c.PermittedDNSDomainsCritical = names, true }
	}
	for name, tt := range map[string]struct {
		upper, lower func(*x509.Certificate)
		good, bad    []string
	}{
		"permitted": {
			nil, permit("example.com"),
			[]string{"example.com", "www.example.com", "*.example.com", "a.b.example.com"},
			[]string{"example.org", "notexample.com", "com", "www.example.com example.org", "*.com", "www.example.com.evil.test", "bad name.example.com"},
		},
		"excluded": {
			nil, exclude("example.org"),
			[]string{"www.example.com"},
			[]string{"example.org", "a.example.org", "*.example.org", "www.example.com example.org"},
		},
		"by one above": {
			permit("example.com"), func(*x509.Certificate) {},
			[]string{"www.example.com"},
			[]string{"example.org"},
		},
		"by both": {
			permit("example.com"), exclude("secret.example.com"),
			[]string{"www.example.com"},
			[]string{"example.org", "a.secret.example.com"},
		},
		"without critical": {
			nil, func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"example.com"} },
			[]string{"www.example.com"},
			[]string{"example.org"},
		},
		"addresses": {
			nil, func(c *x509.Certificate) {
				c.PermittedDNSDomains, c.ExcludedIPRanges = []string{"example.com"}, network("0.0.0.0/0")
			},
			[]string{"www.example.com"},
			[]string{"www.example.com 192.0.2.1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newFixture(t)
			if tt.upper == nil {
				tt.upper = func(*x509.Certificate) {}
			}
			middle := w.sub(w.digicert, "Middle", tt.upper)
			issuing := w.sub(middle, "Issuing", tt.lower)
			cert := func(names string) *ctwatch.Certificate {
				c := issued(issuing.pin())
				c.Names = nil
				for n := range strings.FieldsSeq(names) {
					if net.ParseIP(n) != nil {
						c.IPAddresses = append(c.IPAddresses, n)
					} else {
						c.Names = append(c.Names, n)
					}
				}
				return c
			}
			learned := w.cas.Learn(cert(tt.good[0]), chain(issuing, middle, w.digicert)...)
			restarted := policy.Knowing(map[pins.Pin]string{w.digicert.pin(): "DigiCert"})
			restarted.Add(learned...)
			for _, cas := range []*policy.CAs{w.cas, restarted} {
				for _, names := range tt.good {
					if got := owners(cas, cert(names)); got != "DigiCert" {
						t.Errorf("for %s it is of %q", names, got)
					}
				}
				for _, names := range tt.bad {
					if got := owners(cas, cert(names)); got != "" {
						t.Errorf("for %s it is of %q", names, got)
					}
				}
			}
		})
	}
}

// Crypto/x509 does not know constraints of
// directory names.
func TestUnreadableConstraintsShowNothing(t *testing.T) {
	w := newFixture(t)
	directory := []byte("\x30\x15\xa0\x13\x30\x11\xa4\x0f\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x06\x13\x02\x55\x53")
	issuing := w.sub(w.digicert, "Issuing", func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 30}, Critical: true, Value: directory}}
	})
	if got := w.cas.Learn(issued(issuing.pin()), chain(issuing, w.digicert)...); got != nil {
		t.Errorf("learned %v", got)
	}
	// Unreadable constraints from a database permit nothing.
	w.cas.Add(ctwatch.IssuerKey{Pin: issuing.pin(), Anchor: w.digicert.pin(), NotBefore: now, NotAfter: now, NameConstraints: []byte("?")})
	if got := owners(w.cas, issued(issuing.pin())); got != "" {
		t.Errorf("it is of %s", got)
	}
}
