package entry_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"ctwatch/ctwatch/entry"
)

// TestIsCAByBasicConstraints: what a certificate is for stands in it, not in where it
// stands in a file.
func TestIsCAByBasicConstraints(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		template x509.Certificate
		ca       bool
	}{
		"a CA's":              {x509.Certificate{BasicConstraintsValid: true, IsCA: true}, true},
		"a CA's, with a path": {x509.Certificate{BasicConstraintsValid: true, IsCA: true, MaxPathLen: 2, DNSNames: []string{"a.example"}}, true},
		"a server's":          {x509.Certificate{BasicConstraintsValid: true, DNSNames: []string{"a.example"}}, false},
		"one that is silent":  {x509.Certificate{DNSNames: []string{"a.example"}}, false},
		"without extensions":  {x509.Certificate{}, false},
	} {
		c.template.SerialNumber = big.NewInt(1)
		c.template.Subject = pkix.Name{CommonName: "a.example"}
		c.template.NotBefore, c.template.NotAfter = time.Unix(0, 0), time.Unix(1, 0)
		der, err := x509.CreateCertificate(rand.Reader, &c.template, &c.template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		tbs, err := entry.TBS(der)
		if err != nil {
			t.Fatal(err)
		}
		if got := entry.IsCA(tbs); got != c.ca {
			t.Errorf("%s: IsCA = %v", name, got)
		}
		for i := range tbs { // whatever is cut short is no CA's, and nothing panics
			entry.IsCA(tbs[:i])
		}
	}
}
