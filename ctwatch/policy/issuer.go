package policy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// maxIssuer is the length in bytes of the longest name of an issuer: that of a domain name.
const maxIssuer = 253

// An Issuer is a CA as a rule names it. One field is set.
type Issuer struct {
	CAA  string   // its identity in CAA records (RFC 8659 §4.2), in lower case
	Pin  pins.Pin // of the key that signs certificates, not of a root
	Name string   // its name in the built-in table, such as "Let's Encrypt"
}

// ParseIssuer reads an issuer as a person writes it: a pin begins with "sha256/", a
// CAA identity is a domain with a dot in it, and everything else is a name. Whether
// there is such a CA, CAs.Check reports. The error is a *ctwatch.SettingError.
func ParseIssuer(s string) (Issuer, error) {
	wrong := &ctwatch.SettingError{Value: s, Wrong: `is not an issuer; want a CAA identity such as letsencrypt.org, the pin of the issuing key ("sha256/…"), or a CA's name such as "Let's Encrypt"`}
	switch {
	case len(s) > maxIssuer:
		return Issuer{}, wrong
	case strings.HasPrefix(strings.ToLower(s), "sha256"):
		p, err := pins.Parse(s)
		if noKey := new(pins.NoKeyError); errors.As(err, &noKey) {
			wrong.Wrong = "is not valid; no key has this pin: it is " + noKey.What + "; want the pin of an issuer's key"
		}
		if err != nil {
			return Issuer{}, wrong
		}
		return Issuer{Pin: p}, nil
	case strings.Contains(s, "."):
		if host, err := pins.ParseHost(s); err == nil {
			return Issuer{CAA: host}, nil
		}
	}
	if !isName(s) {
		return Issuer{}, wrong
	}
	return Issuer{Name: s}, nil
}

// isName reports whether s can be the name of a CA: words that begin with a letter or
// digit, without characters of URLs, addresses or DNs.
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

// String returns the issuer as ParseIssuer reads it.
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

// maxNearest is how many CAs an error suggests.
const maxNearest = 3

// Check returns an error if an issuer of a rule is not a CA of the table: no certificate could
// then be known to come from it, and each would be unexpected. The error suggests the
// nearest CAs, and says what to write for a CA that is not in the table.
func (c *CAs) Check(i Issuer) error {
	if !i.Pin.IsZero() {
		return nil
	}
	for n := range c.table {
		if i.is(&c.table[n]) {
			return nil
		}
	}
	var mean []string
	for _, n := range c.nearest(i.String()) {
		mean = append(mean, n.String())
	}
	question := ""
	if len(mean) > 0 {
		question = "did you mean " + strings.Join(mean, ", or ") + "? "
	}
	return fmt.Errorf("unknown CA %q; %suse one that \"ctwatch cas list\" shows or, for any other CA, the pin of its issuing key (\"sha256/…\"), which \"ctwatch certs show\" prints for a certificate of that CA", i, question)
}

// A near is a CA with a name similar to an unknown one.
type near struct {
	*CA
	write string // how a rule names it
	far   int
}

func (n near) String() string {
	if n.write == n.Name {
		return fmt.Sprintf("%q (%s)", n.Name, strings.Join(n.CAA[:min(2, len(n.CAA))], ", "))
	}
	return fmt.Sprintf("%s (%s)", n.write, n.Name)
}

// nearest returns the CAs of the table with a name, CAA identity or organization most
// similar to s, nearest first.
func (c *CAs) nearest(s string) []near {
	var out []near
	for i := range c.table {
		ca := &c.table[i]
		best := near{far: -1}
		try := func(name, write string) {
			if far, ok := distance(s, name); ok && (best.far < 0 || far < best.far) {
				best = near{ca, write, far}
			}
		}
		try(ca.Name, ca.Name)
		for _, identity := range ca.CAA {
			try(identity, identity)
		}
		for _, organization := range ca.Organizations {
			try(organization, ca.Name)
		}
		if best.far >= 0 {
			out = append(out, best)
		}
	}
	slices.SortStableFunc(out, func(a, b near) int { return cmp.Compare(a.far, b.far) })
	return out[:min(maxNearest, len(out))]
}

// distance returns how different two names are in their letters and digits; ok is false if
// no one would confuse them.
func distance(a, b string) (far int, ok bool) {
	const contained = 4 // letters; shorter names are contained in many
	x, y := letters(a), letters(b)
	switch {
	case len(x) == 0 || len(y) == 0:
		return 0, false
	case slices.Equal(x, y):
		return 0, true
	case min(len(x), len(y)) >= contained && (strings.Contains(string(x), string(y)) || strings.Contains(string(y), string(x))):
		return 1 + max(len(x), len(y)) - min(len(x), len(y)), true
	}
	far = edits(x, y)
	return 1 + far, far <= max(len(x), len(y))/4
}

// letters returns the letters and digits of a name in lower case.
func letters(s string) []rune {
	return []rune(strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s))
}

// edits returns how many letters to insert, remove or replace between two words
// (Levenshtein distance).
func edits(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i, x := range a {
		before := row[0] // of the row above, one to the left
		row[0] = i + 1
		for j, y := range b {
			replace := before
			if x != y {
				replace++
			}
			before = row[j+1]
			row[j+1] = min(replace, before+1, row[j]+1)
		}
	}
	return row[len(b)]
}
