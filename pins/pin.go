package pins

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Size is the length of a pin in bytes.
const Size = sha256.Size

// prefix says which hash a pin is of; RFC 7469 and every client know only this one.
const prefix = "sha256/"

// A Pin is the SHA-256 of a DER SubjectPublicKeyInfo. The zero Pin means
// "unknown" and is written as the empty string.
type Pin [Size]byte

// FromSPKI computes the pin of a DER SubjectPublicKeyInfo. The bytes are hashed
// as they are and never re-encoded: a client hashes what it is served.
func FromSPKI(der []byte) Pin { return sha256.Sum256(der) }

// Parse reads a pin that a person, a configuration or a file gives, as String writes
// it: "sha256/" and 44 characters of padded standard base64. It accepts no other
// spelling, since a pin that a client reads differently is a pin that silently never
// matches; and it fails with a *NoKeyError for one that no key can have.
func Parse(s string) (Pin, error) {
	p, err := ParseAny(s)
	if err == nil {
		err = p.Check()
	}
	if err != nil {
		return Pin{}, err
	}
	return p, nil
}

// ParseAny reads a pin as Parse does, also one that no key can have: to find and to
// retire what was recorded before such a pin was refused.
func ParseAny(s string) (Pin, error) {
	var p Pin
	b64, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return p, fmt.Errorf("pin %q: want %q followed by the base64 of a SHA-256", s, prefix)
	}
	b, err := base64.StdEncoding.Strict().DecodeString(b64)
	if err != nil {
		return p, fmt.Errorf("pin %q: %w", s, err)
	}
	if len(b) != Size || strings.ContainsAny(b64, "\r\n") {
		return p, fmt.Errorf("pin %q: want %d bytes in 44 characters of base64, have %d bytes", s, Size, len(b))
	}
	return Pin(b), nil
}

// String writes the pin as "sha256/" and base64; the zero pin as "".
func (p Pin) String() string {
	if p.IsZero() {
		return ""
	}
	return p.Text()
}

// Text writes any pin as "sha256/" and base64, also the zero one.
func (p Pin) Text() string { return prefix + base64.StdEncoding.EncodeToString(p[:]) }

// IsZero reports whether the pin is unknown.
func (p Pin) IsZero() bool { return p == Pin{} }

// MarshalText implements encoding.TextMarshaler with String.
func (p Pin) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler with ParseAny, since it reads back
// what MarshalText wrote; the empty text is the zero pin. What a person gives is for
// Parse to read.
func (p *Pin) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*p = Pin{}
		return nil
	}
	q, err := ParseAny(string(text))
	if err != nil {
		return err
	}
	*p = q
	return nil
}

// errScan is returned by Scan for a column that holds no pin.
var errScan = errors.New("not a pin of 32 bytes")

// Scan implements sql.Scanner for a 32-byte BLOB; NULL is the zero pin.
func (p *Pin) Scan(src any) error {
	switch b := src.(type) {
	case nil:
		*p = Pin{}
		return nil
	case []byte:
		if len(b) == Size {
			*p = Pin(b)
			return nil
		}
	}
	return errScan
}
