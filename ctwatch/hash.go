package ctwatch

import (
	"encoding/hex"
	"errors"
	"fmt"
)

// A Hash is a SHA-256 written in hex: a certificate's ID or fingerprint, or a node of a
// log's Merkle tree.
type Hash [32]byte

// ParseHash parses 64 hex digits.
func ParseHash(s string) (Hash, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(Hash{}) {
		return Hash{}, fmt.Errorf("hash %q: want 64 hex digits", s)
	}
	return Hash(b), nil
}

// String returns the hash in lower-case hex.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether the hash is unset.
func (h Hash) IsZero() bool { return h == Hash{} }

// MarshalText implements encoding.TextMarshaler with String.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler with ParseHash.
func (h *Hash) UnmarshalText(text []byte) (err error) {
	*h, err = ParseHash(string(text))
	return err
}

// Scan implements sql.Scanner for a 32-byte BLOB; NULL is the zero hash.
func (h *Hash) Scan(src any) error {
	switch b := src.(type) {
	case nil:
		*h = Hash{}
		return nil
	case []byte:
		if len(b) == len(h) {
			*h = Hash(b)
			return nil
		}
	}
	return errors.New("not a hash of 32 bytes")
}
