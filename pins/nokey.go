package pins

import (
	"bytes"
	"crypto/sha256"
	"fmt"
)

// A NoKeyError is the error of a pin that is well written and that no key has.
type NoKeyError struct {
	Pin  Pin
	What string // what the value is
}

func (e *NoKeyError) Error() string {
	return fmt.Sprintf("pin %s is no key's: it is %s; compute the pin again", e.Pin.Text(), e.What)
}

// Check returns a *NoKeyError for a pin that no key can have, such as the SHA-256 of
// nothing, which a pipeline prints whose first command failed. It looks like any
// other pin, and as a backup it is worse than none: everybody relies on it.
func (p Pin) Check() error {
	if what := p.noKey(); what != "" {
		return &NoKeyError{p, what}
	}
	return nil
}

// noKey says what a pin is that no key has; "" for any other.
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

// pinsOfNoKey has placeholders, and the SHA-256 of what commands print that were meant
// to print a key. It does not change.
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
