package policy

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"ctwatch/pins"
)

// maxIssuer is the length in bytes of the longest way to name an issuer: that of a
// domain name.
const maxIssuer = 253

// An Issuer is a CA as a rule names it. One field is set.
type Issuer struct {
	CAA  string   // its identity in CAA records (RFC 8659 §4.2), in lower case
	Pin  pins.Pin // of the key that signs certificates, not of a root above it
	Name string   // its name in the built-in table, such as "Let's Encrypt"
}

var errIssuer = errors.New(`want a CAA identity such as letsencrypt.org, the pin of the issuing key ("sha256/…"), or a CA's name such as "Let's Encrypt"`)

// ParseIssuer reads an issuer as a person writes it: a pin begins with "sha256/", a
// CAA identity is a domain with a dot in it, and everything else is a name. Whether
// there is such a CA is for CAs.Check to say.
func ParseIssuer(s string) (Issuer, error) {
	lower := strings.ToLower(s)
	switch {
	case len(s) > maxIssuer:
		return Issuer{}, fmt.Errorf("issuer %.40q…: %w", s, errIssuer)
	case strings.HasPrefix(lower, "sha256"):
		p, err := pins.Parse(s)
		if err != nil {
			return Issuer{}, fmt.Errorf("issuer: %w", err)
		}
		return Issuer{Pin: p}, nil
	case strings.Contains(s, "."):
		if host, err := pins.ParseHost(s); err == nil {
			return Issuer{CAA: host}, nil
		}
	}
	if isName(s) {
		return Issuer{Name: s}, nil
	}
	return Issuer{}, fmt.Errorf("issuer %.100q: %w", s, errIssuer)
}

// isName reports whether a text can be the name of a CA: words that begin with a
// letter or digit and hold nothing that stands in URLs, addresses or DNs.
func isName(s string) bool {
	if s == "" || !utf8.ValidString(s) || s != strings.TrimSpace(s) || strings.ContainsAny(s, `/\@=:;"<>*%`) {
		return false
	}
	for i, r := range s {
		if !unicode.IsPrint(r) || i == 0 && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return false
		}
	}
	return true
}

// String writes the issuer as ParseIssuer reads it.
func (i Issuer) String() string {
	switch {
	case !i.Pin.IsZero():
		return i.Pin.String()
	case i.CAA != "":
		return i.CAA
	}
	return i.Name
}

// is reports whether the issuer is this CA of the table.
func (i Issuer) is(ca *CA) bool {
	return i.CAA != "" && ca.hasIdentity(i.CAA) || i.Name != "" && strings.EqualFold(i.Name, ca.Name)
}
