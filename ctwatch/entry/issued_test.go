package entry_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/ctwatch/entry"
)

func issue(t *testing.T, o ctlogtest.CAOptions) *ctlogtest.Issued {
	t.Helper()
	ca, err := ctlogtest.NewCA(o)
	if err != nil {
		t.Fatal(err)
	}
	i, err := ca.Issue(ctlogtest.Request{Names: []string{"api.shop.example"}})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// TestOnlySignaturesProveIssuers: what a log says of the issuer of a precertificate
// counts only if the issuer's key signed it.
func TestOnlySignaturesProveIssuers(t *testing.T) {
	honest := issue(t, ctlogtest.CAOptions{Name: "Trusted"})
	rsa := issue(t, ctlogtest.CAOptions{Name: "Trusted", RSA: true})
	special := issue(t, ctlogtest.CAOptions{Name: "Trusted", PrecertSigner: true})
	rogue := issue(t, ctlogtest.CAOptions{Name: "Trusted"})
	rogueSpecial := issue(t, ctlogtest.CAOptions{Name: "Trusted", PrecertSigner: true})
	final, err := honest.Final()
	if err != nil {
		t.Fatal(err)
	}

	for _, tt := range []struct {
		name         string
		key          [32]byte
		tbs, precert []byte
		chain        [][]byte
		proven       bool
	}{
		{"its CA signed it", honest.IssuerKeyHash, honest.TBS, honest.Precert, honest.PrecertChain, true},
		{"an RSA CA signed it", rsa.IssuerKeyHash, rsa.TBS, rsa.Precert, rsa.PrecertChain, true},
		{"a precertificate signing certificate", special.IssuerKeyHash, special.TBS, special.Precert, special.PrecertChain, true},
		{"only the issuer in the chain", honest.IssuerKeyHash, honest.TBS, honest.Precert, honest.PrecertChain[:1], true},

		{"another's precertificate under a trusted key", honest.IssuerKeyHash, rogue.TBS, rogue.Precert, honest.PrecertChain, false},
		{"the rogue's own chain under a trusted key", honest.IssuerKeyHash, rogue.TBS, rogue.Precert, rogue.PrecertChain, false},
		{"a trusted CA's precertificate of another certificate", honest.IssuerKeyHash, rogue.TBS, honest.Precert, honest.PrecertChain, false},
		{"the rogue's chain before the trusted issuer", honest.IssuerKeyHash, rogue.TBS, rogue.Precert, [][]byte{rogue.Issuer, honest.Issuer}, false},
		{"a rogue's signing certificate before the trusted issuer", honest.IssuerKeyHash, rogueSpecial.TBS, rogueSpecial.Precert, [][]byte{rogueSpecial.PrecertChain[0], honest.Issuer}, false},
		{"a signing certificate without its issuer", special.IssuerKeyHash, special.TBS, special.Precert, special.PrecertChain[:1], false},
		{"no poison", honest.IssuerKeyHash, honest.TBS, final, honest.PrecertChain, false},
		{"no chain", honest.IssuerKeyHash, honest.TBS, honest.Precert, nil, false},
		{"no precertificate", honest.IssuerKeyHash, honest.TBS, nil, honest.PrecertChain, false},
		{"noise for a precertificate", honest.IssuerKeyHash, honest.TBS, []byte("noise"), honest.PrecertChain, false},
		{"noise for an issuer", honest.IssuerKeyHash, honest.TBS, honest.Precert, [][]byte{[]byte("noise")}, false},
		{"a signature with a bit flipped", honest.IssuerKeyHash, honest.TBS, flipLast(honest.Precert), honest.PrecertChain, false},
	} {
		err := entry.PrecertificateIssuedBy(ctwatch.Hash(tt.key), tt.tbs, tt.precert, tt.chain)
		if (err == nil) != tt.proven {
			t.Errorf("%s: %v, want it proven: %v", tt.name, err, tt.proven)
		}
	}
}

func flipLast(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)-1] ^= 1
	return b
}

// A delegation is a precertificate that a key below the issuer's signed.
type delegation struct {
	key          [32]byte // of the issuer
	tbs, precert []byte
	chain        [][]byte
}

// delegate makes a delegation to a CA certificate with some extended key usages.
func delegate(t *testing.T, ca bool, usage ...asn1.ObjectIdentifier) delegation {
	t.Helper()
	keys := make([]*ecdsa.PrivateKey, 3)
	for i := range keys {
		var err error
		if keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Unix(1_795_000_000, 0)
	sign := func(template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
		template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(7), now, now.AddDate(0, 3, 0)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	self := &x509.Certificate{Subject: pkix.Name{CommonName: "Issuer"}, IsCA: true, BasicConstraintsValid: true}
	issuer := sign(self, self, keys[0], keys[0])
	signer := sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "Issuer"}, IsCA: ca, BasicConstraintsValid: true, UnknownExtKeyUsage: usage,
	}, issuer, keys[1], keys[0])
	precert := sign(&x509.Certificate{
		DNSNames: []string{"api.shop.example"},
		ExtraExtensions: []pkix.Extension{
			{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 3}, Critical: true, Value: []byte{5, 0}},
		},
	}, &x509.Certificate{Subject: signer.Subject}, keys[2], keys[1])
	_, tbs, err := entry.Identity(precert.RawTBSCertificate)
	if err != nil {
		t.Fatal(err)
	}
	return delegation{sha256.Sum256(issuer.RawSubjectPublicKeyInfo), tbs, precert.Raw, [][]byte{signer.Raw, issuer.Raw}}
}

// TestOnlySigningCertificatesStandIn: of all certificates below an issuer only one for
// signing precertificates speaks for it (RFC 6962 §3.1).
func TestOnlySigningCertificatesStandIn(t *testing.T) {
	signing := asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 4}
	for _, tt := range []struct {
		name   string
		ca     bool
		usage  []asn1.ObjectIdentifier
		proven bool
	}{
		{"a precertificate signing certificate", true, []asn1.ObjectIdentifier{signing}, true},
		{"an ordinary subordinate CA", true, nil, false},
		{"a subordinate CA with another usage", true, []asn1.ObjectIdentifier{{1, 3, 6, 1, 4, 1, 11129, 2, 4, 5}}, false},
		{"the usage without being a CA", false, []asn1.ObjectIdentifier{signing}, false},
	} {
		d := delegate(t, tt.ca, tt.usage...)
		if err := entry.PrecertificateIssuedBy(ctwatch.Hash(d.key), d.tbs, d.precert, d.chain); (err == nil) != tt.proven {
			t.Errorf("%s: %v, want it proven: %v", tt.name, err, tt.proven)
		}
	}
}
