package ctwatch_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
)

// A sighting adds what was unknown, and replaces nothing but the fingerprint
// of a final certificate that is better proven.
func TestMerge(t *testing.T) {
	one, two := ctwatch.Hash{1}, ctwatch.Hash{2}
	match := func(name string) ctwatch.Match { return ctwatch.Match{Watch: "w", Name: name, Domain: "d"} }
	for name, c := range map[string]struct {
		c, more ctwatch.Certificate
		final   bool
		want    ctwatch.Certificate
		changed bool
		matches []ctwatch.Match
	}{
		"nothing new": {
			c:    ctwatch.Certificate{Issuer: ctwatch.Issuer{Name: "CN=A", CAA: "a"}, Problems: []string{"p"}, Matches: []ctwatch.Match{match("a")}},
			more: ctwatch.Certificate{Issuer: ctwatch.Issuer{Name: "CN=B", CAA: "b"}, Problems: []string{"p"}, Matches: []ctwatch.Match{match("a")}},
			want: ctwatch.Certificate{Issuer: ctwatch.Issuer{Name: "CN=A", CAA: "a"}, Problems: []string{"p"}, Matches: []ctwatch.Match{match("a")}},
		},
		"an issuer's name": {
			more:    ctwatch.Certificate{Issuer: ctwatch.Issuer{Name: "CN=B", CAA: "b"}},
			want:    ctwatch.Certificate{Issuer: ctwatch.Issuer{Name: "CN=B", CAA: "b"}},
			changed: true,
		},
		"the final certificate": {
			c:       ctwatch.Certificate{Fingerprints: ctwatch.Fingerprints{Certificate: &one, Precertificate: &one}},
			more:    ctwatch.Certificate{Fingerprints: ctwatch.Fingerprints{Certificate: &two, Precertificate: &two}},
			final:   true,
			want:    ctwatch.Certificate{Fingerprints: ctwatch.Fingerprints{Certificate: &two, Precertificate: &one}},
			changed: true,
		},
		"another final certificate": {
			c:    ctwatch.Certificate{Fingerprints: ctwatch.Fingerprints{Certificate: &one}},
			more: ctwatch.Certificate{Fingerprints: ctwatch.Fingerprints{Certificate: &two}},
			want: ctwatch.Certificate{Fingerprints: ctwatch.Fingerprints{Certificate: &one}},
		},
		"a precertificate": {
			more:    ctwatch.Certificate{Fingerprints: ctwatch.Fingerprints{Precertificate: &two}},
			want:    ctwatch.Certificate{Fingerprints: ctwatch.Fingerprints{Precertificate: &two}},
			changed: true,
		},
		"problems of an issuer that is proven": {
			c:       ctwatch.Certificate{Issuer: ctwatch.Issuer{Proven: true}, Problems: []string{ctwatch.ProblemNoIssuer, "p", ctwatch.ProblemUnproven + "why"}},
			want:    ctwatch.Certificate{Issuer: ctwatch.Issuer{Proven: true}, Problems: []string{"p"}},
			changed: true,
		},
		"more matches, each once": {
			c:       ctwatch.Certificate{Matches: []ctwatch.Match{match("a")}},
			more:    ctwatch.Certificate{Matches: []ctwatch.Match{match("b"), match("a"), match("b")}},
			want:    ctwatch.Certificate{Matches: []ctwatch.Match{match("a"), match("b")}},
			matches: []ctwatch.Match{match("b")},
		},
	} {
		got := c.c
		changed, matches := got.Merge(&c.more, c.final)
		if len(matches) == 0 {
			matches = nil
		}
		if changed != c.changed {
			t.Errorf("%s: changed %v", name, changed)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(c.matches, matches); diff != "" {
			t.Errorf("%s: matches (-want +got):\n%s", name, diff)
		}
	}
}

// What begins is in the order given, each once.
func TestCompareConditions(t *testing.T) {
	holds := func(app, what string) ctwatch.Condition {
		return ctwatch.Condition{Kind: ctwatch.PinMissing, App: app, What: what}
	}
	old, gone := holds("a", "1"), holds("a", "2")
	begun, ended := ctwatch.CompareConditions([]ctwatch.ConditionKey{old.Key(), gone.Key()},
		[]ctwatch.Condition{holds("b", "1"), old, holds("a", "3"), holds("b", "1"), holds("a", "\xff")})
	var keys []ctwatch.ConditionKey
	for _, c := range begun {
		keys = append(keys, c.Key())
	}
	want := []ctwatch.ConditionKey{
		{Kind: ctwatch.PinMissing, App: "b", What: "1"}, {Kind: ctwatch.PinMissing, App: "a", What: "3"}, {Kind: ctwatch.PinMissing, App: "a", What: "\uFFFD"},
	}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("begun (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]ctwatch.ConditionKey{gone.Key()}, ended); diff != "" {
		t.Errorf("ended (-want +got):\n%s", diff)
	}
}
