package ctwatch

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable makes text that others chose safe to print: control characters, newlines,
// bidirectional overrides and other invisible characters, and invalid UTF-8 become U+FFFD;
// text longer than limit runes is cut and ends in "…". It does not escape for a medium such
// as HTML or Slack.
func Printable(s string, limit int) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n == limit {
			b.WriteRune('…')
			break
		}
		n++
		// IsGraphic leaves out control (Cc) and format (Cf) characters, of which
		// the bidirectional overrides are some; of its spaces only ' ' is kept.
		if r != ' ' && (!unicode.IsPrint(r) || unicode.Is(unicode.Cf, r)) {
			r = utf8.RuneError
		}
		b.WriteRune(r)
	}
	return b.String()
}

// maxDN is how many bytes of a distinguished name are read.
const maxDN = 4096

// DNValues returns the values of one attribute type in a distinguished name as RFC 2253
// writes it, by the type's name or OID. Values in hex are left out.
func DNValues(dn, name, oid string) []string {
	dn = dn[:min(len(dn), maxDN)]
	var out []string
	for len(dn) > 0 {
		var attribute string
		attribute, dn = cutAttribute(dn)
		key, value, ok := strings.Cut(attribute, "=")
		if key = strings.TrimSpace(key); ok && (strings.EqualFold(key, name) || key == oid) && !strings.HasPrefix(value, "#") {
			out = append(out, unescape(strings.TrimSpace(value)))
		}
	}
	return out
}

// cutAttribute cuts a distinguished name after its first attribute.
func cutAttribute(dn string) (attribute, rest string) {
	for i := 0; i < len(dn); i++ {
		switch dn[i] {
		case '\\':
			i++
		case ',', '+', ';':
			return dn[:i], dn[i+1:]
		}
	}
	return dn, ""
}

// unescape removes the backslashes before special characters.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
