package policy

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"net"
	"slices"
	"sync"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// Bounds on what is learned. A key is only learned by the signature of a known CA, so
// others cannot fill the memory; there are a few thousand intermediates in all.
const (
	maxLearned    = 10_000
	maxPerKey     = 16       // paths for one key
	maxRSA        = 8192     // bits
	maxConstraint = 64 << 10 // bytes, of the name constraints of a path
)

// A learned is an issuing key with the CA that certified it.
type learned struct {
	ctwatch.IssuerKey
	ca *CA
}

// Shown returns the issuing keys that a known CA certified, according to the chain of a
// certificate as a log serves it: certificates in DER, in any order. Known keys are left
// out. Nothing changes until the keys are passed to Add.
//
// A key belongs to the CA of the table that signed it or an intermediate above it: to the
// nearest one. The names in certificates do not matter, since a sub-CA can call itself
// anything. A key that several CAs certified belongs to each of them; a key that the table
// lists belongs to that CA only.
//
// A path counts only if crypto/x509 accepts it at the time when the certificate's validity
// begins: all certificates valid then, for CAs that may sign certificates
// (basicConstraints, keyCertSign) for servers (extended key usage), with critical
// extensions that are understood, within the path length allowed above, up to a self-signed
// root of the table. The key is returned with the time and the names for which the path is
// valid.
//
// Certificates longer than 64 KiB, RSA keys longer than 8192 bits, and everything after the
// tenth certificate are ignored.
func (c *CAs) Shown(cert *ctwatch.Certificate, chain [][]byte) (out []ctwatch.IssuerKey) {
	if cert.NotBefore.IsZero() { // which Verify would take for today
		return nil
	}
	certs := c.parseChain(chain)
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	var owners []*CA // of the table, whose keys are in the chain
	for _, cc := range certs {
		ca, known := c.keys[cc.pin]
		if known && !slices.Contains(owners, ca) {
			owners = append(owners, ca)
		}
		if known && cc.self() {
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
	pin  pins.Pin
	self func() bool // whether it is self-signed
}

// maxParsed is how many certificates of chains are remembered: almost all certificates that a
// log serves have one of a few dozen issuers, and to parse these and check the signatures of
// roots costs more than to record a certificate.
const maxParsed = 256

// parseChain parses the certificates of a chain, each once, and skips those that cannot be
// parsed.
func (c *CAs) parseChain(chain [][]byte) (out []chainCert) {
	for _, der := range chain[:min(ctwatch.MaxChain, len(chain))] {
		if cert, err := c.parsed(der); err == nil && !slices.ContainsFunc(out, func(c chainCert) bool { return c.Equal(cert.Certificate) }) {
			out = append(out, cert)
		}
	}
	return out
}

// parsed parses a certificate, or returns what it was parsed to before.
func (c *CAs) parsed(der []byte) (chainCert, error) {
	sum := sha256.Sum256(der)
	c.mu.RLock()
	known, ok := c.certs[sum]
	c.mu.RUnlock()
	if ok {
		return known, nil
	}
	cert, err := parseCert(slices.Clone(der)) // that it keeps
	if err != nil {
		return chainCert{}, err
	}
	known = chainCert{cert, pins.FromSPKI(cert.RawSubjectPublicKeyInfo), sync.OnceValue(func() bool { return signsItself(cert) })}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.certs) >= maxParsed {
		clear(c.certs)
	}
	c.certs[sum] = known
	return known, nil
}

// parseCert parses a certificate whose verification takes bounded work.
func parseCert(der []byte) (*x509.Certificate, error) {
	if len(der) > ctwatch.MaxChainCertificate {
		return nil, fmt.Errorf("the certificate has %d bytes, more than %d", len(der), ctwatch.MaxChainCertificate)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits > maxRSA {
			return nil, fmt.Errorf("the RSA key has %d bits, more than %d", bits, maxRSA)
		}
	case *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		return nil, fmt.Errorf("unknown key algorithm %v", cert.PublicKeyAlgorithm)
	}
	return cert, nil
}

// signsItself reports whether a certificate is self-signed. SHA-1 is accepted: it proves
// only that the owner of the key made it.
func signsItself(cert *x509.Certificate) bool {
	return slices.Equal(cert.RawSubject, cert.RawIssuer) && cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) == nil
}

// mayIssue reports whether a certificate belongs to a CA that may sign certificates. Verify
// checks this for all certificates of a path but the first.
func mayIssue(cert *x509.Certificate) bool {
	return cert.Version >= 3 && cert.BasicConstraintsValid && cert.IsCA && (cert.KeyUsage == 0 || cert.KeyUsage&x509.KeyUsageCertSign != 0)
}

// keyOf returns what a verified path from a key to a root shows. ok is false if the path is
// too long for one of its certificates: Verify does not count the first, which it takes for
// a server's.
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

// covers reports whether a path is valid for a certificate.
func (l *learned) covers(cert *ctwatch.Certificate) bool {
	at := cert.NotBefore
	return !at.Before(l.NotBefore) && !at.After(l.NotAfter) && permits(l.NameConstraints, cert)
}

// settled reports whether a key is known to belong to each of some CAs when it signed a
// certificate, so that a chain that ends at them shows nothing new.
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

// Add records keys that Shown returned, now or in an earlier run, and returns those that
// are new. The table takes precedence: a key belongs to the CA that the table lists it
// under now, and a key whose anchor is no longer in the table belongs to none.
func (c *CAs) Add(keys ...ctwatch.IssuerKey) (added []ctwatch.IssuerKey) {
	for _, k := range keys {
		if c.add(k) {
			added = append(added, k)
		}
	}
	return added
}

// Claim records that an earlier version assigned a key to a CA by name, without checking a
// signature. Until a chain shows the CA, certificates of the key are neither expected nor
// unexpected where that CA may issue.
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

// permits reports whether name constraints (RFC 5280 §4.2.1.10), one value after another in
// DER, allow the names and addresses of a certificate. Unreadable constraints allow
// nothing.
//
// The certificate itself is not available, and crypto/x509 checks name constraints only
// when it verifies one. So it verifies a throwaway certificate for the same names from a
// throwaway CA with the same constraints.
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
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) // of the throwaway certificates
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
	root, err := throwaway(ca, ca, key)
	if err != nil {
		return false
	}
	end, err := throwaway(leaf, root, key)
	if err != nil {
		return false
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	_, err = end.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: from, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err == nil
}

func throwaway(template, parent *x509.Certificate, key ed25519.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(nil, template, parent, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
