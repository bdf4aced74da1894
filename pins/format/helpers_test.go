package format

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ctwatch/pins"
)

var update = flag.Bool("update", false, "update the golden files")

// asOf is when the sets of tests were made.
var asOf = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// Three pins for tests.
const (
	textA = "sha256/2dxOSOerezHY5RX0FGbmk4Qh9KCtj1q1C2Nt/J/Ilxg="
	textB = "sha256/yMXAjbqvikZMSSMbYQfzb/aSU5+JXaVHoiw9ld2IwWw="
	textC = "sha256/kdvgiNQ5mGA0idH0H45Q3R6E/VMxCqGIEG7/s0b70hM="
)

func pinOf(t testing.TB, text string) pins.Pin {
	t.Helper()
	p, err := pins.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// testPin returns one of many pins.
func testPin(i int) pins.Pin { return pins.FromSPKI(fmt.Append(nil, "key ", i)) }

// sampleSet is a set with each kind of pattern.
func sampleSet(t testing.TB, role pins.Role) pins.Set {
	a, b, c := pinOf(t, textA), pinOf(t, textB), pinOf(t, textC)
	return pins.Set{
		App: `shop "live" */ $app`, Role: role, Plan: "5f1c0a", AsOf: asOf, Until: asOf.AddDate(0, 2, 0),
		Hosts: []pins.HostSet{
			{Pattern: pins.Pattern{Name: "api.example.com"}, Pins: []pins.Pin{a, b}},
			{
				Pattern: pins.Pattern{Name: "example.org", Reach: pins.OneBelow}, Pins: []pins.Pin{b, a},
				Names: []string{"img.example.org", "www.example.org"},
			},
		},
		Revoked: []pins.Pin{c},
	}
}

// golden compares with a file in testdata, which -update writes.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", filepath.FromSlash(name))
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s: -want +got (rewrite with -update):\n%s", path, diff)
	}
}

// wanted writes what rules ask of hosts, with the pins of tests as A, B and C.
func wanted(t testing.TB, rules pins.Rules, hosts ...string) map[string]string {
	t.Helper()
	names := map[pins.Pin]string{pinOf(t, textA): "A", pinOf(t, textB): "B", pinOf(t, textC): "C"}
	at := map[pins.Position]string{pins.AtLeaf: "leaf ", pins.AtIssuers: "issuer ", pins.AtSent: "sent issuer "}
	out := make(map[string]string)
	for _, h := range hosts {
		var asked []string
		for _, r := range rules.Requirements(h, asOf) {
			var s string
			for i, p := range r.Pins {
				switch {
				case i == 0:
					s = at[r.Place(i)]
				case r.Place(i) != r.Place(i-1):
					s += " or " + at[r.Place(i)]
				}
				s += names[p]
			}
			asked = append(asked, s)
		}
		out[h] = strings.Join(asked, " and ")
	}
	return out
}

// checkDecoded checks a result of Decode for fuzz targets: errors are readable, and rules are
// valid.
func checkDecoded(t *testing.T, decode func([]byte) (pins.Rules, error), data []byte) {
	rules, err := decode(data)
	if err != nil {
		if strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("an error that is not one printable line: %q", err)
		}
		var syntax *SyntaxError
		if errors.As(err, &syntax) && (syntax.Line < 0 || syntax.Line > bytes.Count(data, []byte{'\n'})+1) {
			t.Errorf("an error in line %d of a shorter file: %v", syntax.Line, err)
		}
		return
	}
	for _, p := range rules.Patterns() {
		if !pins.ValidHost(p.Name) {
			t.Errorf("%q is not a host", p.Name)
		}
		host := p.Name
		if p.Reach == pins.OneBelow {
			host = "x." + host
		}
		for _, r := range rules.Requirements(host, asOf) {
			if len(r.Pins) == 0 || slices.Contains(r.Pins, pins.Pin{}) {
				t.Errorf("%s is asked for %v", host, r.Pins)
			}
		}
	}
}

