package policy_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/policy"
	"ctwatch/pins"
)

// A ca is a certification authority of a test.
type ca struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func (c ca) pin() pins.Pin { return pins.FromSPKI(c.cert.RawSubjectPublicKeyInfo) }

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sign issues a certificate for a new key; a root signs itself.
func sign(t testing.TB, by *ca, organization string, change ...func(*x509.Certificate)) ca {
	t.Helper()
	return certify(t, by, newKey(t), organization, change...)
}

// certify issues a certificate for a key.
func certify(t testing.TB, by *ca, key crypto.Signer, organization string, change ...func(*x509.Certificate)) ca {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{Organization: []string{organization}, CommonName: "CA of " + organization},
		NotBefore: now.AddDate(-5, 0, 0), NotAfter: now.AddDate(5, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	for _, f := range change {
		f(template)
	}
	self := ca{template, key}
	if by == nil {
		by = &self
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	if self.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return self
}

// chain is what a log shows of some CAs.
func chain(of ...ca) (out [][]byte) {
	for _, c := range of {
		out = append(out, c.cert.Raw)
	}
	return out
}

// issued is a certificate for www.example.com from an issuing key.
func issued(by pins.Pin) *ctwatch.Certificate { return from(certificate("www.example.com"), by, "") }

// owners returns the names of the CAs that have the issuing key of a certificate.
func owners(cas *policy.CAs, c *ctwatch.Certificate) string {
	var names []string
	for _, ca := range cas.Of(c) {
		names = append(names, ca.Name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// owner names to whom the table assigns a key.
func owner(cas *policy.CAs, key pins.Pin) (string, bool) {
	name := owners(cas, issued(key))
	return name, name != ""
}

// Changes of certificates.

func pathLen(n int) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = n, n == 0 }
}

func valid(from, to time.Time) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = from, to }
}

func usage(u ...x509.ExtKeyUsage) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.ExtKeyUsage = u }
}

func critical(c *x509.Certificate) {
	c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Critical: true, Value: []byte{5, 0}})
}

func noCA(c *x509.Certificate) { c.IsCA, c.KeyUsage = false, x509.KeyUsageDigitalSignature }

func noCertSign(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }

func ctSigning(c *x509.Certificate) {
	c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 3, 6, 1, 4, 1, 11129, 2, 4, 4}}
}

// A fixture has two CAs of the table with keys that a test can use, and one of none.
type fixture struct {
	t                       *testing.T
	lets, digicert, nowhere ca
	cas                     *policy.CAs
}

func newFixture(t *testing.T) *fixture {
	w := &fixture{
		t: t, lets: sign(t, nil, "Internet Security Research Group"),
		digicert: sign(t, nil, "DigiCert Inc"), nowhere: sign(t, nil, "DigiCert Inc"),
	}
	w.cas = policy.Knowing(map[pins.Pin]string{w.lets.pin(): "Let's Encrypt", w.digicert.pin(): "DigiCert"})
	return w
}

// with has the table list one more key.
func (w *fixture) with(key ca, name string) {
	w.cas = policy.Knowing(map[pins.Pin]string{w.lets.pin(): "Let's Encrypt", w.digicert.pin(): "DigiCert", key.pin(): name})
}

func (w *fixture) sub(by ca, organization string, change ...func(*x509.Certificate)) ca {
	w.t.Helper()
	return sign(w.t, &by, organization, change...)
}

// A publicKey is a public key without its private key.
type publicKey struct {
	crypto.Signer
	public crypto.PublicKey
}

func (k publicKey) Public() crypto.PublicKey { return k.public }

// hugeKey is an RSA key of any size.
func hugeKey(bits uint) crypto.Signer {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return publicKey{public: &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}}
}
