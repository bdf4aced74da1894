package entry_test

import (
	"strings"
	"testing"

	"ctwatch/ctwatch/entry"

	"github.com/google/go-cmp/cmp"
)

func TestCandidates(t *testing.T) {
	for in, want := range map[string][]string{
		"example.com":                    {"example.com"},
		"WWW.Example.COM.":               {"www.example.com"},
		"example.com...":                 {"example.com"},
		"*.example.com":                  {"*.example.com"},
		"f*o.example.com":                {"f*o.example.com"},
		"?.example.com":                  {"?.example.com"},
		"_a-b.example.com":               {"_a-b.example.com"},
		"":                               nil,
		".":                              nil,
		" \t":                            nil,
		" example.com\n":                 {"example.com"},
		"exa mple.com":                   {`exa\032mple.com`, "mple.com"},
		"a.com b.com":                    {`a.com\032b.com`, "a.com", "b.com"},
		"example.com\x00.evil.org":       {"example.com", `example.com\000.evil.org`},
		"\x00a.com":                      {`\000a.com`},
		"http://Example.com":             {"example.com"},
		"https://example.com/":           {"example.com"},
		"example.com/":                   {"example.com"},
		"example.com/x.org":              {"example.com/x.org", "example.com"},
		"http://me@example.com:8443/":    {"example.com"},
		"bücher.example":                 {"xn--bcher-kva.example", "xn--b14cher-xwa2143e.example"}, // UTF-8, and "bÃ¼cher"
		"BÜCHER.Example":                 {"xn--bcher-kva.example"},
		"b\xfccher.example":              {"xn--bcher-kva.example"},
		"*.bücher.example":               {"*.xn--bcher-kva.example", "*.xn--b14cher-xwa2143e.example"},
		"f*ü.example":                    {`f*\195\188.example`},
		"a\u202egro.example.com":         {`a\226\128\174gro.example.com`},
		"<!channel>\\\".example.com":     {`<!channel>\\".example.com`},
		"A\x1b[31m.example.com":          {`a\027[31m.example.com`},
		"例え。テスト":                         {"xn--r8jz45g.xn--zckzah"},
		"2001:db8::1":                    {"2001:db8::1"},
		strings.Repeat("ü", 64) + ".com": {strings.Repeat(`\195\188`, 64) + ".com"},
	} {
		var got []string
		entry.Candidates([]byte(in), func(c []byte) { got = append(got, string(c)) })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q:\n%s", in, diff)
		}
	}
}

func TestLongNamesKeepTheLabelsThatDecide(t *testing.T) {
	entry.Candidates([]byte(strings.Repeat("a.", 1_000_000)+"example.com"), func(c []byte) {
		s := string(c)
		if len(s) > 1100 || !strings.HasPrefix(s, "?.a.") || !strings.HasSuffix(s, ".a.example.com") {
			t.Errorf("%d octets: %.20s…", len(s), s)
		}
	})
	entry.Candidates([]byte(strings.Repeat("a", 1_000_000)), func(c []byte) {
		if string(c) != "?" {
			t.Errorf("%.20s", c)
		}
	})
}

func TestPlainAgreesWithCandidates(t *testing.T) {
	for _, name := range []string{"Example.com", "a.b.", "*.X.org", "?.a", "a..b", ".a", ""} {
		var buf [entry.MaxPlain]byte
		c, pattern, ok := entry.Plain(&buf, []byte(name))
		if !ok || pattern != strings.ContainsAny(name, "*?") {
			t.Errorf("Plain(%q): pattern %v, ok %v", name, pattern, ok)
		}
		var got string
		entry.Candidates([]byte(name), func(c []byte) { got = string(c) })
		if got != string(c) {
			t.Errorf("Plain(%q) = %q, Candidates %q", name, c, got)
		}
	}
	for _, name := range []string{"a b", "ü", "a/", "a\x00", "a:1", strings.Repeat("a", entry.MaxPlain+1)} {
		var buf [entry.MaxPlain]byte
		if _, _, ok := entry.Plain(&buf, []byte(name)); ok {
			t.Errorf("Plain(%q) is ok", name)
		}
	}
}

func FuzzCandidates(f *testing.F) {
	for _, s := range []string{"a.com", "a\x00b.com", "http://a.com/x y", "b\xfccher.example", "a。b", "\u00a0/@:1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, name []byte) {
		checkAllocation(t, name, func() { entry.Candidates(name, func([]byte) {}) })
		total := 0
		entry.Candidates(name, func(c []byte) {
			total += len(c)
			for _, b := range c {
				if b <= ' ' || b >= 0x7f || 'A' <= b && b <= 'Z' {
					t.Fatalf("%q has the octet %#x", c, b)
				}
			}
			if len(c) == 0 || c[len(c)-1] == '.' {
				t.Fatalf("%q is not canonical", c)
			}
		})
		// A character may become several, each of its octets four.
		if total > 64*len(name)+64 {
			t.Errorf("%d octets from %d", total, len(name))
		}
	})
}
