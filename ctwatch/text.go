package ctwatch

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable makes text that others chose safe to print: control characters,
// newlines, bidirectional overrides and other invisible characters, and bytes
// that are no UTF-8 become U+FFFD, and what is longer than limit runes is cut and
// ends in "…". It escapes nothing for a particular medium: HTML or Slack need
// their own escaping as well.
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
