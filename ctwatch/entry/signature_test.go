package entry_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"ctwatch/ctwatch/entry"
)

func TestSignedByTellsTheIssuerFromAnImpostor(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsa2048, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki := func(k crypto.Signer) []byte {
		b, err := x509.MarshalPKIXPublicKey(k.Public())
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	signers := map[x509.SignatureAlgorithm]crypto.Signer{
		x509.SHA256WithRSA: rsa2048, x509.SHA384WithRSA: rsa2048, x509.SHA512WithRSA: rsa2048,
		x509.SHA256WithRSAPSS: rsa2048, x509.SHA384WithRSAPSS: rsa2048, x509.SHA512WithRSAPSS: rsa2048,
		x509.ECDSAWithSHA256: p256, x509.ECDSAWithSHA384: p384, x509.ECDSAWithSHA512: p384, x509.PureEd25519: ed,
	}
	for algorithm, signer := range signers {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a.example.com"}, DNSNames: []string{"a.example.com"},
			NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1, 0), SignatureAlgorithm: algorithm,
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, p256.Public(), signer)
		if err != nil {
			t.Fatal(err)
		}
		if err := entry.SignedBy(der, spki(signer)); err != nil {
			t.Errorf("%v: %v", algorithm, err)
		}
		for _, other := range signers {
			if err := entry.SignedBy(der, spki(other)); err == nil && !bytes.Equal(spki(other), spki(signer)) {
				t.Errorf("%v: another key is taken for the issuer's", algorithm)
			}
		}
		for n := range der {
			altered := append([]byte(nil), der...)
			altered[n] ^= 1
			if n%17 == 0 && entry.SignedBy(altered, spki(signer)) == nil {
				t.Errorf("%v: octet %d may be altered", algorithm, n)
			}
			if n%17 == 0 && entry.SignedBy(der[:n], spki(signer)) == nil {
				t.Errorf("%v: %d octets are enough", algorithm, n)
			}
		}
	}
}

func FuzzSignedBy(f *testing.F) {
	f.Add([]byte("0\x06\x30\x00\x30\x00\x03\x00"), []byte("0\x00"))
	f.Fuzz(func(t *testing.T, cert, key []byte) {
		if entry.SignedBy(cert, key) == nil {
			t.Error("random bytes are signed")
		}
	})
}
