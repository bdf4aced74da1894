package format

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ctwatch/pins"
)

// oneHost is a set for a single host.
func oneHost(role pins.Role, list ...pins.Pin) pins.Set {
	return pins.Set{
		App: "shop", Role: role, Plan: "5f", AsOf: asOf,
		Hosts: []pins.HostSet{{Pattern: pins.Pattern{Name: "api.example.com"}, Pins: list}},
	}
}

func TestCurlWritesTheGoldenFile(t *testing.T) {
	// Both hosts of the sample have the same pins, in another order.
	data, err := encodeCurl(sampleSet(t, pins.RoleLeaf))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "curl/shop.txt", data)
}

func TestCurlRefusesWhatItCannotExpress(t *testing.T) {
	two := oneHost(pins.RoleLeaf, testPin(0))
	two.Hosts = append(two.Hosts, pins.HostSet{Pattern: pins.Pattern{Name: "img.example.com"}, Pins: []pins.Pin{testPin(1)}})
	for name, tt := range map[string]struct {
		set  pins.Set
		want string
	}{
		"pins of issuers": {oneHost(pins.RoleIssuer, testPin(0)), "compare only the leaf's key"},
		"two hosts":       {two, "api.example.com and img.example.com have different pins; write one value for each host with --host"},
		"no pins":         {oneHost(pins.RoleLeaf), "has no pins"},
	} {
		_, err := encodeCurl(tt.set)
		var refused *RefusedError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

func TestCurlComparesTheLeafOfEveryHost(t *testing.T) {
	a, b := testPin(0), testPin(1)
	data, err := encodeCurl(oneHost(pins.RoleLeaf, a, b))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := decodeCurl(data)
	if err != nil {
		t.Fatal(err)
	}
	asked := rules.Requirements("any.test", asOf)
	if !pins.Accepts(asked, pins.Chain{Pins: []pins.Pin{b, testPin(2)}}) || pins.Accepts(asked, pins.Chain{Pins: []pins.Pin{testPin(2), a}}) {
		t.Errorf("%v does not ask for the leaf", asked)
	}
}

// TestCurlValuesThatNeverMatch: values that would never match are errors.
func TestCurlValuesThatNeverMatch(t *testing.T) {
	for name, tt := range map[string]struct{ data, want string }{
		"empty":                  {"", "1:1: want"},
		"one slash":              {textA, "1:1: want"},
		"a space":                {"sha256//" + textA[7:] + "; sha256//" + textB[7:], "1:54: want"},
		"a semicolon at the end": {"sha256//" + textA[7:] + ";", "1:54: want"},
		"a file's name":          {"key.pem", "1:1: want"},
		"unpadded":               {"sha256//" + strings.TrimRight(textA[7:], "="), "1:1: the pin"},
		"a second line":          {"sha256//" + textA[7:] + "\nsha256//" + textB[7:], "1:1: the pin"},
	} {
		_, err := decodeCurl([]byte(tt.data))
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

func TestCurlKeepsTheSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := drawSet(t)
		data, err := encodeCurl(set)
		var refused *RefusedError
		if errors.As(err, &refused) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		rules, err := decodeCurl(data)
		if err != nil {
			t.Fatal(err)
		}
		chain := drawChain(t)
		for _, h := range set.Hosts {
			want := pins.Requirement{At: pins.AtLeaf, Pins: h.Pins}.MetBy(chain)
			if got := pins.Accepts(rules.Requirements(h.Pattern.Name, asOf), chain); got != want {
				t.Fatalf("%s accepts %v: %v", data, chain, got)
			}
		}
	})
}

func FuzzDecodeCurl(f *testing.F) {
	f.Add([]byte("sha256//" + textA[7:] + ";sha256//" + textB[7:] + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) { checkDecoded(t, decodeCurl, data) })
}
