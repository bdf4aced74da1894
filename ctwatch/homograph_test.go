package ctwatch

import (
	"strings"
	"testing"
)

// Names are shown in punycode, with what they look like.
func TestShownNameMarksHomographs(t *testing.T) {
	for name, want := range map[string]string{
		"example.com":           "example.com",
		"*.example.com":         "*.example.com",
		"_acme.example.com":     "_acme.example.com",
		"xn--pple-43d.com":      "xn--pple-43d.com ⚠ looks like apple.com", // Cyrillic а
		"аpple.com":             "xn--pple-43d.com ⚠ looks like apple.com",
		"xn--80ak6aa92e.com":    "xn--80ak6aa92e.com ⚠ looks like apple.com", // all of it Cyrillic
		"xn--mnchen-3ya.de":     "xn--mnchen-3ya.de (münchen.de)",
		"münchen.de":            "xn--mnchen-3ya.de (münchen.de)",
		"xn--e1afmkfd.xn--p1ai": "xn--e1afmkfd.xn--p1ai (пример.рф)",
		"www.xn--ggle-0nda.com": "www.xn--ggle-0nda.com ⚠ looks like www.google.com", // Cyrillic о, twice
		"xn--invalid-\xff.com":  "xn--invalid-\uFFFD.com",
		"xn--.com":              "xn--.com",
	} {
		if got := ShownName(name, 100); got != want {
			t.Errorf("ShownName(%q) = %q, want %q", name, got, want)
		}
	}
}

// Words that look like others are marked in free text.
func TestShownTextMarksHomographs(t *testing.T) {
	for in, want := range map[string]string{
		"CN=E7,O=Let's Encrypt,C=US":    "CN=E7,O=Let's Encrypt,C=US",
		"O=Let's Еncrypt":               "O=Let's Еncrypt ⚠ looks like “O=Let's Encrypt”",
		"O=Ｅｖｉｌ":                        "O=Ｅｖｉｌ ⚠ looks like “O=Evil”",
		"O=𝐄𝐯𝐢𝐥":                        "O=𝐄𝐯𝐢𝐥 ⚠ looks like “O=Evil”",
		"O=Министерство, L=Zürich, 東京":  "O=Министерство, L=Zürich, 東京",
		"O=Δελτα, Ångström, Łódź, café": "O=Δελτα, Ångström, Łódź, café",
	} {
		if got := ShownText(in, 100); got != want {
			t.Errorf("ShownText(%q) = %q, want %q", in, got, want)
		}
	}
}

// Each group of the table begins with its only ASCII letter.
func TestLookAlikeTable(t *testing.T) {
	for _, group := range strings.Fields(lookLike) {
		if group[0] >= 0x80 || isASCII(group) || !isASCII(group[:1]) {
			t.Errorf("group %q", group)
		}
		for _, r := range group[1:] {
			if r < 0x80 {
				t.Errorf("group %q has two ASCII letters", group)
			}
			if strings.Count(lookLike, string(r)) != 1 {
				t.Errorf("%q is in two groups", r)
			}
			if got := asASCII(r); got != rune(group[0]) {
				t.Errorf("%q looks like %q, want %q", r, got, group[0])
			}
		}
	}
}
