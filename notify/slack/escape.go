package slack

import (
	"strings"
	"unicode/utf16"

	"ctwatch/ctwatch"
)

// Text that others chose is in a message only as the whole of a plain_text object, or in a
// code span of a mrkdwn object. In both, Slack gives a meaning only to &, < and > (https://docs.slack.dev/messaging/formatting-message-text#escaping),
// and a backtick ends a code span.

// escape returns text that is safe in a plain_text object, in at most limit UTF-16 units
// after escaping, as Slack counts. It does not split escapes.
func escape(s string, limit int) string {
	const ellipsis = "…"
	s = ctwatch.Printable(s, limit)
	var b strings.Builder
	n, cut := 0, 0 // cut: the last place after which an ellipsis fits
	for _, r := range s {
		esc := escapeRune(r)
		w := 0
		for _, e := range esc {
			w += utf16.RuneLen(e)
		}
		if n+w > limit {
			return b.String()[:cut] + ellipsis
		}
		b.WriteString(esc)
		if n += w; n+1 <= limit {
			cut = b.Len()
		}
	}
	return b.String()
}

func escapeRune(r rune) string {
	switch r {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	}
	return string(r)
}

// codeSpan returns text as a code span of a mrkdwn object, in at most limit UTF-16 units
// and two backticks.
func codeSpan(s string, limit int) string {
	s = escape(strings.ReplaceAll(s, "`", "ˋ"), limit)
	if strings.TrimSpace(s) == "" {
		return "–" // an empty span would be two backticks
	}
	return "`" + s + "`"
}
