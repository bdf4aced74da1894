package watchlist

import (
	"strings"
	"testing"
)

// TestListsAreBounded: a list has at most MaxRules rules.
func TestListsAreBounded(t *testing.T) {
	l := empty()
	l.parts = []Part{{Name: "f", Text: []byte("a.example\nb.example\nc.example\n")}}
	l.count = MaxRules - 1
	if err := l.readText(0, 0, 30); err == nil || !strings.HasPrefix(err.Error(), "f:2:1: the watch list has more than 10000000 names") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error: %v", err)
	}
}
