package ctlog_test

import (
	"maps"
	"slices"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
)

// Logs share a rate by operator, and by host if the operator is unknown.
func TestPacesGroupLogsByOperator(t *testing.T) {
	p := ctlog.NewPaces(3)
	for _, l := range []ctwatch.Log{
		{Operator: "Example", URL: "https://a.example/2026h1/"},
		{Operator: "Example", URL: "https://b.example/2026h2/"},
		{URL: "https://log.example/2026h1/"},
		{URL: "https://log.example/2026h2/"},
		{URL: "https://other.example/"},
		{URL: "file:///var/lib/log/"},
	} {
		if one, other := p.Log(l), p.Log(l); one == other {
			t.Errorf("%s: two callers share one LogPace", l.URL)
		}
	}
	want := []string{"Example", "file:///var/lib/log/", "log.example", "other.example"}
	rates := p.Rates()
	if got := slices.Sorted(maps.Keys(rates)); !slices.Equal(got, want) {
		t.Errorf("rates of %q, want %q", got, want)
	}
	for operator, rate := range rates {
		if rate != 3 {
			t.Errorf("%s: %v requests per second, want at most 3", operator, rate)
		}
	}
}
