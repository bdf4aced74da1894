package entry

import (
	"crypto/dsa" //lint:ignore SA1019 old certificates have such keys
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
)

// Algorithm returns the kind and size of a key, such as "ECDSA P-256" or "RSA 2048". With an
// error, it returns the OID in the key, as a name or in digits.
func Algorithm(spki []byte) (string, error) {
	key, err := publicKey(spki)
	if err == nil {
		switch key := key.(type) {
		case *rsa.PublicKey:
			return fmt.Sprintf("RSA %d", key.N.BitLen()), nil
		case *ecdsa.PublicKey:
			return "ECDSA " + key.Curve.Params().Name, nil
		case ed25519.PublicKey:
			return "Ed25519", nil
		case *ecdh.PublicKey:
			return fmt.Sprint(key.Curve()), nil
		case *dsa.PublicKey:
			return fmt.Sprintf("DSA %d", key.P.BitLen()), nil
		}
	}
	alg := inside(inside(spki, tagSequence), tagSequence)
	if len(alg) == 0 {
		return "", errors.New("it names no algorithm")
	}
	oid, err := objectIdentifier(alg)
	if err != nil {
		return "", errors.New("it names no algorithm")
	}
	_, parameters := cut(alg)
	switch name := oid.String(); name {
	case "1.2.840.113549.1.1.1":
		return "RSA", errors.New("it is no RSA key that can be parsed")
	case "1.2.840.113549.1.1.10":
		return "RSA-PSS", nil
	case "1.2.840.10045.2.1":
		curve, err := objectIdentifier(parameters)
		if err != nil {
			return "ECDSA", errors.New("it names no curve")
		}
		if curveName, ok := curves[curve.String()]; ok {
			return "ECDSA " + curveName, errors.New("it is no point of its curve that can be parsed")
		}
		return "ECDSA " + curve.String(), nil
	case "1.2.840.10040.4.1":
		return "DSA", errors.New("it is no DSA key that can be parsed")
	case "1.3.101.112":
		return "Ed25519", errors.New("it is no Ed25519 key that can be parsed")
	case "1.3.101.113":
		return "Ed448", nil
	case "2.16.840.1.101.3.4.3.17":
		return "ML-DSA-44", nil
	case "2.16.840.1.101.3.4.3.18":
		return "ML-DSA-65", nil
	case "2.16.840.1.101.3.4.3.19":
		return "ML-DSA-87", nil
	default:
		return name, nil
	}
}

// publicKey parses a key of a kind that crypto/x509 knows, in any encoding.
func publicKey(spki []byte) (any, error) {
	key, err := x509.ParsePKIXPublicKey(spki)
	if err != nil && Encoding(spki) != nil {
		return x509.ParsePKIXPublicKey(distinguished(spki, maxDepth))
	}
	return key, err
}

// curves are the curves that crypto/x509 knows.
var curves = map[string]string{
	"1.3.132.0.33":        "P-224",
	"1.2.840.10045.3.1.7": "P-256",
	"1.3.132.0.34":        "P-384",
	"1.3.132.0.35":        "P-521",
}
