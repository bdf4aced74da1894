package watchlist_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"ctwatch/ctwatch/watchlist"

	"github.com/google/go-cmp/cmp"
)

// prefixes lets cmp compare rules.
var prefixes = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

func TestParseDomain(t *testing.T) {
	for in, want := range map[string]string{
		"example.com":              "example.com",
		"Example.COM.":             "example.com",
		"bücher.example":           "xn--bcher-kva.example",
		"BÜCHER.example":           "xn--bcher-kva.example",
		"xn--bcher-kva.example":    "xn--bcher-kva.example",
		"例え。テスト":                   "xn--r8jz45g.xn--zckzah",
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
		got, err := watchlist.ParseDomain(in)
		if err != nil || got != want {
			t.Errorf("ParseDomain(%q) = %q, %v, want %q", in, got, err, want)
		}
		if again, err := watchlist.ParseDomain(got); err == nil && again != got {
			t.Errorf("ParseDomain(%q) = %q, not itself", got, again)
		}
	}
	for in, want := range map[string]string{
		"":                               "empty",
		".":                              "empty",
		"example..com":                   "label is empty",
		".example.com":                   "label is empty",
		"example.com..":                  "label is empty",
		"https://example.com":            "URL",
		"example.com/path":               `'/'`,
		"*.example.com":                  "wildcards",
		"me@example.com":                 "e-mail",
		"192.0.2.1":                      "IP address",
		"2001:db8::1":                    "IP address",
		"192.0.2.0/24":                   "IP address or network",
		"192.0.2.1.":                     "without a dot",
		"192-0-2-1.ip":                   "no top-level domain",
		"exa mple.com":                   `' '`,
		"example.com:443":                `':'`,
		"-a.example.com":                 "hyphen",
		"a-.example.com":                 "hyphen",
		strings.Repeat("a", 64):          "at most 63",
		strings.Repeat("a.", 127) + "aa": "at most 253",
		strings.Repeat("ü", 64) + ".com": "too long",
		"xn--99999999999.com":            "punycode",
		"a\u202eb.example.com":           "internationalised",
		"\xff.example.com":               "internationalised",
	} {
		if got, err := watchlist.ParseDomain(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseDomain(%q) = %q, %v, want an error about %q", in, got, err, want)
		}
	}
}

func TestNewRuleKeepsTheLineAsConfigured(t *testing.T) {
	got, err := watchlist.NewRule("Bücher.example", true)
	if err != nil {
		t.Fatal(err)
	}
	want := watchlist.Rule{Watch: "Bücher.example", Domain: "xn--bcher-kva.example", Subdomains: true}
	if diff := cmp.Diff(want, got, prefixes); diff != "" {
		t.Error(diff)
	}
	if _, err := watchlist.NewRule(".example.com", false); err == nil {
		t.Error("a leading dot was accepted for one name only")
	}
}

func TestParseFile(t *testing.T) {
	const file = "\ufeff# our domains\r\n\r\n.example.com\r\n  example.org   # one name\n\t\n.Bücher.example\nlast.test"
	got, err := watchlist.ParseFile(strings.NewReader(file), "domains.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := []watchlist.Rule{
		{Watch: ".example.com", Domain: "example.com", Subdomains: true},
		{Watch: "example.org", Domain: "example.org"},
		{Watch: ".Bücher.example", Domain: "xn--bcher-kva.example", Subdomains: true},
		{Watch: "last.test", Domain: "last.test"},
	}
	if diff := cmp.Diff(want, got, prefixes); diff != "" {
		t.Error(diff)
	}
}

func TestParseFileNamesThePlaceOfEveryMistake(t *testing.T) {
	file := "good.test\n  bad..test\nexample.com  valid_at:2020-01-01T00:00:00Z\n" +
		strings.Repeat("x", 10_000) + "\n.\ngood.test\n*.example.com"
	_, err := watchlist.ParseFile(strings.NewReader(file), "d.txt")
	if err == nil {
		t.Fatal("no error")
	}
	for i, want := range []string{"d.txt:2:3: ", "d.txt:3:14: \"valid_at:", "d.txt:4:1: the line is longer", "d.txt:5:1: ", "d.txt:7:1: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("mistake %d: %q is not in:\n%v", i, want, err)
		}
	}
	if n := strings.Count(err.Error(), "\n"); n != 4 {
		t.Errorf("%d lines of errors:\n%v", n+1, err)
	}
}

func TestParseFileStopsAfterTooManyMistakes(t *testing.T) {
	_, err := watchlist.ParseFile(strings.NewReader(strings.Repeat("a b\n", 100_000)), "d.txt")
	if err == nil || !strings.Contains(err.Error(), "too many mistakes") || len(err.Error()) > 10_000 {
		t.Errorf("error: %.300v", err)
	}
}

func FuzzParseFile(f *testing.F) {
	f.Add(".example.com\n# comment\nexample.org\n")
	f.Add("bücher.example x\n\xff")
	f.Add("192.0.2.7\n2001:db8::/32\n::ffff:192.0.2.0/120\n")
	f.Fuzz(func(t *testing.T, text string) {
		rs, err := watchlist.ParseFile(strings.NewReader(text), "fuzz")
		if err != nil && len(rs) > 0 {
			t.Error("rules and an error")
		}
		l := watchlist.New(rs)
		for _, r := range rs {
			if r.Network.IsValid() {
				if !l.MatchIP(r.Network.Addr().AsSlice()) || !l.MatchName([]byte(r.Network.Addr().String())) {
					t.Errorf("rule %+v does not match its own address", r)
				}
				continue
			}
			if !l.MatchName([]byte(r.Domain)) {
				t.Errorf("rule %+v does not match its own domain", r)
			}
			if again, err := watchlist.ParseDomain(r.Domain); err != nil || again != r.Domain {
				t.Errorf("ParseDomain(%q) = %q, %v", r.Domain, again, err)
			}
		}
	})
}

func ExampleParseFile() {
	rules, err := watchlist.ParseFile(strings.NewReader(".example.com\nwww.example.org # only this\n192.0.2.0/24"), "domains.txt")
	for _, r := range rules {
		fmt.Println(r.Watch, r.Domain, r.Subdomains)
	}
	fmt.Println(err)
	// Output:
	// .example.com example.com true
	// www.example.org www.example.org false
	// 192.0.2.0/24 192-0-2-0_24.ip false
	// <nil>
}
