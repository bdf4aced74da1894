package keyfile

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"

	"ctwatch/ctwatch/entry"
	"ctwatch/pins"
)

// requestSubject takes the key of a certificate signing request, which has to be signed
// by it (RFC 2986 §3).
func requestSubject(der []byte) (Subject, error) {
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		if r, rawErr := parseRequest(der); rawErr == nil && r.Info.Version == 0 {
			return Subject{}, r.unverifiable(err) // it may have a key that crypto/x509 does not know
		}
		return Subject{}, fmt.Errorf("reading the certificate signing request: %w", err)
	}
	err = csr.CheckSignature()
	var insecure x509.InsecureAlgorithmError
	if errors.Is(err, x509.ErrUnsupportedAlgorithm) || errors.As(err, &insecure) {
		r, rawErr := parseRequest(der)
		if rawErr != nil {
			return Subject{}, fmt.Errorf("reading the certificate signing request: %w", rawErr)
		}
		if err = r.verifyPSS(); errors.Is(err, errNoPSS) {
			return Subject{}, r.unverifiable(err)
		}
	}
	if err != nil {
		return Subject{}, fmt.Errorf("the certificate signing request is not signed by its own key: %w", err)
	}
	s, err := keySubject(csr.RawSubjectPublicKeyInfo, "the certificate signing request")
	s.Names = csr.DNSNames
	if len(s.Names) == 0 && csr.Subject.CommonName != "" {
		s.Names = []string{csr.Subject.CommonName}
	}
	return s, err
}

// A rawRequest is a certificate signing request with any algorithms.
type rawRequest struct {
	Info struct {
		Raw        asn1.RawContent
		Version    int
		Subject    asn1.RawValue
		Key        requestKey
		Attributes asn1.RawValue `asn1:"tag:0,optional"`
	}
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
}

type requestKey struct {
	Raw       asn1.RawContent
	Algorithm pkix.AlgorithmIdentifier
	Key       asn1.BitString
}

func parseRequest(der []byte) (*rawRequest, error) {
	r := new(rawRequest)
	rest, err := asn1.Unmarshal(der, r)
	if err == nil && len(rest) > 0 {
		err = errors.New("there is data after it")
	}
	return r, err
}

// unverifiable says that the signature cannot be checked, and what to do instead.
func (r *rawRequest) unverifiable(why error) error {
	with := signatureNames[r.Algorithm.Algorithm.String()]
	if with == "" {
		with = "algorithm " + r.Algorithm.Algorithm.String()
	}
	if errors.Is(why, errNoPSS) && !r.Algorithm.Algorithm.Equal(oidPSS) {
		why = errors.New("ctwatch does not verify it")
	}
	key := "its public key"
	if algorithm, err := entry.Algorithm(r.Info.Key.Raw); err == nil || algorithm != "" {
		key += " (" + algorithm + ")"
	}
	return fmt.Errorf("the certificate signing request has an unsupported signature algorithm, cannot check the self-signature: it is signed with %s (%w). If you trust the file, authorize %s by its pin, %s, or in a file of its own (openssl req -in FILE -noout -pubkey)",
		with, why, key, pins.FromSPKI(r.Info.Key.Raw))
}

// signatureNames are algorithms that requests are signed with and that crypto/x509 does
// not verify, or not any more.
var signatureNames = map[string]string{
	"1.2.840.113549.1.1.4":    "RSA and MD5",
	"1.2.840.113549.1.1.5":    "RSA and SHA-1",
	"1.2.840.113549.1.1.10":   "RSA-PSS",
	"1.2.840.113549.1.1.14":   "RSA and SHA-224",
	"1.2.840.10045.4.1":       "ECDSA and SHA-1",
	"1.2.840.10045.4.3.1":     "ECDSA and SHA-224",
	"1.2.840.10045.4.3.2":     "ECDSA and SHA-256",
	"1.2.840.10045.4.3.3":     "ECDSA and SHA-384",
	"1.2.840.10045.4.3.4":     "ECDSA and SHA-512",
	"1.2.840.10040.4.3":       "DSA and SHA-1",
	"2.16.840.1.101.3.4.3.2":  "DSA and SHA-256",
	"1.3.101.113":             "Ed448",
	"2.16.840.1.101.3.4.3.17": "ML-DSA-44",
	"2.16.840.1.101.3.4.3.18": "ML-DSA-65",
	"2.16.840.1.101.3.4.3.19": "ML-DSA-87",
}

