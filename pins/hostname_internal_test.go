package pins

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestCanonicalHostAgrees: CanonicalHost accepts the names that the reader of all names
// returns as they are, but for those with punycode.
func TestCanonicalHostAgrees(t *testing.T) {
	seen := map[bool]int{}
	piece := rapid.SampledFrom([]string{
		"a", "b1", "-", "_", ".", ".", "com", "ip", "7", "192.0.2.", "xn--", "xn--bcher-kva", "A", "ü", "*", "/", "@", ":", " ", strings.Repeat("x", 62), strings.Repeat("y.", 120),
	})
	rapid.Check(t, func(t *rapid.T) {
		s := strings.Join(rapid.SliceOfN(piece, 0, 6).Draw(t, "pieces"), "")
		host, err := canonicalHost(s)
		want := err == nil && host == s && !strings.HasPrefix(s, "xn--") && !strings.Contains(s, ".xn--")
		if got := CanonicalHost(s); got != want {
			t.Errorf("CanonicalHost(%q) is %v; it is read as %q, %v", s, got, host, err)
		}
		if CanonicalHost(s) != CanonicalHost([]byte(s)) {
			t.Errorf("%q as bytes differs", s)
		}
		seen[want]++
	})
	if seen[true] < 5 || seen[false] < 5 {
		t.Errorf("the test tests little: %v", seen)
	}
}
