package policy

import (
	"crypto/sha256"
	"slices"
	"strings"
	"sync"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// A CA is the operator of a certification authority, and facts about it. Facts without a
// source are left empty. A CA of the table is shared and must not be changed.
type CA struct {
	Name string `json:"name"`
	// CAA are its identities in CAA records (RFC 8659 §4.2), the usual one first.
	CAA []string `json:"caa"`
	// Organizations are its names in distinguished names. A rule cannot use these.
	Organizations []string `json:"organizations"`
	// ReportTo is where to report unauthorized certificates: an address or a URL.
	ReportTo string `json:"report_to,omitempty"`
	// Keys are the pins of its keys in the table: those of its roots, and of some
	// intermediates. Others are learned (CAs.Shown).
	Keys []pins.Pin `json:"keys"`
}

// hasIdentity reports whether the CA has a CAA identity, given in lower case.
func (ca *CA) hasIdentity(identity string) bool { return slices.Contains(ca.CAA, identity) }

// CAs identifies certification authorities by their keys: those of the built-in table, and
// those that chains show to be certified by them. It is safe for concurrent use.
type CAs struct {
	table []CA             // immutable, like keys
	keys  map[pins.Pin]*CA // of the table

	mu      sync.RWMutex
	learned map[pins.Pin][]learned
	n       int // how many are learned
	claims  map[pins.Pin]*CA
	certs   map[[sha256.Size]byte]chainCert // that were parsed, by their SHA-256
}

// NewCAs returns the CAs of the built-in table.
func NewCAs() *CAs { return newCAs(builtin()) }

func newCAs(table []CA) *CAs {
	c := &CAs{table: table, keys: make(map[pins.Pin]*CA), learned: make(map[pins.Pin][]learned), claims: make(map[pins.Pin]*CA), certs: make(map[[sha256.Size]byte]chainCert)}
	for i := range c.table {
		ca := &c.table[i]
		for _, p := range ca.Keys {
			c.keys[p] = ca
		}
	}
	return c
}

// All returns the CAs of the table. The result must not be changed.
func (c *CAs) All() []CA { return c.table }

// Of returns the CAs that have a certificate's issuing key: the one under which the table
// lists the key, or else each CA that certified it, for the time when the certificate was
// issued and for its names. An empty result shows nothing: the key may belong to any CA,
// even one of the table.
//
// It reads the issuer's pin, the names, the addresses and the beginning of the validity.
func (c *CAs) Of(cert *ctwatch.Certificate) []*CA {
	pin := cert.Issuer.Pin
	if pin.IsZero() {
		return nil
	}
	if ca, ok := c.keys[pin]; ok {
		return []*CA{ca}
	}
	c.mu.RLock()
	known := c.learned[pin] // append-only
	c.mu.RUnlock()
	var out []*CA
	for _, l := range known {
		if !slices.Contains(out, l.ca) && l.covers(cert) {
			out = append(out, l.ca)
		}
	}
	return out
}

// ReportTo returns where the CA that issued a certificate takes reports of problems; "" if
// that is unknown, or the issuer is not proven.
func (c *CAs) ReportTo(cert *ctwatch.Certificate) string {
	if !cert.Issuer.Proven {
		return ""
	}
	return reportTo(c.Of(cert))
}

func reportTo(cas []*CA) string {
	for _, ca := range cas {
		if ca.ReportTo != "" {
			return ca.ReportTo
		}
	}
	return ""
}

// Named returns the CA with a name or CAA identity.
func (c *CAs) Named(s string) (*CA, bool) {
	for i := range c.table {
		if ca := &c.table[i]; strings.EqualFold(ca.Name, s) || ca.hasIdentity(strings.ToLower(s)) {
			return ca, true
		}
	}
	return nil, false
}

// knows reports whether a CA of the table has a CAA identity.
func (c *CAs) knows(identity string) bool {
	for i := range c.table {
		if c.table[i].hasIdentity(identity) {
			return true
		}
	}
	return false
}

// Guess returns the CA whose organization a distinguished name (RFC 2253) contains. Use it
// for display only: anyone can write any name.
func (c *CAs) Guess(dn string) (*CA, bool) {
	for _, o := range ctwatch.DNValues(dn, "O", "2.5.4.10") {
		if ca, ok := c.ofOrganization(o); ok {
			return ca, true
		}
	}
	return nil, false
}

// claimed returns the CA to which an earlier version assigned an issuing key by name, which
// proves nothing.
func (c *CAs) claimed(pin pins.Pin) (*CA, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	ca, ok := c.claims[pin]
	return ca, ok
}

func (c *CAs) ofOrganization(o string) (*CA, bool) {
	for i := range c.table {
		for _, name := range c.table[i].Organizations {
			if strings.EqualFold(name, o) {
				return &c.table[i], true
			}
		}
	}
	return nil, false
}
