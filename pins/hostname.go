package pins

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// AddressDomain is the top-level domain that stands for watched IP addresses in subjects
// of events. DNS does not have it, so ParseHost refuses names below it.
const AddressDomain = "ip"

const wantHost = "; want a host name, such as example.com"

// ParseHost reads a host name that a person wrote, and returns it in canonical form: lower
// case, punycode (UTS #46, nontransitional), no trailing dot. It is the one reader of host
// names in settings, flags and files.
//
// An error says what is wrong and what is wanted, and continues a sentence that begins with
// the name.
func ParseHost(s string) (string, error) {
	if CanonicalHost(s) {
		return s, nil
	}
	return canonicalHost(s)
}

// canonicalHost is ParseHost for names that may have any form.
func canonicalHost(s string) (string, error) {
	labels := SplitLabels(s)
	if n := len(labels) - 1; n > 0 && labels[n] == "" {
		labels = labels[:n]
	}
	name := strings.Join(labels, ".")
	fail := func(wrong string) (string, error) { return "", errors.New(wrong + wantHost) }
	switch {
	case name == "":
		return fail("is missing or empty")
	case strings.Contains(name, "://"):
		return fail("is a URL")
	case strings.Contains(name, "@"):
		return fail("is an e-mail address")
	case strings.ContainsAny(name, "*?"):
		return fail("has a wildcard in it")
	case isAddress(name):
		return fail("is an IP address or network")
	}
	for i, label := range labels {
		ascii, err := ASCIILabel(label)
		if err != nil {
			return fail("has a label that is not valid in an internationalized domain name")
		}
		labels[i] = ascii
	}
	name = strings.Join(labels, ".")
	if len(name) > 253 {
		return fail("is longer than 253 characters")
	}
	last := ""
	for last = range strings.SplitSeq(name, ".") {
		if wrong := wrongLabel(last); wrong != "" {
			return fail(wrong)
		}
	}
	switch {
	case strings.Trim(last, "0123456789") == "": // parsers of URLs take it for an address
		return fail("ends in a number")
	case last == AddressDomain:
		return fail(`ends in ".ip", which is not a top-level domain and stands for watched addresses`)
	}
	return name, nil
}

// CanonicalHost reports whether s is a host name in the form that ParseHost returns and has
// no label in punycode. Nearly all names in long lists are like that, and need no more than
// this one pass.
func CanonicalHost[T string | []byte](s T) bool {
	if len(s) > 253 {
		return false
	}
	label, number := 0, true // where the last label begins; whether it is a number so far
	for i := 0; ; i++ {
		if i < len(s) && s[i] != '.' {
			switch c := s[i]; {
			case '0' <= c && c <= '9':
			case 'a' <= c && c <= 'z', c == '-', c == '_':
				number = false
			default:
				return false
			}
			continue
		}
		n := i - label
		if n == 0 || n > 63 || s[label] == '-' || s[i-1] == '-' {
			return false
		}
		if n >= 4 && s[label] == 'x' && s[label+1] == 'n' && s[label+2] == '-' && s[label+3] == '-' {
			return false
		}
		if i == len(s) {
			return !number && string(s[label:]) != AddressDomain
		}
		label, number = i+1, true
	}
}

// isAddress reports whether a text is an IP address or a network.
func isAddress(s string) bool {
	s, _, _ = strings.Cut(s, "/")
	_, err := netip.ParseAddr(s)
	return err == nil
}

// wrongLabel says what is wrong with a label in lower case and ASCII; "" if nothing is.
func wrongLabel(label string) string {
	switch {
	case label == "":
		return "has an empty label (two dots in a row, or one in front)"
	case len(label) > 63:
		return "has a label longer than 63 characters"
	case label[0] == '-' || label[len(label)-1] == '-':
		return "has a label that begins or ends with a hyphen"
	case !validLabel(label):
		return "has characters other than letters, digits, hyphens and underscores"
	}
	if strings.HasPrefix(label, "xn--") {
		if _, err := idna.Punycode.ToUnicode(label); err != nil {
			return `has a label that begins with "xn--" and is not punycode`
		}
	}
	return ""
}

// OtherDots are the full stops of other scripts that IDNA maps to a dot (RFC 3490 §3.1).
const OtherDots = "。．｡"

// SplitLabels splits a name at its dots, and at OtherDots.
func SplitLabels(name string) []string {
	if strings.ContainsAny(name, OtherDots) {
		name = strings.NewReplacer("。", ".", "．", ".", "｡", ".").Replace(name)
	}
	return strings.Split(name, ".")
}

// labelProfile maps labels to the form that DNS has (UTS #46, nontransitional). It does not
// restrict the characters of ASCII labels: those of certificates have any.
var labelProfile = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(false))

// ASCIILabel returns one label in lower case and punycode. ASCII labels are lower-cased and
// not checked.
func ASCIILabel(label string) (string, error) {
	ascii := true
	for i := range len(label) {
		ascii = ascii && label[i] < utf8.RuneSelf
	}
	if ascii {
		return strings.ToLower(label), nil
	}
	if !utf8.ValidString(label) {
		return "", fmt.Errorf("the label %q is not UTF-8", label)
	}
	// No label of a DNS name is longer than 63 octets in punycode, which takes one
	// for each character at least.
	if n := utf8.RuneCountInString(label); n > 63 {
		return "", fmt.Errorf("a label of %d characters is too long", n)
	}
	if strings.ContainsAny(label, "*?") {
		return "", fmt.Errorf("the label %q mixes a wildcard with letters beyond ASCII", label)
	}
	out, err := labelProfile.ToASCII(label)
	if err != nil {
		return "", fmt.Errorf("the label %q is not valid: %w", label, err)
	}
	return out, nil
}

// ValidHost reports whether a name is a host name in canonical form that a client can ask
// for: labels of letters, digits, hyphens and underscores in lower case, of at most 63
// octets, and 253 in all (RFC 1035 §2.3.4).
func ValidHost(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || !validLabel(label) {
			return false
		}
	}
	return true
}

// validLabel reports whether a label has only characters that host names have.
func validLabel(label string) bool {
	for i := range len(label) {
		switch c := label[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}
