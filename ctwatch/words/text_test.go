package words_test

import (
	"testing"

	"ctwatch/ctwatch/words"
)

// A number goes with the right form of its word.
func TestPlural(t *testing.T) {
	for n, want := range map[int]string{0: "0 keys", 1: "1 key", 2: "2 keys"} {
		if got := words.Count(n, "key"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A list reads as in a sentence.
func TestList(t *testing.T) {
	for want, list := range map[string][]string{"": nil, "a": {"a"}, "a and b": {"a", "b"}, "a, b and c": {"a", "b", "c"}} {
		if got := words.List(list); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
