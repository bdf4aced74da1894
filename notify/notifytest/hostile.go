package notifytest

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"ctwatch/ctwatch"
)

// What attackers write into certificates, log lists and replies.
var HostileTexts = []string{
	"<!channel> <@U123> <!here|x>", "<https://evil.example|click here>", "[click](https://evil.example)", "@everyone @here #general",
	"`code` ```block``` *bold* _it_ ~no~ ||spoiler||", "<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "</code></td></table><h1>all is well</h1>",
	"javascript:alert(1)", "\x1b[2J\x1b[31mred\x1b[0m", "\x1b]8;;https://evil.example\x07click\x1b]8;;\x07", "\x1b]0;title\x07", "\u009b31m",
	"a\r\nBcc: all@example.org\r\n\r\nbody", "a\n\nWhat to do:\n  - nothing", "a\u2028b\u2029c\u0085d\vd\fe", "=?utf-8?q?=0D=0ABcc:_x=40y.example?=",
	"moc.elpmaxe\u202e\u2066x\u2069", "a\u200bb\ufeffc\u00add", "\u0430pple.com", "xn--pple-43d.com", "xn--", "xn--\u202e", "\xff\xfe\x00", "\r\n.\r\nQUIT",
	strings.Repeat("a", 70_000), strings.Repeat("é\u0301", 1000), "{{.}} %s %n ${HOME} $(reboot) `reboot`", "&lt;!channel&gt; &#60;b&#62;", "\U000E0041\U000E0042", "",
}

// HostileEvent is an event in which everything that others choose is s.
func HostileEvent(s string) ctwatch.Event {
	if s == "" {
		s = " " // what is not there has no line
	}
	c := Certificate(s, s, "*."+s)
	c.Serial, c.Subject, c.Issuer.Name, c.Issuer.CAA, c.Key.Algorithm = s, s, s, s, s
	c.Problems, c.Reasons, c.IPAddresses = []string{s}, []string{s}, []string{s}
	c.Sightings[0].Log = s
	c.Verdict = ctwatch.Unexpected
	l := LogStatus()
	l.Name, l.Operator, l.LastError = s, s, s
	e := Unexpected()
	e.Data.Certificate, e.Data.Log, e.Data.Summary = &c, &l, s
	e.Data.Host, e.Data.App = s, s
	e.Data.Evidence = &ctwatch.Evidence{Cause: s}
	return e
}

// CheckPlain checks that text has only characters that print, and lines that are ours.
func CheckPlain(t *testing.T, s, text string, lines int) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%q makes text that is no UTF-8", s)
	}
	for _, r := range text {
		if r != '\n' && r != ' ' && (!unicode.IsPrint(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Bidi_Control, r)) {
			t.Errorf("%q makes text with %U", s, r)
		}
	}
	if got := strings.Count(text, "\n"); got != lines {
		t.Errorf("%q makes %d lines, want %d:\n%s", s, got, lines, text)
	}
	if len(text) > 100_000 {
		t.Errorf("%d bytes", len(text))
	}
}

// PlainEvent is a HostileEvent that is not hostile: what it makes is the shape that
// all others must have.
func PlainEvent() ctwatch.Event { return HostileEvent("plain") }

// FuzzText fuzzes with text of attackers.
func FuzzText(f *testing.F, check func(*testing.T, string)) {
	for _, s := range HostileTexts {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { check(t, s) })
}
