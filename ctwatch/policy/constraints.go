package policy

import (
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"time"

	"ctwatch/ctwatch"
)

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
