package format_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ctwatch/pins"
	"ctwatch/pins/format"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// asOf is when the sets of tests were made.
var asOf = time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)

// The pins of a leaf and of its issuer.
var (
	leafPin = mustPin("sha256/2dxOSOerezHY5RX0FGbmk4Qh9KCtj1q1C2Nt/J/Ilxg=")
	caPin   = mustPin("sha256/yMXAjbqvikZMSSMbYQfzb/aSU5+JXaVHoiw9ld2IwWw=")
)

func mustPin(s string) pins.Pin {
	p, err := pins.Parse(s)
	if err != nil {
		panic(err)
	}
	return p
}

// pin returns one of as many pins as one likes.
func pin(n int) pins.Pin { return pins.Pin(sha256.Sum256([]byte{byte(n >> 8), byte(n)})) }

func b64(p pins.Pin) string { return base64.StdEncoding.EncodeToString(p[:]) }

func find(t testing.TB, name string) format.Format {
	t.Helper()
	f, err := format.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func decode(t testing.TB, name, data string) pins.Rules {
	t.Helper()
	rules, err := find(t, name).Decode([]byte(data))
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	return rules
}

// host is a HostSet of a pattern as it is written, with the known names under it.
func host(pattern string, ps []pins.Pin, names ...string) pins.HostSet {
	p, err := pins.ParsePattern(pattern)
	if err != nil {
		panic(err)
	}
	return pins.HostSet{Pattern: p, Pins: ps, Names: names}
}

// leafSet is a set of leaf pins for hosts.
func leafSet(hosts ...pins.HostSet) pins.Set {
	return pins.Set{App: "shop", Role: pins.RoleLeaf, Plan: "0123456789abcdef", AsOf: asOf, Hosts: hosts}
}

// golden compares what was written with a file under testdata.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	path = filepath.Join("testdata", filepath.FromSlash(path))
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
		t.Errorf("%s (-want +got; go test -update rewrites it):\n%s", path, diff)
	}
}

// program runs a program that reads its standard input; it skips the test where the
// program is not installed.
func program(t *testing.T, stdin []byte, name string, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed, so what it says of our files is not known", name)
	}
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", name, err, stderr.String())
	}
	return string(out), err
}

