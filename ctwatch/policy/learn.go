package policy

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"net"
	"slices"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// Bounds on what is learned, and from what. A key is only learned by a signature of
// a CA that is known, so nobody else can fill the memory; there are a few thousand
// intermediates in all.
const (
	maxLearned    = 10_000
	maxPerKey     = 16       // paths that are remembered for one key
	maxRSA        = 8192     // bits
	maxConstraint = 64 << 10 // bytes, of the name constraints of a path
)

// A learned is an issuing key with the CA that vouches for it.
type learned struct {
	ctwatch.IssuerKey
	ca *CA
}

// Shown returns the issuing keys that a known CA certified, by the chain of a certificate
// as a log gives it: certificates in DER, in any order. What is known is left out. Nothing
// changes until the keys are passed to Add.
//
// The key belongs to the CA of the table that signed it, or that signed the
// certificates between: to the nearest one above it. The names in certificates decide
// nothing, since every sub-CA can call itself anything. A key that several CAs
// certified belongs to each of them, as each vouches for it; one that the table lists,
// to that one alone.
//
// A path counts only if crypto/x509 accepts it as of the begin of the certificate's
// validity: every certificate valid then, for a CA that may sign certificates
// (basicConstraints, keyCertSign) for servers (extended key usage), with critical
// extensions that are understood, within the path length that those above it allow,
// and up to a root of the table which signed itself. For how long a path is valid, and
// for which names, is remembered with the key.
//
// Certificates of more than 64 KiB, RSA keys of more than 8192 bits, and all after the
// tenth certificate are left out.
func (c *CAs) Shown(cert *ctwatch.Certificate, chain [][]byte) (out []ctwatch.IssuerKey) {
	if cert.NotBefore.IsZero() { // to Verify that is today
		return nil
	}
	certs := parseChain(chain)
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	var owners []*CA // of the table, as far as the chain has their keys
	for _, cc := range certs {
		ca, known := c.keys[cc.pin]
		if known && !slices.Contains(owners, ca) {
			owners = append(owners, ca)
		}
		if known && signsItself(cc.Certificate) {
			roots.AddCert(cc.Certificate)
		} else {
			between.AddCert(cc.Certificate)
		}
	}
	for _, cc := range certs {
		if _, known := c.keys[cc.pin]; known || !mayIssue(cc.Certificate) || c.settled(cc.pin, owners, cert) {
			continue
		}
		paths, err := cc.Verify(x509.VerifyOptions{
			Roots: roots, Intermediates: between, CurrentTime: cert.NotBefore,
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		})
		if err != nil {
			continue
		}
		for _, path := range paths {
			if key, ok := c.keyOf(cc.pin, path); ok {
				out = append(out, key)
			}
		}
	}
	return out
}

// A chainCert is a certificate of a chain.
type chainCert struct {
	*x509.Certificate
	pin pins.Pin
}

// parseChain reads what can be read of a chain, each certificate once.
func parseChain(chain [][]byte) (out []chainCert) {
	for _, der := range chain[:min(ctwatch.MaxChain, len(chain))] {
		if cert, err := parseCert(der); err == nil && !slices.ContainsFunc(out, func(c chainCert) bool { return c.Equal(cert) }) {
			out = append(out, chainCert{cert, pins.FromSPKI(cert.RawSubjectPublicKeyInfo)})
		}
	}
	return out
}

// parseCert reads a certificate, unless work with it would be without bounds.
func parseCert(der []byte) (*x509.Certificate, error) {
	if len(der) > ctwatch.MaxChainCertificate {
		return nil, fmt.Errorf("a certificate of %d bytes, more than the %d that are read", len(der), ctwatch.MaxChainCertificate)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits > maxRSA {
			return nil, fmt.Errorf("an RSA key of %d bits, more than the %d that are read", bits, maxRSA)
		}
	case *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		return nil, fmt.Errorf("a key of an unknown kind, %v", cert.PublicKeyAlgorithm)
	}
	return cert, nil
}

// signsItself reports whether a certificate is a root's: what it says of its own key
// is then said by who has the key. SHA-1 will do, as it proves nothing more.
func signsItself(cert *x509.Certificate) bool {
	return slices.Equal(cert.RawSubject, cert.RawIssuer) && cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) == nil
}

// mayIssue reports whether a certificate is one of a CA that signs certificates.
// Verify asks this of all certificates of a path but the first.
func mayIssue(cert *x509.Certificate) bool {
	return cert.Version >= 3 && cert.BasicConstraintsValid && cert.IsCA && (cert.KeyUsage == 0 || cert.KeyUsage&x509.KeyUsageCertSign != 0)
}

