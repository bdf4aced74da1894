package ctwatch_test

import (
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
)

// Text from outside is printable and bounded, and valid UTF-8.
func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain text, Zürich 東京": "plain text, Zürich 東京",
		"two\nlines\r\tand tab": "two\ufffdlines\ufffd\ufffdand tab",
		"\x1b[31mred\x1b[0m":    "\ufffd[31mred\ufffd[0m",
		"\x1b]8;;http://e\x07x": "\ufffd]8;;http://e\ufffdx",
		"moc\u202eelpmaxe":      "moc\ufffdelpmaxe",
		"zero\u200bwidth\ufeff": "zero\ufffdwidth\ufffd",
		"bad\xffbyte":           "bad\ufffdbyte",
		"nul\x00":               "nul\ufffd",
		"no\u00a0break":         "no\ufffdbreak",
	} {
		if got := ctwatch.Printable(in, 100); got != want {
			t.Errorf("Printable(%q) = %q, want %q", in, got, want)
		}
	}
	if got := ctwatch.Printable("abcdef", 3); got != "abc…" {
		t.Errorf("cut: %q", got)
	}
	if got := ctwatch.Printable("abc", 3); got != "abc" {
		t.Errorf("not cut: %q", got)
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("a\x1b[0m\u202e")
	f.Fuzz(func(t *testing.T, s string) {
		got := ctwatch.Printable(s, 50)
		if n := utf8.RuneCountInString(got); n > 51 {
			t.Errorf("%d runes", n)
		}
		for _, r := range got {
			if r != utf8.RuneError && r != ' ' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Bidi_Control, r)) {
				t.Errorf("Printable(%q) holds %U", s, r)
			}
		}
	})
}

// DNValues reads escapes and multi-valued names, by name or OID, and skips hex.
func TestDNValues(t *testing.T) {
	for dn, want := range map[string][]string{
		"CN=E7,O=Lab,C=US":            {"Lab"},
		"O=one+O=two;o=three":         {"one", "two", "three"},
		"2.5.4.10=by OID":             {"by OID"},
		`O=A\, Inc. \"x\",CN=y`:       {`A, Inc. "x"`},
		`CN=x\,O=not one,OU=nor this`: nil,
		"O=#0c0141,O= spaced ":        {"spaced"},
		"":                            nil,
		`O=\`:                         {`\`},
	} {
		if diff := cmp.Diff(want, ctwatch.DNValues(dn, "O", "2.5.4.10")); diff != "" {
			t.Errorf("%q (-want +got):\n%s", dn, diff)
		}
	}
}
