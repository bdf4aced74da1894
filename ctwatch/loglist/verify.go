package loglist

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	_ "embed"
	"errors"
	"fmt"

	"ctwatch/files"
	"ctwatch/pins/pemfile"
)

// GoogleURL is where Google publishes the list of the logs that Chrome knows. Its signature
// is next to it, in log_list.sig.
const GoogleURL = "https://www.gstatic.com/ct/log_list/v3/log_list.json"

// googlePEM is the key that Google publishes at
// https://www.gstatic.com/ct/log_list/v3/log_list_pubkey.pem.
//
//go:embed google.pem
var googlePEM []byte

// minRSA is the fewest bits of an acceptable RSA key.
const minRSA = 2048

// ErrForged means that a list is not signed by its key.
var ErrForged = errors.New("the signature of the log list does not verify")

// Verify checks the signature of a list, over its bytes as published: PKCS #1 v1.5 with
// SHA-256 for an RSA key, as Google signs, and ASN.1 with SHA-256 for an ECDSA key. The error
// wraps ErrForged if the signature is wrong.
func Verify(data, sig []byte, key crypto.PublicKey) error {
	sum := sha256.Sum256(data)
	switch k := key.(type) {
	case *rsa.PublicKey:
		if err := rsa.VerifyPKCS1v15(k, crypto.SHA256, sum[:], sig); err != nil {
			return fmt.Errorf("%w: %w", ErrForged, err)
		}
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(k, sum[:], sig) {
			return ErrForged
		}
	default:
		return fmt.Errorf("a log list cannot be signed with a %T", key)
	}
	return nil
}

// ParseKey reads the key of a log list, RSA or ECDSA, from PEM.
func ParseKey(data []byte) (crypto.PublicKey, error) {
	blocks, err := pemfile.Read(data)
	switch {
	case err != nil && !errors.Is(err, pemfile.ErrNoBlock):
		return nil, err
	case len(blocks) != 1 || blocks[0].Type != "PUBLIC KEY":
		return nil, errors.New(`want PEM that begins with "-----BEGIN PUBLIC KEY-----", of one key`)
	}
	key, err := x509.ParsePKIXPublicKey(blocks[0].Bytes)
	if err != nil {
		return nil, err
	}
	switch k := key.(type) {
	case *ecdsa.PublicKey:
	case *rsa.PublicKey:
		if k.N.BitLen() < minRSA {
			return nil, fmt.Errorf("RSA key has %d bits, fewer than %d", k.N.BitLen(), minRSA)
		}
	default:
		return nil, fmt.Errorf("key is a %T, want RSA or ECDSA", key)
	}
	return key, nil
}

// LoadKey returns the key for the setting `logs.list_key`: "google" is Google's published
// key, "" is nil, for a list without a signature, and everything else is the path of a PEM
// file.
func LoadKey(setting string) (crypto.PublicKey, error) {
	switch setting {
	case "":
		return nil, nil
	case "google":
		return ParseKey(googlePEM)
	}
	data, err := files.Read(setting, maxKey)
	if err != nil {
		return nil, fmt.Errorf("reading the key of the log list: %w", err)
	}
	key, err := ParseKey(data)
	if err != nil {
		return nil, fmt.Errorf("key of the log list %s: %w", setting, err)
	}
	return key, nil
}

const maxKey = 64 << 10