// keyOf returns what a verified path from a key up to a root shows. ok is false if
// the path is too long for one of its certificates: Verify takes the first for that of
// a server, which does not count.
func (c *CAs) keyOf(pin pins.Pin, path []*x509.Certificate) (key ctwatch.IssuerKey, ok bool) {
	key = ctwatch.IssuerKey{Pin: pin, NotBefore: path[0].NotBefore, NotAfter: path[0].NotAfter}
	for i, cert := range path {
		if cert.BasicConstraintsValid && cert.MaxPathLen >= 0 && i > cert.MaxPathLen {
			return key, false
		}
		if cert.NotBefore.After(key.NotBefore) {
			key.NotBefore = cert.NotBefore
		}
		if cert.NotAfter.Before(key.NotAfter) {
			key.NotAfter = cert.NotAfter
		}
		if p := pins.FromSPKI(cert.RawSubjectPublicKeyInfo); key.Anchor.IsZero() && c.keys[p] != nil {
			key.Anchor = p
		}
		for _, e := range cert.Extensions {
			if e.Id.Equal(oidNameConstraints) {
				key.NameConstraints = append(key.NameConstraints, e.Value...)
			}
		}
	}
	return key, len(key.NameConstraints) <= maxConstraint
}

// covers reports whether a path counts for a certificate.
func (l *learned) covers(cert *ctwatch.Certificate) bool {
	at := cert.NotBefore
	return !at.Before(l.NotBefore) && !at.After(l.NotAfter) && permits(l.NameConstraints, cert)
}

// settled reports whether each of some CAs is known to vouch for an issuing key when
// it signs a certificate, so that a chain that ends at them teaches nothing.
func (c *CAs) settled(pin pins.Pin, owners []*CA, cert *ctwatch.Certificate) bool {
	c.mu.RLock()
	known := c.learned[pin]
	c.mu.RUnlock()
	for _, ca := range owners {
		if !slices.ContainsFunc(known, func(l learned) bool { return l.ca == ca && l.covers(cert) }) {
			return false
		}
	}
	return true // also if no CA is known
}

func (c *CAs) add(key ctwatch.IssuerKey) bool {
	ca, ok := c.keys[key.Anchor]
	if _, listed := c.keys[key.Pin]; !ok || listed || key.Pin.IsZero() {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.learned[key.Pin]
	if c.n >= maxLearned || len(known) >= maxPerKey || slices.ContainsFunc(known, func(l learned) bool { return l.Equal(key) }) {
		return false
	}
	c.learned[key.Pin] = append(known, learned{key, ca})
	delete(c.claims, key.Pin)
	c.n++
	return true
}

// Add makes keys known that Shown returned, now or in an earlier run, and returns those
// that were not. The table takes precedence: a key belongs to the CA that the table names
// now, and to none if the table no longer has the CA.
func (c *CAs) Add(keys ...ctwatch.IssuerKey) (added []ctwatch.IssuerKey) {
	for _, k := range keys {
		if c.add(k) {
			added = append(added, k)
		}
	}
	return added
}

// Claim takes in that an earlier version assigned a key to the CA of a name, without
// asking who signed it. Until a chain shows that, certificates of the key are neither
// expected nor unexpected where that CA may issue.
func (c *CAs) Claim(pin pins.Pin, name string) {
	ca, ok := c.Named(name)
	if _, listed := c.keys[pin]; !ok || listed || pin.IsZero() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.learned[pin]) == 0 {
		c.claims[pin] = ca
	}
}

var oidNameConstraints = asn1.ObjectIdentifier{2, 5, 29, 30}

// permits reports whether name constraints (RFC 5280 §4.2.1.10), one value after
// another in DER, allow the names and addresses of a certificate. What cannot be read
// allows nothing.
//
// The certificate itself is not at hand, and crypto/x509 looks at name constraints
// only when it verifies one. So it is asked about a certificate for the same names
// from a CA with the same constraints. Both are thrown away.
func permits(constraints []byte, cert *ctwatch.Certificate) bool {
	for rest := constraints; len(rest) > 0; {
		var one asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &one); err != nil || !permitsOne(one.FullBytes, cert) {
			return false
		}
	}
	return true
}

func permitsOne(constraint []byte, cert *ctwatch.Certificate) bool {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) // proves nothing to anybody
	from, to := time.Unix(0, 0), time.Unix(1<<33, 0)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "constrained"}, NotBefore: from, NotAfter: to,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		ExtraExtensions: []pkix.Extension{{Id: oidNameConstraints, Value: constraint}},
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: from, NotAfter: to, DNSNames: cert.Names}
	for _, s := range cert.IPAddresses {
		ip := net.ParseIP(s)
		if ip == nil {
			return false
		}
		leaf.IPAddresses = append(leaf.IPAddresses, ip)
	}
	root, err := standIn(ca, ca, key)
	if err != nil {
		return false
	}
	end, err := standIn(leaf, root, key)
	if err != nil {
		return false
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	_, err = end.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: from, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err == nil
}

func standIn(template, parent *x509.Certificate, key ed25519.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(nil, template, parent, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
