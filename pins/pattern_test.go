package pins_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ctwatch/pins"
)

// ParsePattern reads the three reaches, and refuses what is not a host name.
func TestParsePattern(t *testing.T) {
	for in, want := range map[string]pins.Pattern{
		"api.example.com":   {Name: "api.example.com"},
		"API.Example.COM":   {Name: "api.example.com"},
		"*.example.com":     {Name: "example.com", Reach: pins.OneBelow},
		".example.com":      {Name: "example.com", Reach: pins.AllBelow},
		"xn--bcher-kva.com": {Name: "xn--bcher-kva.com"},
		"_x.example.com":    {Name: "_x.example.com"},
		"*.Bücher.com.":     {Name: "xn--bcher-kva.com", Reach: pins.OneBelow},
	} {
		if got, err := pins.ParsePattern(in); err != nil || got != want {
			t.Errorf("%q is %+v, %v; want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", ".", "*", "*.", "**.example.com", "a.*.example.com", "*example.com", "exa mple.com", "example.12", "a..b",
		"-a.example.com", "a-.example.com", strings.Repeat("a", 64) + ".com", strings.Repeat("a.", 127) + "aa", "example.com:443", "[::1]", "a/b",
	} {
		if got, err := pins.ParsePattern(in); err == nil {
			t.Errorf("%q is taken as %+v", in, got)
		}
	}
}

// Each reach matches its own names.
func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, host string
		want          bool
	}{
		{"example.com", "example.com", true},
		{"example.com", "a.example.com", false},
		{"*.example.com", "a.example.com", true},
		{"*.example.com", "example.com", false},
		{"*.example.com", "a.b.example.com", false},
		{"*.example.com", "aexample.com", false},
		{"*.example.com", ".example.com", false},
		{".example.com", "example.com", true},
		{".example.com", "a.b.example.com", true},
		{".example.com", "aexample.com", false},
	} {
		if got := patterns(t, c.pattern)[0].Matches(c.host); got != c.want {
			t.Errorf("%s matches %s: %v", c.pattern, c.host, got)
		}
	}
}

// A pattern that covers another matches each host that the other matches.
func TestCoversAgreesWithMatches(t *testing.T) {
	label := rapid.SampledFrom([]string{"a", "b", "ab"})
	name := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(label, 1, 4).Draw(t, "labels"), ".")
	})
	draw := rapid.Custom(func(t *rapid.T) pins.Pattern {
		return pins.Pattern{Name: name.Draw(t, "name"), Reach: rapid.SampledFrom([]pins.Reach{pins.Exact, pins.OneBelow, pins.AllBelow}).Draw(t, "reach")}
	})
	rapid.Check(t, func(t *rapid.T) {
		p, q, host := draw.Draw(t, "p"), draw.Draw(t, "q"), name.Draw(t, "host")
		if p.Covers(q) && q.Matches(host) && !p.Matches(host) {
			t.Fatalf("%s covers %s, which matches %s, and does not match it", p, q, host)
		}
		if r, err := pins.ParsePattern(p.String()); err != nil || r != p {
			t.Fatalf("%s is read as %v, %v", p, r, err)
		}
	})
}

func FuzzParsePattern(f *testing.F) {
	for _, s := range []string{"api.example.com", "*.example.com", ".example.com", "", "*."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := pins.ParsePattern(s)
		if err != nil {
			return
		}
		if q, err := pins.ParsePattern(p.String()); err != nil || q != p {
			t.Errorf("%q is %v, which is read as %v, %v", s, p, q, err)
		}
	})
}

// A set covers what one of its patterns covers.
func TestPatternSetCovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.Custom(func(t *rapid.T) pins.Pattern {
			return pins.Pattern{
				Name:  rapid.StringMatching(`[ab.]{0,6}`).Draw(t, "name"),
				Reach: rapid.SampledFrom([]pins.Reach{pins.Exact, pins.OneBelow, pins.AllBelow}).Draw(t, "reach"),
			}
		})
		ps, q := rapid.SliceOfN(pattern, 0, 5).Draw(t, "patterns"), pattern.Draw(t, "q")
		want := slices.ContainsFunc(ps, func(p pins.Pattern) bool { return p.Covers(q) })
		if got := pins.NewPatternSet(ps...).Covers(q); got != want {
			t.Fatalf("%v cover %v: %v, want %v", ps, q, got, want)
		}
	})
}

// The hosts of a certificate are its names that clients can ask for, and wildcards, each
// once.
func TestHostsOf(t *testing.T) {
	for name, tt := range map[string]struct{ names, want []string }{
		"none":         {nil, nil},
		"names":        {[]string{api, "*.example.com"}, []string{api, "*.example.com"}},
		"each once":    {[]string{api, "API.example.com", api}, []string{api}},
		"no hosts":     {[]string{"", "a device", "*", "*.*.example.com", "w*.example.com", "example.com/path"}, nil},
		"all below":    {[]string{".example.com", api}, []string{api}},
		"odd punycode": {[]string{"xn--a.example.com"}, []string{"xn--a.example.com"}},
	} {
		var got []string
		for _, p := range pins.HostsOf(tt.names) {
			got = append(got, p.String())
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