// refused returns the *RefusedError of an error.
func refused(t testing.TB, err error) *format.RefusedError {
	t.Helper()
	var r *format.RefusedError
	if !errors.As(err, &r) {
		t.Fatalf("got %v, want a *RefusedError", err)
	}
	return r
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

// drawSet draws a set: hosts that are next to, above and below each other, with
// pins of their own, some named by patterns, of which some hosts are known.
func drawSet(rt *rapid.T) pins.Set {
	names := rapid.SampledFrom([]string{
		"example.test", "a.example.test", "b.example.test", "x.example.test", "a.a.example.test", "x.a.example.test",
		"xn--bcher-kva.example.test", "a--b.example.test", "example.org", "a.example.org", "shop.co.uk", "a.shop.co.uk",
	})
	set := pins.Set{
		App: rapid.String().Draw(rt, "app"), Plan: "p", AsOf: asOf,
		Role: rapid.SampledFrom([]pins.Role{pins.RoleLeaf, pins.RoleIssuer}).Draw(rt, "role"),
	}
	if rapid.Bool().Draw(rt, "until") {
		set.Until = asOf.AddDate(0, 1, 0)
	}
	lists := rapid.SliceOfNDistinct(rapid.IntRange(0, 7), 2, 3, func(i int) int { return i })
	seen := make(map[pins.Pattern]bool)
	for range rapid.IntRange(1, 5).Draw(rt, "hosts") {
		h := pins.HostSet{Pattern: pins.Pattern{Name: names.Draw(rt, "name")}}
		if rapid.IntRange(0, 2).Draw(rt, "pattern") == 0 {
			h.Pattern.Reach = pins.OneBelow
			for _, label := range []string{"a", "known", "xn--bcher-kva"} {
				if rapid.Bool().Draw(rt, "known") {
					h.Names = append(h.Names, label+"."+h.Pattern.Name)
				}
			}
		}
		if seen[h.Pattern] {
			continue
		}
		seen[h.Pattern] = true
		if len(set.Hosts) > 0 && rapid.Bool().Draw(rt, "same pins") {
			h.Pins = set.Hosts[0].Pins
		} else {
			for _, n := range lists.Draw(rt, "pins") {
				h.Pins = append(h.Pins, pin(n))
			}
		}
		set.Hosts = append(set.Hosts, h)
	}
	return set
}

// pinsFor is what a set says of a host: its own pins, or those of the pattern for
// the level above; expanded patterns stand for the hosts known under them only.
func pinsFor(set pins.Set, name string, expanded func(pins.HostSet) bool) []pins.Pin {
	for _, h := range set.Hosts {
		if h.Pattern == (pins.Pattern{Name: name}) {
			return h.Pins
		}
	}
	for _, h := range set.Hosts {
		if h.Pattern.Reach == pins.OneBelow && h.Pattern.Matches(name) && (!expanded(h) || slices.Contains(h.Names, name)) {
			return h.Pins
		}
	}
	return nil
}

// checkProperty draws sets and chains, and checks that what a format writes is read
// back as the same: accept says whether a client accepts a chain for pins in a role,
// and spelled which patterns the format cannot express in a set.
func checkProperty(t *testing.T, name string, spelled func(pins.Set, pins.HostSet) bool, accept func(pins.Role, []pins.Pin, []pins.Pin) bool) {
	f := find(t, name)
	rapid.Check(t, func(rt *rapid.T) {
		set := drawSet(rt)
		data, err := f.Encode(set)
		for _, h := range set.Hosts {
			if spelled(set, h) && len(h.Names) == 0 {
				if r := new(format.RefusedError); !errors.As(err, &r) {
					rt.Fatalf("%s cannot be written, and the error is %v", h.Pattern, err)
				}
				return
			}
		}
		if err != nil {
			rt.Fatal(err)
		}
		if again, _ := f.Encode(set); !bytes.Equal(data, again) {
			rt.Fatal("written twice, a set gave two files")
		}
		found, rules, err := format.Detect(data)
		if err != nil || found.Name != name {
			rt.Fatalf("detected as %q: %v\n%s", found.Name, err, data)
		}

		hosts := []string{"unrelated.test", "test", "uk", "co.uk"}
		for _, h := range set.Hosts {
			n := h.Pattern.Name
			hosts = append(hosts, n, "a."+n, "known."+n, "other."+n, "a.a."+n, "x"+n)
			hosts = append(hosts, h.Names...)
		}
		var chain []pins.Pin
		for _, n := range rapid.SliceOfN(rapid.IntRange(0, 9), 1, 3).Draw(rt, "chain") {
			chain = append(chain, pin(n))
		}
		for _, h := range hosts {
			want := pinsFor(set, h, func(h pins.HostSet) bool { return spelled(set, h) })
			got := rules.Requirements(h, asOf)
			if diff := cmp.Diff(sorted(want), sorted(pins.AllPins(got))); diff != "" {
				rt.Fatalf("%s (-want +got):\n%s\n%s", h, diff, data)
			}
			accepted := pins.Accepts(got, pins.Chain{Pins: chain})
			if wanted := want == nil || accept(set.Role, want, chain); accepted != wanted {
				rt.Fatalf("%s: the chain %v: accepted %v, want %v\n%s", h, chain, accepted, wanted, data)
			}
			if !rules.Ends(h).IsZero() {
				rt.Fatalf("%s: pins end at %v", h, rules.Ends(h))
			}
		}
	})
}

// always is for checkProperty in a format without patterns for one level.
func always(_ pins.Set, h pins.HostSet) bool { return h.Pattern.Reach == pins.OneBelow }

// anywhere accepts a chain in which one of the pins stands.
func anywhere(_ pins.Role, want, chain []pins.Pin) bool {
	return slices.ContainsFunc(chain, func(p pins.Pin) bool { return slices.Contains(want, p) })
}

func sorted(ps []pins.Pin) []string {
	out := []string{}
	for _, p := range ps {
		out = append(out, p.String())
	}
	slices.Sort(out)
	return out
}