var (
	oidPSS  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidRSA  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidMGF1 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}
)

// pssHashes are the accepted hashes of a signature. SHA-1, the default of RSASSA-PSS, is
// broken.
var pssHashes = map[string]crypto.Hash{
	"2.16.840.1.101.3.4.2.4": crypto.SHA224,
	"2.16.840.1.101.3.4.2.1": crypto.SHA256,
	"2.16.840.1.101.3.4.2.2": crypto.SHA384,
	"2.16.840.1.101.3.4.2.3": crypto.SHA512,
}

// maxRSA bounds a key that is computed with, in bits.
const maxRSA = 16384

// errNoPSS is the error for what verifyPSS cannot verify.
var errNoPSS = errors.New("of RSA-PSS ctwatch verifies SHA-2 with MGF1 by the same hash")

// verifyPSS verifies a signature by RSASSA-PSS (RFC 8017 §8.1.2, RFC 4055 §3.1) with any
// length of salt, and with keys that are for RSASSA-PSS only. crypto/x509 verifies neither:
// OpenSSL takes the longest salt that fits.
func (r *rawRequest) verifyPSS() error {
	var p struct {
		Hash    pkix.AlgorithmIdentifier `asn1:"explicit,tag:0,optional"`
		MGF     pkix.AlgorithmIdentifier `asn1:"explicit,tag:1,optional"`
		Salt    int                      `asn1:"explicit,tag:2,optional,default:20"`
		Trailer int                      `asn1:"explicit,tag:3,optional,default:1"`
	}
	var by pkix.AlgorithmIdentifier // the hash of the mask
	if !r.Algorithm.Algorithm.Equal(oidPSS) {
		return errNoPSS
	}
	if rest, err := asn1.Unmarshal(r.Algorithm.Parameters.FullBytes, &p); err != nil || len(rest) > 0 {
		return errNoPSS
	}
	if rest, err := asn1.Unmarshal(p.MGF.Parameters.FullBytes, &by); err != nil || len(rest) > 0 {
		return errNoPSS
	}
	hash, ok := pssHashes[p.Hash.Algorithm.String()]
	if !ok || !p.MGF.Algorithm.Equal(oidMGF1) || !by.Algorithm.Equal(p.Hash.Algorithm) || p.Trailer != 1 || p.Salt < 0 || !hash.Available() {
		return errNoPSS
	}
	if kind := r.Info.Key.Algorithm.Algorithm; !kind.Equal(oidRSA) && !kind.Equal(oidPSS) {
		return errors.New("it is signed with RSA-PSS, and the key is not an RSA key")
	}
	key, err := x509.ParsePKCS1PublicKey(r.Info.Key.Key.RightAlign())
	if err != nil {
		return fmt.Errorf("reading its RSA key: %w", err)
	}
	if key.N.BitLen() > maxRSA {
		return fmt.Errorf("its RSA key has %d bits, more than %d", key.N.BitLen(), maxRSA)
	}
	h := hash.New()
	h.Write(r.Info.Raw)
	o := &rsa.PSSOptions{SaltLength: p.Salt, Hash: hash}
	if p.Salt == 0 {
		o.SaltLength = rsa.PSSSaltLengthAuto // 0 means that; a salt of another length is as good
	}
	return rsa.VerifyPSS(key, hash, h.Sum(nil), r.Signature.RightAlign(), o)
}
