package watchlist_test

import (
	"fmt"
	"slices"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/watchlist"
)

// More matches than are kept, all of one rule, hide no other rule's.
func TestManyMatchesHideNoRule(t *testing.T) {
	l := watchlist.New(rules(t, ".bank.test", ".shop.example"))
	var names []string
	for i := range 70_000 {
		names = append(names, fmt.Sprintf("h%d.shop.example", i))
	}
	names = append(names, "www.bank.test", "ftp.bank.test")
	got := l.Matches(names)
	want := ctwatch.Match{Watch: ".bank.test", Name: "www.bank.test", Domain: "bank.test"}
	if len(got) != 1<<16+1 || got[0] != want {
		t.Errorf("%d matches, the first %+v: want %d, and %+v", len(got), got[0], 1<<16+1, want)
	}
}

// Names that take long to compare with the watch list hide none that come after them.
func TestSlowNamesHideNoName(t *testing.T) {
	lines := []string{"www.bank.test"}
	for i := range 2_000 {
		lines = append(lines, fmt.Sprintf("d%d.example", i))
	}
	names := slices.Repeat([]string{"*x*y*.example"}, 4_000)
	names = append(names, "*.bank.test")
	got := watchlist.New(rules(t, lines...)).Matches(names)
	if len(got) != 1 || got[0].Name != "*.bank.test" {
		t.Errorf("matches: %+v", got)
	}
}

// What it costs to match many names is in proportion to how many they are.
func TestMatchesAllocatesLittle(t *testing.T) {
	l := watchlist.New(rules(t, ".shop.example"))
	var names []string
	for i := range 60_000 {
		names = append(names, fmt.Sprintf("h%d.shop.example", i))
	}
	if n := testing.AllocsPerRun(1, func() { l.Matches(names) }); n > 2_000 {
		t.Errorf("%v allocations for %d names", n, len(names))
	}
}
