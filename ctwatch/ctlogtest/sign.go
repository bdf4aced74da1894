package ctlogtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"ctwatch/ctwatch"
)

// SeededKey derives an ECDSA P-256 key from a seed: the same one each time, for tests whose
// output must not change. The key is not secret.
func SeededKey(seed string) (*ecdsa.PrivateKey, error) {
	d := sha256.Sum256([]byte("ctlogtest key " + seed))
	return ecdsa.ParseRawPrivateKey(elliptic.P256(), d[:])
}

// The SignatureAlgorithm of a digitally-signed struct (RFC 5246 §4.7), which
// follows the HashAlgorithm.
const (
	hashSHA256     = 4
	signatureRSA   = 1
	signatureECDSA = 3
)

// digitallySigned signs data and encodes the digitally-signed struct at the end of SCTs and tree
// heads. Signatures are deterministic.
func digitallySigned(key crypto.Signer, data []byte) ([]byte, error) {
	algorithm, err := signatureAlgorithm(key)
	if err != nil {
		return nil, err
	}
	signature, err := signSHA256(key, data)
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddUint8(hashSHA256)
	b.AddUint8(algorithm)
	b.AddUint16LengthPrefixed(bytesOf(signature))
	return b.Bytes()
}

func signatureAlgorithm(key crypto.Signer) (uint8, error) {
	switch key.Public().(type) {
	case *ecdsa.PublicKey:
		return signatureECDSA, nil
	case *rsa.PublicKey:
		return signatureRSA, nil
	}
	return 0, fmt.Errorf("key of type %T: want ECDSA or RSA (RFC 6962 §2.1.4)", key.Public())
}

func signSHA256(key crypto.Signer, data []byte) ([]byte, error) {
	digest := sha256.Sum256(data)
	return key.Sign(nil, digest[:], crypto.SHA256)
}

// signSCT encodes the log's SignedCertificateTimestamp for an entry (RFC 6962
// §3.2). What it signs has the same encoding as the MerkleTreeLeaf: the version,
// a zero, and the fields of the TimestampedEntry.
func (l *Log) signSCT(e Entry, at time.Time, extensions []byte) ([]byte, error) {
	signature, err := digitallySigned(l.opt.Key, e.MerkleLeaf())
	if err != nil {
		return nil, fmt.Errorf("signing an SCT: %w", err)
	}
	var b cryptobyte.Builder
	b.AddUint8(0) // v1
	b.AddBytes(l.id[:])
	b.AddUint64(uint64(at.UnixMilli()))
	b.AddUint16LengthPrefixed(bytesOf(extensions))
	b.AddBytes(signature)
	return b.Bytes()
}

// signHead signs a tree head (RFC 6962 §3.5).
func signHead(key crypto.Signer, h ctwatch.Head) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddUint8(0) // v1
	b.AddUint8(1) // tree_hash
	b.AddUint64(uint64(h.Timestamp.UnixMilli()))
	b.AddUint64(h.Size)
	b.AddBytes(h.Root[:])
	data, err := b.Bytes()
	if err != nil {
		return nil, err
	}
	signature, err := digitallySigned(key, data)
	if err != nil {
		return nil, fmt.Errorf("signing a tree head: %w", err)
	}
	return signature, nil
}

// The types of note signatures that go into a key ID (c2sp.org/signed-note).
const (
	noteEd25519 = 0x01
	noteRFC6962 = 0x05
)

// signedNote returns the signed note of a checkpoint: its text, and the log's
// RFC6962NoteSignature (c2sp.org/static-ct-api, Checkpoints).
func signedNote(origin string, id ctwatch.LogID, h ctwatch.Head, signature []byte, witnesses bool) ([]byte, error) {
	text := fmt.Sprintf("%s\n%d\n%s\n", origin, h.Size, base64.StdEncoding.EncodeToString(h.Root[:]))
	var b cryptobyte.Builder
	b.AddUint64(uint64(h.Timestamp.UnixMilli()))
	b.AddBytes(signature)
	body, err := b.Bytes()
	if err != nil {
		return nil, err
	}
	lines := []string{noteLine(origin, noteRFC6962, id[:], body)}
	if witnesses {
		lines = []string{
			noteLine(origin, 0, nil, []byte{0, 0, 0, 0}),
			noteLine("grease.invalid", 0xff, nil, make([]byte, 57)),
			lines[0],
			ed25519Line(origin, text),
		}
	}
	return []byte(text + "\n" + strings.Join(lines, "")), nil
}

// ed25519Line signs a note with a second key of the log, derived from its name.
func ed25519Line(origin, text string) string {
	seed := sha256.Sum256([]byte("ctlogtest witness " + origin))
	key := ed25519.NewKeyFromSeed(seed[:])
	return noteLine(origin, noteEd25519, key[ed25519.SeedSize:], ed25519.Sign(key, []byte(text)))
}

// noteLine returns one signature line; the key ID is made from key and kind.
func noteLine(name string, kind byte, key, signature []byte) string {
	h := sha256.New()
	h.Write([]byte(name + "\n"))
	h.Write([]byte{kind})
	h.Write(key)
	blob := append(h.Sum(nil)[:4], signature...)
	return "\u2014 " + name + " " + base64.StdEncoding.EncodeToString(blob) + "\n"
}
