package publish

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-jose/go-jose/v4"

	"ctwatch/files"
)

// maxKeyFile bounds a file with a key, in bytes.
const maxKeyFile = 64 << 10

// pemType is how PEM calls an unencrypted PKCS #8 key (RFC 7468 §10).
const pemType = "PRIVATE KEY"

// A Key signs pin documents: an ECDSA key on P-256 or an Ed25519 key. Printing it shows
// only its ID.
type Key struct {
	id     string
	alg    jose.SignatureAlgorithm
	signer crypto.Signer
}

// ID returns the key's name in documents ("kid"): the base64url of the SHA-256
// thumbprint of its public key (RFC 7638).
func (k *Key) ID() string { return k.id }

// Algorithm returns "ES256" or "EdDSA" (RFC 7518 §3.1, RFC 8037 §3.1).
func (k *Key) Algorithm() string { return string(k.alg) }

// Public returns an *ecdsa.PublicKey or an ed25519.PublicKey.
func (k *Key) Public() crypto.PublicKey { return k.signer.Public() }

// Format implements fmt.Formatter, so that no verb prints the private key.
func (k Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "signing key "+k.id) }

// LoadKey reads an unencrypted PKCS #8 key from a PEM file. The note, if any, warns that
// others than the owner can read the file. Errors never contain its content.
func LoadKey(path string) (key *Key, note string, err error) {
	f, err := files.Open(path)
	if err != nil {
		return nil, "", fmt.Errorf("signing key: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, "", fmt.Errorf("signing key: %w", err)
	}
	if data, err = files.Text(data); err != nil {
		return nil, "", fmt.Errorf("signing key %s: %w", path, err)
	}
	if key, err = parseKey(data); err != nil {
		return nil, "", fmt.Errorf("signing key %s: %w", path, err)
	}
	if err := files.CheckPrivate(path); err != nil {
		note = fmt.Sprintf("signing key: %v", err)
	}
	return key, note, nil
}

// CreateKey makes a new key on P-256 and writes it to a file that only its owner can
// read. The file appears whole or not at all, and an existing file is never replaced: the
// error is then fs.ErrExist.
func CreateKey(path string) (*Key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("making a signing key: %w", err)
	}
	// Link, unlike rename, fails if the name is taken.
	err = writeWhole(path, pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}), 0o600, os.Link)
	if err != nil {
		return nil, fmt.Errorf("making a signing key: %w", err)
	}
	return newKey(private)
}

// writeWhole writes a temporary file next to path and then links or renames it to path.
func writeWhole(path string, data []byte, mode fs.FileMode, name func(from, to string) error) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // of mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := name(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes the names in a directory survive a crash.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func parseKey(data []byte) (*Key, error) {
	const convert = "convert it: openssl pkcs8 -topk8 -nocrypt -in OLD -out NEW"
	if len(data) > maxKeyFile {
		return nil, fmt.Errorf("larger than %d bytes: want one private key in PEM", maxKeyFile)
	}
	block, rest := pem.Decode(data)
	switch {
	case block == nil:
		return nil, errors.New("not PEM: want a PKCS #8 private key, which begins with -----BEGIN PRIVATE KEY-----")
	case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
		return nil, errors.New("encrypted: the daemon has no passphrase; " + convert)
	case block.Type == "EC PRIVATE KEY" || block.Type == "EC PARAMETERS" || block.Type == "RSA PRIVATE KEY":
		return nil, fmt.Errorf("PEM of type %q: want a private key in PKCS #8 form; %s", block.Type, convert)
	case block.Type != pemType:
		return nil, errors.New(`PEM, but not a private key: want a PKCS #8 private key, which begins with -----BEGIN PRIVATE KEY-----`)
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, errors.New("there is more after the private key: want one key and nothing else")
	}
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil { // not shown: it could contain parts of the key
		return nil, errors.New("the PKCS #8 key in the PEM cannot be parsed; is the file damaged?")
	}
	return newKey(private)
}

func newKey(private any) (*Key, error) {
	const want = "want an ECDSA key on P-256 or an Ed25519 key"
	k := new(Key)
	switch p := private.(type) {
	case *ecdsa.PrivateKey:
		if p.Curve != elliptic.P256() {
			return nil, fmt.Errorf("an ECDSA key on %s: %s", p.Curve.Params().Name, want)
		}
		k.signer, k.alg = p, jose.ES256
	case ed25519.PrivateKey:
		k.signer, k.alg = p, jose.EdDSA
	case *rsa.PrivateKey:
		return nil, errors.New("an RSA key: " + want)
	default:
		return nil, errors.New("a key of another kind: " + want)
	}
	thumbprint, err := (&jose.JSONWebKey{Key: k.Public()}).Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("naming a signing key: %w", err)
	}
	k.id = base64.RawURLEncoding.EncodeToString(thumbprint)
	return k, nil
}

// sign signs a message, always with the same result. ECDSA signatures are in ASN.1
// (RFC 3279 §2.2.3).
func (k *Key) sign(message []byte) ([]byte, error) {
	if k.alg == jose.EdDSA {
		return k.signer.Sign(nil, message, crypto.Hash(0))
	}
	digest := sha256.Sum256(message)
	return k.signer.Sign(nil, digest[:], crypto.SHA256) // no randomness: RFC 6979
}
