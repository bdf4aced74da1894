package pins_test

import (
	"strings"
	"testing"

	"ctwatch/pins"
)

func TestParseHost(t *testing.T) {
	for in, want := range map[string]string{
		"example.com":              "example.com",
		"Example.COM.":             "example.com",
		"bücher.example":           "xn--bcher-kva.example",
		"BÜCHER.example":           "xn--bcher-kva.example",
		"xn--bcher-kva.example":    "xn--bcher-kva.example",
		"例え。テスト":                   "xn--r8jz45g.xn--zckzah",
		"例え。テスト。":                  "xn--r8jz45g.xn--zckzah",
		"straße.example":           "xn--strae-oqa.example",
		"_dmarc.example.com":       "_dmarc.example.com",
		"localhost":                "localhost",
		"1and1.com":                "1and1.com",
		strings.Repeat("a", 63):    strings.Repeat("a", 63),
		"a--b.example.com":         "a--b.example.com",
		"xn--bcher-kva.xn--p1ai":   "xn--bcher-kva.xn--p1ai",
		"4.4.8.8.in-addr.arpa":     "4.4.8.8.in-addr.arpa",
		"under_score.example.com.": "under_score.example.com",
	} {
		got, err := pins.ParseHost(in)
		if err != nil || got != want {
			t.Errorf("ParseHost(%q) = %q, %v, want %q", in, got, err, want)
		}
		if again, err := pins.ParseHost(got); err != nil || again != got {
			t.Errorf("ParseHost(%q) = %q, %v, not itself", got, again, err)
		}
		if !pins.ValidHost(got) {
			t.Errorf("%q is not a valid host", got)
		}
	}
	for in, want := range map[string]string{
		"":                               "empty",
		".":                              "empty",
		"example..com":                   "empty label",
		".example.com":                   "empty label",
		"example.com..":                  "empty label",
		"https://example.com":            "URL",
		"example.com/path":               "characters",
		"*.example.com":                  "wildcard",
		"me@example.com":                 "e-mail",
		"192.0.2.1":                      "IP address",
		"2001:db8::1":                    "IP address",
		"192.0.2.0/24":                   "IP address or network",
		"192.0.2.1.":                     "IP address",
		"192.0.2":                        "number",
		"192-0-2-1.ip":                   "not a top-level domain",
		"exa mple.com":                   "characters",
		"example.com:443":                "characters",
		"-a.example.com":                 "hyphen",
		"a-.example.com":                 "hyphen",
		strings.Repeat("a", 64):          "longer than 63",
		strings.Repeat("a.", 127) + "aa": "longer than 253",
		strings.Repeat("ü", 64) + ".com": "not valid",
		"xn--99999999999.com":            "punycode",
		"a\u202eb.example.com":           "internationalized",
		"\xff.example.com":               "internationalized",
	} {
		if got, err := pins.ParseHost(in); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "; want a host name") {
			t.Errorf("ParseHost(%q) = %q, %v, want an error about %q", in, got, err, want)
		}
	}
}

// PatternOf accepts what a client can ask for, even where nobody would write it.
func TestPatternOf(t *testing.T) {
	for in, want := range map[string]pins.Pattern{
		"xn--99999999999.example.com": {Name: "xn--99999999999.example.com"},
		"*.example.12":                {Name: "example.12", Reach: pins.OneBelow},
		".example.ip":                 {Name: "example.ip", Reach: pins.AllBelow},
	} {
		if got, err := pins.PatternOf(in); err != nil || got != want {
			t.Errorf("PatternOf(%q) = %+v, %v, want %+v", in, got, err, want)
		}
		if got, err := pins.ParsePattern(in); err == nil {
			t.Errorf("ParsePattern(%q) = %+v, want an error", in, got)
		}
	}
	for _, in := range []string{"", "*", "example.com.", "bücher.example", "a.*.example.com", "-a.example.com"} {
		if got, err := pins.PatternOf(in); err == nil {
			t.Errorf("PatternOf(%q) = %+v, want an error", in, got)
		}
	}
}
