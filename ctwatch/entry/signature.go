package entry

import (
	"crypto/x509"
	"errors"
	"fmt"
)

// signatureAlgorithm returns the algorithm of an AlgorithmIdentifier in DER, of those that
// CAs use (RFC 8017, RFC 5758, RFC 8410). Algorithms with SHA-1 are missing, since they prove
// nothing. RSASSA-PSS has the three forms that CAs may use (CA/Browser Forum Baseline
// Requirements §7.1.3.2.1).
func signatureAlgorithm(identifier []byte) x509.SignatureAlgorithm {
	const rsa, ecdsa = "\x2a\x86\x48\x86\xf7\x0d\x01\x01", "\x2a\x86\x48\xce\x3d\x04\x03"
	switch string(identifier) {
	case pss("\x01", "\x20"):
		return x509.SHA256WithRSAPSS
	case pss("\x02", "\x30"):
		return x509.SHA384WithRSAPSS
	case pss("\x03", "\x40"):
		return x509.SHA512WithRSAPSS
	}
	switch oid := inside(inside(identifier, tagSequence), tagOID); string(oid) {
	case rsa + "\x0b":
		return x509.SHA256WithRSA
	case rsa + "\x0c":
		return x509.SHA384WithRSA
	case rsa + "\x0d":
		return x509.SHA512WithRSA
	case ecdsa + "\x02":
		return x509.ECDSAWithSHA256
	case ecdsa + "\x03":
		return x509.ECDSAWithSHA384
	case ecdsa + "\x04":
		return x509.ECDSAWithSHA512
	case "\x2b\x65\x70":
		return x509.PureEd25519
	}
	return x509.UnknownSignatureAlgorithm
}

// pss returns the AlgorithmIdentifier of RSASSA-PSS with a SHA-2 hash, given by the last
// octet of its OID, MGF1 with the same hash, and a salt of the hash's length.
func pss(hash, salt string) string {
	sha := "\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02" + hash + "\x05\x00"
	return "\x30\x41\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x34\xa0\x0f" + sha +
		"\xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08" + sha + "\xa2\x03\x02\x01" + salt
}

// SignedBy returns nil if a certificate in DER was signed with a key, given as a DER
// SubjectPublicKeyInfo. A log's Merkle leaf does not cover the chain of a final certificate
// (RFC 6962 §4.6): only the certificate's signature proves who issued it.
func SignedBy(cert, key []byte) error {
	tbs, err := TBS(cert)
	if err != nil {
		return err
	}
	_, start, stop, _, _ := header(cert)
	algorithm, rest := cut(cert[start+len(tbs) : stop])
	known := signatureAlgorithm(algorithm)
	if known == x509.UnknownSignatureAlgorithm {
		return errors.New("its signature algorithm is unknown or too weak to prove anything")
	}
	signature := whole(rest, tagBitString)
	if len(signature) == 0 || signature[0] != 0 { // the first octet counts unused bits
		return errors.New("it has no signature where one belongs")
	}
	public, err := publicKey(key)
	if err != nil {
		return fmt.Errorf("reading the issuer's key: %w", err)
	}
	if err := (&x509.Certificate{PublicKey: public}).CheckSignature(known, tbs, signature[1:]); err != nil {
		return fmt.Errorf("its signature was not made with the issuer's key: %w", err)
	}
	return nil
}

// cut returns the first element, with its header, and what follows. Both are nil if there is
// no element, or a truncated one.
func cut(b []byte) (element, rest []byte) {
	if len(b) == 0 {
		return nil, nil
	}
	if _, _, _, end, f := header(b); f&truncated == 0 {
		return b[:end], b[end:]
	}
	return nil, nil
}
