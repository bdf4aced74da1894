package format

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ctwatch/pins"
)

// The pins of a leaf and of its issuer, as most files have them: base64 alone.
var (
	leafText = strings.TrimPrefix(textA, "sha256/")
	caText   = strings.TrimPrefix(textB, "sha256/")
)

// host is a HostSet of a pattern as it is written, with the known names under it.
func host(t testing.TB, pattern string, list []pins.Pin, names ...string) pins.HostSet {
	t.Helper()
	p, err := pins.PatternOf(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return pins.HostSet{Pattern: p, Pins: list, Names: names}
}

// leafSet is a set of leaf pins for hosts.
func leafSet(hosts ...pins.HostSet) pins.Set {
	return pins.Set{App: "shop", Role: pins.RoleLeaf, Plan: "0123456789abcdef", AsOf: asOf, Hosts: hosts}
}

// goldenSets are written in each format that apps are built with, to be looked at.
func goldenSets(t testing.TB) map[string]pins.Set {
	both, other := []pins.Pin{pinOf(t, textA), pinOf(t, textB)}, []pins.Pin{testPin(1), testPin(2)}
	pattern := leafSet(
		host(t, "*.example.com", both, "a.example.com", "api.example.com", "xn--bcher-kva.example.com"),
		host(t, "api.example.com", other),
		host(t, "example.com", both),
	)
	pattern.Until = asOf.AddDate(0, 0, 47)
	hostile := leafSet(host(t, "api.example.com", both))
	hostile.App = "shop --> <x>\n]]> & \\u000a */ \u202egnirts\x00\xff--"
	issuer := leafSet(host(t, "api.example.com", both))
	issuer.Role = pins.RoleIssuer
	apex := leafSet(host(t, "*.example.com", both, "a.example.com"), host(t, "example.com", both))
	return map[string]pins.Set{"pattern": pattern, "hostile": hostile, "issuer": issuer, "apex": apex}
}

// checkGolden writes the golden sets and compares them with the files.
func checkGolden(t *testing.T, f Format) {
	for file, data := range written(t, f) {
		golden(t, f.Name+"/"+file+f.Extension, data)
	}
}

// written returns the golden sets as a format writes them.
func written(t testing.TB, f Format) map[string][]byte {
	t.Helper()
	out := make(map[string][]byte)
	for file, set := range goldenSets(t) {
		data, err := f.Encode(set)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		out[file] = data
	}
	return out
}

// program gives bytes to a program's standard input, and returns what it prints. It
// skips the test where the program is not installed.
func program(t *testing.T, stdin []byte, name string, args ...string) ([]byte, error) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed, so what it makes of our files is not known", name)
	}
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", name, err, stderr.String())
	}
	return out, err
}

// wantError fails unless an error says all of the words.
func wantError(t testing.TB, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that says %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error is %q, and does not say %q", err, w)
		}
	}
}

// wantRefused fails unless a set is refused, for a host and a reason.
func wantRefused(t testing.TB, f Format, set pins.Set, host string, words ...string) {
	t.Helper()
	data, err := f.Encode(set)
	var r *RefusedError
	if !errors.As(err, &r) {
		t.Fatalf("got %v, want a *RefusedError; written was\n%s", err, data)
	}
	if r.Host != host || r.Format != f.Name {
		t.Errorf("refused for %q by %q, want %q by %q", r.Host, r.Format, host, f.Name)
	}
	wantError(t, err, words...)
}

// checkClient draws sets, and checks that a format refuses exactly those that it
// cannot express, and reads what it writes as what the set says: spells says which
// patterns it has to spell out, and fewest how many pins it needs.
func checkClient(t *testing.T, f Format, at func(pins.Role) pins.Position, spells func(pins.Set, pins.HostSet) bool, fewest int) {
	rapid.Check(t, func(rt *rapid.T) {
		set := drawSet(rt)
		// A pattern is spelled out by its names, but for those that have an entry of their own.
		unnamed := func(n string) bool {
			return !slices.ContainsFunc(set.Hosts, func(h pins.HostSet) bool { return h.Pattern == pins.Pattern{Name: n} })
		}
		impossible := slices.ContainsFunc(set.Hosts, func(h pins.HostSet) bool {
			if spells(set, h) && (len(h.Names) == 0 || !slices.ContainsFunc(h.Names, unnamed)) {
				return len(h.Names) == 0
			}
			return len(h.Pins) < fewest
		})
		data, err := f.Encode(set)
		if r := new(RefusedError); errors.As(err, &r) != impossible {
			rt.Fatalf("impossible: %v, and the error is %v", impossible, err)
		}
		if impossible {
			return
		}
		found, rules, err := Detect(data)
		if err != nil || found.Name != f.Name {
			rt.Fatalf("detected as %q: %v\n%s", found.Name, err, data)
		}
		hosts := []string{"h.test", "test", "unrelated.example"}
		for _, h := range set.Hosts {
			hosts = append(hosts, h.Pattern.Name, "a."+h.Pattern.Name, "other."+h.Pattern.Name, "x"+h.Pattern.Name)
		}
		for _, h := range hosts {
			want := said(set, h, func(h pins.HostSet) bool { return spells(set, h) })
			asked := rules.Requirements(h, asOf)
			if !samePins(want, pins.AllPins(asked)) || len(want) > 0 && (len(asked) != 1 || asked[0].At != at(set.Role)) {
				rt.Fatalf("%s: asked for %v, and the set says %v\n%s", h, asked, want, data)
			}
		}
		checkEncode(rt, f, set, at(set.Role), func(h pins.HostSet) bool { return spells(set, h) })
	})
}

// always is for checkClient in a format without patterns for one level.
func always(_ pins.Set, h pins.HostSet) bool { return h.Pattern.Reach == pins.OneBelow }

func anywhere(pins.Role) pins.Position { return pins.Anywhere }

func BenchmarkRequirements(b *testing.B) {
	var hosts []pins.HostSet
	for i := range 1000 {
		hosts = append(hosts, host(b, fmt.Sprintf("h%04d.example.com", i), []pins.Pin{testPin(1), testPin(2)}))
	}
	for _, f := range []Format{android(), ios(), trustkit()} {
		data, err := f.Encode(leafSet(hosts...))
		if err != nil {
			b.Fatal(err)
		}
		rules, err := f.Decode(data)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(f.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rules.Requirements("h0500.example.com", asOf)
				rules.Requirements("a.b.h0500.example.com", asOf)
			}
		})
	}
}
