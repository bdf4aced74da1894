package ctlogtest

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"sync"
	"time"
)

// CAOptions configure a CA. The zero value is a CA with ECDSA P-256 keys.
type CAOptions struct {
	Name string // organization in its certificates; default "ctlogtest"
	RSA  bool   // RSA 2048 instead of ECDSA P-256
	// PrecertSigner makes a precertificate signing certificate issue the precertificates
	// (RFC 6962 §3.1) instead of the intermediate.
	PrecertSigner bool
	// Seed makes keys, except RSA keys, and serial numbers the same each time. For all bytes
	// to be the same, Now must be, too.
	Seed string
	Now  func() time.Time // default time.Now
}

// A CA issues certificates from an intermediate below a root. Its methods may be
// called concurrently.
type CA struct {
	// Root, Intermediate and PrecertSigner are the CA's certificates in DER; PrecertSigner is
	// optional.
	Root, Intermediate, PrecertSigner []byte

	opt                 CAOptions
	issuer, precertSign authority

	mu     sync.Mutex
	issued uint64 // certificates, for serial numbers
}

// An authority is a certificate that signs others, and its key.
type authority struct {
	cert      *x509.Certificate
	key       crypto.Signer
	algorithm []byte // AlgorithmIdentifier of its signatures
}

// NewCA returns a CA with a root, an intermediate, and what else the options say.
func NewCA(opt CAOptions) (*CA, error) {
	opt.Name = cmp.Or(opt.Name, "ctlogtest")
	if opt.Now == nil {
		opt.Now = time.Now
	}
	ca := &CA{opt: opt}
	root, err := ca.authority("Root", 1, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("making the root of CA %q: %w", opt.Name, err)
	}
	if ca.issuer, err = ca.authority("Intermediate", 2, &root, nil); err != nil {
		return nil, fmt.Errorf("making the intermediate of CA %q: %w", opt.Name, err)
	}
	ca.precertSign = ca.issuer
	if opt.PrecertSigner {
		usage := []asn1.ObjectIdentifier{oidCTSigning}
		if ca.precertSign, err = ca.authority("Precertificate Signing", 3, &ca.issuer, usage); err != nil {
			return nil, fmt.Errorf("making the precertificate signing certificate of CA %q: %w", opt.Name, err)
		}
		ca.PrecertSigner = ca.precertSign.cert.Raw
	}
	ca.Root, ca.Intermediate = root.cert.Raw, ca.issuer.cert.Raw
	return ca, nil
}

// authority makes a certificate of the CA, signed by its parent, or by itself if that is nil.
func (ca *CA) authority(name string, serial int64, parent *authority, usage []asn1.ObjectIdentifier) (a authority, err error) {
	if a.key, err = ca.newKey(name); err != nil {
		return a, err
	}
	if a.algorithm, err = algorithmOf(a.key); err != nil {
		return a, err
	}
	now := ca.opt.Now().UTC().Truncate(time.Second)
	t := &x509.Certificate{
		SerialNumber:          big.NewInt(serial),
		Subject:               pkix.Name{Organization: []string{ca.opt.Name}, CommonName: ca.opt.Name + " " + name},
		NotBefore:             now.AddDate(-1, 0, 0),
		NotAfter:              now.AddDate(9, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		UnknownExtKeyUsage:    usage,
	}
	signer, over := a.key, t
	if parent != nil {
		signer, over = parent.key, parent.cert
	}
	der, err := x509.CreateCertificate(nil, t, over, a.key.Public(), signer)
	if err != nil {
		return a, err
	}
	a.cert, err = x509.ParseCertificate(der)
	return a, err
}

func (ca *CA) newKey(label string) (crypto.Signer, error) {
	switch {
	case ca.opt.RSA:
		return rsa.GenerateKey(rand.Reader, 2048)
	case ca.opt.Seed != "":
		return SeededKey(ca.opt.Seed + " " + label)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}
