package entry

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"

	"ctwatch/ctwatch"
)

// oidPrecertSigning is the extended key usage of precertificate signing
// certificates (RFC 6962 §3.1).
var oidPrecertSigning = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 4}

var (
	errNoChain   = errors.New("the certificate of its issuer is missing")
	errNotSame   = errors.New("the precertificate is not the entry's TBSCertificate with the poison extension")
	errNoPoison  = errors.New("the precertificate has no poison extension")
	errOtherKeys = errors.New("the issuer's certificate has another key than the entry names")
)

// PrecertificateIssuedBy returns nil if the CA whose key has the SHA-256 key issued the
// precertificate of a log's entry. tbs is the entry's TBSCertificate. precert and chain, the
// issuer's certificate first, are what the log serves with it and its Merkle tree does not
// cover. Only a signature of the CA proves who issued it: an entry can name any key (RFC 6962
// §3.2).
//
// The precertificate is signed by that key, or by a precertificate signing certificate, the
// first of the chain, which is signed by that key (§3.1).
func PrecertificateIssuedBy(key ctwatch.Hash, tbs, precert []byte, chain [][]byte) error {
	if len(chain) == 0 {
		return errNoChain
	}
	served, err := TBS(precert)
	if err != nil {
		return fmt.Errorf("reading the precertificate: %w", err)
	}
	if !hasExtension(served, oidPoison) {
		return errNoPoison
	}
	spki, err := SPKI(chain[0])
	if err != nil {
		return fmt.Errorf("reading the issuer's certificate: %w", err)
	}
	if sha256.Sum256(spki) == key {
		if !sameIdentity(tbs, served) {
			return errNotSame
		}
		return SignedBy(precert, spki)
	}
	return byPrecertSigner(key, tbs, served, precert, chain)
}

// byPrecertSigner checks a precertificate that a precertificate signing certificate signed.
// Its issuer name and authority key identifier are the signer's; the log replaces them by the
// final issuer's (RFC 6962 §3.2).
func byPrecertSigner(key ctwatch.Hash, tbs, served, precert []byte, chain [][]byte) error {
	signer, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return fmt.Errorf("reading the issuer's certificate: %w", err)
	}
	special := slices.ContainsFunc(signer.UnknownExtKeyUsage, oidPrecertSigning.Equal)
	if !special || !signer.BasicConstraintsValid || !signer.IsCA {
		return errOtherKeys
	}
	if len(chain) < 2 {
		return errNoChain
	}
	final, err := SPKI(chain[1])
	switch {
	case err != nil:
		return fmt.Errorf("reading the final issuer's certificate: %w", err)
	case sha256.Sum256(final) != key:
		return errOtherKeys
	case !SamePrecertificate(tbs, served):
		return errNotSame
	}
	if err := SignedBy(chain[0], final); err != nil {
		return fmt.Errorf("the precertificate signing certificate: %w", err)
	}
	return SignedBy(precert, signer.RawSubjectPublicKeyInfo)
}

// sameIdentity reports whether two TBSCertificates are the same but for the
// extensions that Certificate Transparency adds.
func sameIdentity(a, b []byte) bool {
	a, errA := withoutCT(a)
	b, errB := withoutCT(b)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

// hasExtension reports whether a TBSCertificate has an extension.
func hasExtension(tbs []byte, oid string) bool {
	if !bytes.Contains(tbs, []byte(oid)) {
		return false
	}
	without, err := rebuild(tbs, tagSequence, func(field []byte) ([]byte, error) {
		if tagOf(field) != tagExtensions {
			return field, nil
		}
		return withoutExtensions(field, oid)
	})
	return err == nil && len(without) != len(tbs)
}
