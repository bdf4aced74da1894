// Package chain builds the certificate chains that clients may build, from what a server
// sends to the trust anchors of a machine (RFC 5280 §6.1). Servers leave out the root,
// and clients add it from their own trust stores. The package does no I/O itself:
// crypto/x509 reads the trusted roots, on Unix those of the system, or of SSL_CERT_FILE
// and SSL_CERT_DIR.
package chain

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"ctwatch/pins"
)

// Options decide which chains are valid.
type Options struct {
	// Roots are the trust anchors; nil means those of the system.
	Roots *x509.CertPool
	// Known are CA certificates that clients may have from elsewhere. Optional.
	Known []*x509.Certificate
	// At is when chains have to be valid.
	At time.Time
}

// maxAnchors bounds how often Verified continues beyond intermediates in a trust store.
const maxAnchors = 8

// Verified returns every valid chain for TLS servers from a leaf to a trust anchor, the
// shortest first, and chains of the same keys once. sent are the certificates that the
// server sends, the leaf first and the others in any order. A cross-signed CA has several
// chains, and which of them a client builds depends on the client.
func Verified(sent []*x509.Certificate, o Options) ([]pins.Chain, error) {
	others := x509.NewCertPool()
	for _, c := range slices.Concat(sent[1:], o.Known) {
		others.AddCert(c)
	}
	var added []*x509.Certificate
	var paths [][]*x509.Certificate
	for range maxAnchors {
		var err error
		if paths, err = sent[0].Verify(x509.VerifyOptions{Roots: o.Roots, Intermediates: others, CurrentTime: o.At}); err != nil {
			return nil, err
		}
		// A trust store may have intermediates, too: clients continue to the root.
		fresh := false
		for _, path := range paths {
			if last := path[len(path)-1]; !SelfSigned(last) && !slices.ContainsFunc(added, last.Equal) {
				others.AddCert(last)
				added, fresh = append(added, last), true
			}
		}
		if !fresh {
			break
		}
	}
	paths = slices.DeleteFunc(slices.Clone(paths), func(path []*x509.Certificate) bool {
		return slices.ContainsFunc(paths, func(longer []*x509.Certificate) bool {
			return len(longer) > len(path) && slices.EqualFunc(longer[:len(path)], path, (*x509.Certificate).Equal)
		})
	})
	slices.SortStableFunc(paths, func(a, b []*x509.Certificate) int { return len(a) - len(b) })
	var out []pins.Chain
	for _, path := range paths {
		c := Of(path)
		c.Root = path[len(path)-1].Subject.String()
		for _, cert := range slices.Backward(path) {
			if slices.ContainsFunc(sent, cert.Equal) {
				break
			}
			c.Added++
		}
		if !slices.ContainsFunc(out, func(other pins.Chain) bool { return slices.Equal(other.Pins, c.Pins) }) {
			out = append(out, c)
		}
	}
	return out, nil
}

// Above returns what may follow the key of a CA, up to a trust anchor, by the certificates
// for the key in Known (pins.Scope.Above). It leaves out what no trust anchor verifies.
func Above(key pins.Pin, o Options) (out []pins.Chain) {
	for _, c := range o.Known {
		if !c.IsCA || pins.FromSPKI(c.RawSubjectPublicKeyInfo) != key {
			continue
		}
		chains, err := Verified([]*x509.Certificate{c}, o)
		if err != nil {
			continue
		}
		for _, full := range chains {
			tail := pins.Chain{Pins: full.Pins[1:], Root: full.Root}
			if !slices.ContainsFunc(out, func(other pins.Chain) bool { return slices.Equal(other.Pins, tail.Pins) }) {
				out = append(out, tail)
			}
		}
	}
	return out
}

// BySignature returns the path from the leaf that can be built from what a server sent,
// in any order. Certificates that signed nothing on the path are left out.
func BySignature(sent []*x509.Certificate) []*x509.Certificate {
	path, rest := sent[:1:1], slices.Clone(sent[1:])
	for !SelfSigned(path[len(path)-1]) {
		last := path[len(path)-1]
		i := slices.IndexFunc(rest, func(c *x509.Certificate) bool {
			return bytes.Equal(last.RawIssuer, c.RawSubject) && last.CheckSignatureFrom(c) == nil
		})
		if i < 0 {
			break
		}
		path, rest = append(path, rest[i]), slices.Delete(rest, i, i+1)
	}
	return path
}

// SelfSigned reports whether a certificate is signed by its own key. SHA-1 is accepted:
// the signature of a root protects nothing.
func SelfSigned(c *x509.Certificate) bool {
	return bytes.Equal(c.RawIssuer, c.RawSubject) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// Of returns the keys of a path of certificates, the leaf first.
func Of(path []*x509.Certificate) (c pins.Chain) {
	for _, cert := range path {
		c.Pins = append(c.Pins, pins.FromSPKI(cert.RawSubjectPublicKeyInfo))
		c.Algorithms = append(c.Algorithms, Algorithm(cert.PublicKey))
	}
	return c
}

// Algorithm names the kind and the size of a key, such as "ECDSA P-256", "RSA 2048" or
// "Ed25519"; "" for a kind that crypto/x509 does not support.
func Algorithm(key any) string {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return ""
}
