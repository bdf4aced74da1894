package policy

import (
	"crypto/x509"

	"ctwatch/pins"
)

// Bounds on what is learned, and from what. A key is only learned by a signature of
// a CA that is known, so nobody else can fill the table; there are a few thousand
// intermediates in all.
const (
	maxLearned   = 10_000
	maxChain     = 16
	maxChainCert = 64 << 10 // bytes
)

// A Learned is an issuing key that was found to belong to a CA of the table.
type Learned struct {
	Pin pins.Pin `json:"pin"`
	CA  string   `json:"ca"` // its name
}

// Learn looks through a chain as a log or a server gives it, certificates in DER in
// any order, for keys of CAs that are not known yet: a CA certificate for the key,
// signed by a key that is known. It returns what is new, for the caller to keep and
// to Restore after a restart: without it, certificates judged again then would have
// an unknown issuer.
//
// The new key belongs to the CA of the table that the certificate names as its
// subject's organisation, and else to the one that signed it. Here the name can be
// believed, since the signer vouches for it; and a CA of its own below another's
// root, as Microsoft's below DigiCert's, is not taken for that other.
//
// What cannot be parsed or verified, certificates of more than 64 KiB, and all after
// the sixteenth, teach nothing. Neither validity nor trust is looked at: the question
// is whose key it is.
func (c *CAs) Learn(chain ...[]byte) []Learned {
	type candidate struct {
		*x509.Certificate
		pin pins.Pin
	}
	var certs []candidate
	unknown := 0
	for _, der := range chain[:min(maxChain, len(chain))] {
		if len(der) > maxChainCert {
			continue
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil || !mayIssue(cert) {
			continue
		}
		pin := pins.FromSPKI(cert.RawSubjectPublicKeyInfo)
		if _, known := c.Of(pin); !known {
			unknown++
		}
		certs = append(certs, candidate{cert, pin})
	}
	var out []Learned
	for again := unknown > 0; again; { // until a round teaches nothing
		again = false
		for _, cert := range certs {
			if _, known := c.Of(cert.pin); known || cert.Version < 3 {
				continue
			}
			for _, signer := range certs {
				ca, known := c.Of(signer.pin)
				if !known || cert.CheckSignatureFrom(signer.Certificate) != nil {
					continue
				}
				for _, o := range cert.Subject.Organization {
					if own, ok := c.ofOrganization(o); ok {
						ca = own
						break
					}
				}
				if c.learn(cert.pin, ca) {
					out = append(out, Learned{cert.pin, ca.Name})
					again = true
				}
				break
			}
		}
	}
	return out
}

// mayIssue reports whether a certificate is one of a CA. One of version 1 does not
// say: it can be a root whose key is known, but teaches nothing.
func mayIssue(cert *x509.Certificate) bool {
	if cert.Version < 3 {
		return true
	}
	return cert.BasicConstraintsValid && cert.IsCA && (cert.KeyUsage == 0 || cert.KeyUsage&x509.KeyUsageCertSign != 0)
}

func (c *CAs) learn(pin pins.Pin, ca *CA) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.keys[pin]; known || len(c.keys)-c.builtN >= maxLearned {
		return false
	}
	c.keys[pin] = ca
	return true
}

// Restore takes in what Learn returned in an earlier run. What the table says goes
// before; what belongs to no CA of the table is left out.
func (c *CAs) Restore(learned ...Learned) {
	for _, l := range learned {
		if ca, ok := c.Named(l.CA); ok && !l.Pin.IsZero() {
			c.learn(l.Pin, ca)
		}
	}
}
