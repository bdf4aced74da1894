package pins_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"ctwatch/pins"
)

// A set covers what one of its patterns covers, whatever the names look like.
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
