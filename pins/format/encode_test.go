package format

import (
	"strings"
	"testing"
	"time"

	"ctwatch/pins"
)

func TestInvalidSetsAreRefused(t *testing.T) {
	list := []pins.Pin{testPin(1), testPin(2)}
	edited := func(edit func(*pins.Set)) pins.Set {
		s := leafSet(host(t, "a.test", list), host(t, "*.b.test", list, "a.b.test"))
		edit(&s)
		return s
	}
	for name, c := range map[string]struct {
		set  pins.Set
		host string
		want string
	}{
		"no hosts":          {edited(func(s *pins.Set) { s.Hosts = nil }), "", "no hosts"},
		"no role":           {edited(func(s *pins.Set) { s.Role = "" }), "", "want leaf or issuer"},
		"no pins":           {edited(func(s *pins.Set) { s.Hosts[0].Pins = nil }), "a.test", "no pins"},
		"an unknown pin":    {edited(func(s *pins.Set) { s.Hosts[0].Pins = []pins.Pin{testPin(1), {}} }), "a.test", "unknown"},
		"a pin twice":       {edited(func(s *pins.Set) { s.Hosts[0].Pins = []pins.Pin{testPin(1), testPin(1)} }), "a.test", "twice"},
		"a revoked pin":     {edited(func(s *pins.Set) { s.Revoked = []pins.Pin{testPin(2)} }), "a.test", "revoked"},
		"a host twice":      {edited(func(s *pins.Set) { s.Hosts = append(s.Hosts, s.Hosts[0]) }), "a.test", "twice"},
		"a name in capital": {edited(func(s *pins.Set) { s.Hosts[0].Pattern.Name = "A.test" }), "A.test", "lower case"},
		"all below":         {edited(func(s *pins.Set) { s.Hosts[0].Pattern.Reach = pins.AllBelow }), ".a.test", "want a host or *.name"},
		"a name elsewhere":  {edited(func(s *pins.Set) { s.Hosts[1].Names = []string{"a.c.test"} }), "*.b.test", "a.c.test"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, f := range All() {
				wantRefused(t, f, c.set, c.host, c.want)
			}
		})
	}
}

func TestAppNameEndsNoComment(t *testing.T) {
	for _, name := range []string{"--", "---", "-->", "--->", "- --> <x/>", "a\nb", "\u2028", "\u202e", "*/", "/*/", "**//", "\x00", "\xff", "\\u000a", "]]>"} {
		set := leafSet(host(t, "a.test", []pins.Pin{testPin(1), testPin(2)}))
		set.App, set.Plan = name, name
		for _, line := range header(set) {
			if strings.ContainsAny(line, "\n\r\u2028\u2029\u202e\x00\\") || strings.Contains(line, "*/") || strings.Contains(line, "/*") {
				t.Errorf("%q gives the line %q", name, line)
			}
		}
		comment := xmlComment(header(set))
		if inside := strings.TrimSuffix(strings.TrimPrefix(comment, "<!--"), "-->\n"); strings.Contains(inside, "--") || strings.HasSuffix(inside, "-") {
			t.Errorf("%q gives the comment %q", name, comment)
		}
		for _, f := range []Format{android(), ios(), trustkit()} {
			if _, err := f.Encode(set); err != nil {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
}

// TestProveFindsLostAndAddedPins: a file that says less or more than its set is an error.
func TestProveFindsLostAndAddedPins(t *testing.T) {
	a, b := []pins.Pin{testPin(1), testPin(2)}, []pins.Pin{testPin(3)}
	set := leafSet(host(t, "*.b.test", a, "x.b.test"), host(t, "a.test", b))
	hosts, _, err := expand("test", set, noPattern)
	if err != nil {
		t.Fatal(err)
	}
	rules := func(list ...hostPins) pins.Rules { return newTable(pins.Anywhere, list, false) }
	exact := func(name string, list []pins.Pin) hostPins { return hostPins{pins.Pattern{Name: name}, list} }
	good := []hostPins{exact("a.test", b), exact("x.b.test", a)}
	if err := prove("test", set, hosts, rules(good...)); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]pins.Rules{
		"a host is lost":            rules(good[:1]...),
		"a pin is lost":             rules(good[0], exact("x.b.test", a[:1])),
		"a pin is added":            rules(exact("a.test", append(b, a...)), good[1]),
		"a pattern is widened":      rules(append(good, hostPins{pins.Pattern{Name: "b.test", Reach: pins.AllBelow}, a})...),
		"a host gets those below":   rules(append(good, hostPins{pins.Pattern{Name: "a.test", Reach: pins.OneBelow}, b})...),
		"a pattern covers the apex": rules(append(good, exact("b.test", a))...),
		"all hosts are pinned":      everywhere{{Pins: a}},
		"at issuers":                newTable(pins.AtIssuers, good, false),
		"it ends":                   ending{rules(good...)},
		"asked for twice":           bothRules{rules(good...), rules(good...)},
	} {
		if err := prove("test", set, hosts, c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// ending rules expire.
type ending struct{ pins.Rules }

func (ending) Ends(string) time.Time { return asOf }
