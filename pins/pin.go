package pins

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Size is the length of a pin in bytes.
const Size = sha256.Size

// prefix names the hash. RFC 7469 and clients define no other.
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
// retire pins that were recorded before such values were refused.
func ParseAny(s string) (Pin, error) {
	var p Pin
	b64, ok := strings.CutPrefix(s, prefix)
	b, err := base64.StdEncoding.Strict().DecodeString(b64)
	if !ok || err != nil || len(b) != Size || strings.ContainsAny(b64, "\r\n") {
		return p, fmt.Errorf("pin %q: want %s and 44 characters of base64", s, prefix)
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

// AppendText implements encoding.TextAppender with String, without errors.
func (p Pin) AppendText(b []byte) ([]byte, error) {
	if p.IsZero() {
		return b, nil
	}
	return base64.StdEncoding.AppendEncode(append(b, prefix...), p[:]), nil
}

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

// errScan is returned by Scan for a column without a pin.
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

// A NoKeyError is the error for a well-formed pin that no key has.
type NoKeyError struct {
	Pin  Pin
	What string // what the value is
}

func (e *NoKeyError) Error() string {
	return fmt.Sprintf("pin %s is no key's: it is %s; compute the pin again", e.Pin.Text(), e.What)
}

// Check returns a *NoKeyError for a pin that no key can have, such as the SHA-256 of
// nothing, which a pipeline prints when its first command fails. It looks like any other
// pin, and people rely on it as a backup that does not exist.
func (p Pin) Check() error {
	if what := p.noKey(); what != "" {
		return &NoKeyError{p, what}
	}
	return nil
}

// noKey describes a pin that no key has; "" for any other.
func (p Pin) noKey() string {
	if what, ok := pinsOfNoKey[p]; ok {
		return what
	}
	for i := range p {
		if p[i] != p[0]+byte(i) {
			return ""
		}
	}
	return "a placeholder that no key has, 32 bytes that count upwards"
}

// pinsOfNoKey has placeholders, and the SHA-256 of what failed commands print in place of
// a key. It does not change.
var pinsOfNoKey = noKeys(map[string]string{
	"":                                       "the SHA-256 of nothing, which is left to hash when the command before it fails",
	"\n":                                     "the SHA-256 of an empty line, which echo prints for a variable that is not set",
	"\r\n":                                   "the SHA-256 of an empty line of Windows, which echo prints for a variable that is not set",
	" ":                                      "the SHA-256 of a space",
	"\n\n":                                   "the SHA-256 of two empty lines",
	"\x00":                                   "the SHA-256 of one zero byte",
	`""`:                                     "the SHA-256 of two quotation marks",
	"\"\"\n":                                 "the SHA-256 of two quotation marks",
	"\"\"\r\n":                               "the SHA-256 of two quotation marks",
	"null":                                   `the SHA-256 of "null", which jq prints for what is not there`,
	"null\n":                                 `the SHA-256 of "null", which jq prints for what is not there`,
	"None":                                   `the SHA-256 of "None", which Python prints for what is not there`,
	"None\n":                                 `the SHA-256 of "None", which Python prints for what is not there`,
	"undefined":                              `the SHA-256 of "undefined"`,
	"undefined\n":                            `the SHA-256 of "undefined"`,
	"\x05\x00":                               "the SHA-256 of a NULL in DER, and not of a key",
	"\x30\x00":                               "the SHA-256 of an empty SEQUENCE in DER, and not of a key",
	string(bytes.Repeat([]byte{0}, Size)):    "the SHA-256 of 32 zero bytes",
	string(bytes.Repeat([]byte{0xff}, Size)): "the SHA-256 of 32 bytes 0xff",

	"-----BEGIN PUBLIC KEY-----\n":                                          "the SHA-256 of the first line of a PEM file, and not of a key",
	"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----":                  "the SHA-256 of a PEM file with nothing in it",
	"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n":                "the SHA-256 of a PEM file with nothing in it",
	"-----BEGIN CERTIFICATE-----\n":                                         "the SHA-256 of the first line of a PEM file, and not of a key",
	"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----":                "the SHA-256 of a PEM file with nothing in it",
	"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n":              "the SHA-256 of a PEM file with nothing in it",
	"Could not read certificate from <stdin>\nUnable to load certificate\n": "the SHA-256 of an error message of openssl",
	"Could not read key of Public Key from <stdin>\n":                       "the SHA-256 of an error message of openssl",
	"unable to load certificate\n":                                          "the SHA-256 of an error message of openssl",
	"unable to load Public Key\n":                                           "the SHA-256 of an error message of openssl",
})

func noKeys(texts map[string]string) map[Pin]string {
	out := make(map[Pin]string, len(texts)+3)
	for text, what := range texts {
		out[sha256.Sum256([]byte(text))] = what
	}
	out[Pin{}] = "a placeholder that no key has, 32 zero bytes"
	out[Pin(bytes.Repeat([]byte{0xff}, Size))] = "a placeholder that no key has, 32 bytes 0xff"
	nothing := sha256.Sum256(nil)
	out[sha256.Sum256(nothing[:])] = "the SHA-256 of the SHA-256 of nothing"
	return out
}