// drawSet draws a set over a small world of hosts and keys, in which patterns often
// overlap.
func drawSet(t *rapid.T) pins.Set {
	set := pins.Set{
		App: rapid.String().Draw(t, "app"), Plan: "plan", AsOf: asOf,
		Role: rapid.SampledFrom([]pins.Role{pins.RoleLeaf, pins.RoleIssuer}).Draw(t, "role"),
	}
	patterns := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) pins.Pattern {
		return pins.Pattern{Name: drawHost(t), Reach: rapid.SampledFrom([]pins.Reach{pins.Exact, pins.OneBelow}).Draw(t, "reach")}
	}), 1, 4, rapid.ID[pins.Pattern]).Draw(t, "patterns")
	slices.SortFunc(patterns, func(a, b pins.Pattern) int { return strings.Compare(a.String(), b.String()) })
	for _, p := range patterns {
		h := pins.HostSet{Pattern: p, Pins: drawPins(t)}
		if p.Reach == pins.OneBelow {
			for _, label := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3, rapid.ID[string]).Draw(t, "names") {
				h.Names = append(h.Names, label+"."+p.Name)
			}
			slices.Sort(h.Names)
		}
		set.Hosts = append(set.Hosts, h)
	}
	return set
}

// drawHost draws one of a few dozen host names.
func drawHost(t *rapid.T) string {
	labels := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b"}), 0, 3).Draw(t, "labels")
	return strings.Join(append(labels, "h.test"), ".")
}

// drawPins draws some of a few pins.
func drawPins(t *rapid.T) []pins.Pin {
	var out []pins.Pin
	for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, 5), 1, 3, rapid.ID[int]).Draw(t, "pins") {
		out = append(out, testPin(i))
	}
	return out
}

// drawChain draws a chain of a few keys.
func drawChain(t *rapid.T) pins.Chain {
	var c pins.Chain
	for _, i := range rapid.SliceOfN(rapid.IntRange(0, 7), 1, 3).Draw(t, "chain") {
		c.Pins = append(c.Pins, testPin(i))
	}
	return c
}

// checkEncode is what property tests ask of a format: that a set is refused, or
// written such that clients, who look for pins at a position, accept and refuse as
// the set says. Where the format spells patterns out, only the known hosts are
// pinned.
func checkEncode(t *rapid.T, f Format, set pins.Set, position pins.Position, spells func(pins.HostSet) bool) {
	data, err := f.Encode(set)
	var refused *RefusedError
	if errors.As(err, &refused) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if again, err := f.Encode(set); err != nil || !bytes.Equal(data, again) {
		t.Fatalf("encoding twice differs, or %v", err)
	}
	rules, err := f.Decode(data)
	if err != nil {
		t.Fatalf("%v in\n%s", err, data)
	}
	for range 20 {
		host, chain := drawHost(t), drawChain(t)
		want := said(set, host, spells)
		asked := rules.Requirements(host, asOf)
		if len(want) == 0 != (len(asked) == 0) {
			t.Fatalf("%s: asked for %v, and the set says %v, in\n%s", host, asked, want, data)
		}
		accepted := len(want) == 0 || pins.Requirement{At: position, Pins: want}.MetBy(chain)
		if got := pins.Accepts(asked, chain); got != accepted {
			t.Fatalf("%s: accepts %v: %v, and the set says %v, in\n%s", host, chain, got, accepted, data)
		}
	}
}

// said returns the pins that a set has for a host.
func said(set pins.Set, host string, spells func(pins.HostSet) bool) []pins.Pin {
	for _, h := range set.Hosts {
		if h.Pattern == (pins.Pattern{Name: host}) {
			return h.Pins
		}
	}
	for _, h := range set.Hosts {
		if h.Pattern.Reach == pins.OneBelow && h.Pattern.Matches(host) && (!spells(h) || slices.Contains(h.Names, host)) {
			return h.Pins
		}
	}
	return nil
}
