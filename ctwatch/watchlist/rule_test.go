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

// A watched domain is read as every other host name (see the tests of pins.ParseHost).
func TestNewRuleReadsHostNames(t *testing.T) {
	for in, want := range map[string]string{
		"Example.COM.":   "example.com",
		"BÜCHER.example": "xn--bcher-kva.example",
		".example.com":   "example.com",
	} {
		if got, err := watchlist.NewRule(in, true); err != nil || got.Domain != want {
			t.Errorf("NewRule(%q) = %q, %v, want %q", in, got.Domain, err, want)
		}
	}
	for in, want := range map[string]string{
		"":                    "empty",
		"..example.com":       "empty label",
		"https://example.com": "URL",
		"*.example.com":       "every name below it",
		"192-0-2-1.ip":        "not a top-level domain",
	} {
		if got, err := watchlist.NewRule(in, true); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewRule(%q) = %q, %v, want an error about %q", in, got.Domain, err, want)
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
	got, err := parseFile(file, "domains.txt")
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
	_, err := parseFile(file, "d.txt")
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
	_, err := parseFile(strings.Repeat("a b\n", 100_000), "d.txt")
	if err == nil || !strings.Contains(err.Error(), "too many mistakes") || len(err.Error()) > 10_000 {
		t.Errorf("error: %.300v", err)
	}
}

func FuzzParseFile(f *testing.F) {
	f.Add(".example.com\n# comment\nexample.org\n")
	f.Add("bücher.example x\n\xff")
	f.Add("192.0.2.7\n2001:db8::/32\n::ffff:192.0.2.0/120\n")
	f.Fuzz(func(t *testing.T, text string) {
		rs, err := parseFile(text, "fuzz")
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
			if again, err := watchlist.NewRule(r.Domain, false); err != nil || again.Domain != r.Domain {
				t.Errorf("NewRule(%q) = %q, %v", r.Domain, again.Domain, err)
			}
		}
	})
}

func ExampleUpdate() {
	file := watchlist.Part{Name: "domains.txt", Text: []byte(".example.com\nwww.example.org # only this\n192.0.2.0/24")}
	list, mistakes := watchlist.Update(nil, file)
	for _, r := range list.Rules() {
		fmt.Println(r.Watch, r.Domain, r.Subdomains)
	}
	fmt.Println(mistakes)
	// Output:
	// .example.com example.com true
	// www.example.org www.example.org false
	// 192.0.2.0/24 192-0-2-0_24.ip false
	// []
}
