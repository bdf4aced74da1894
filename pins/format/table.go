package format

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"ctwatch/pins"
)

// A table is the rules of a client that asks each host for one of a list of pins, without
// end. The requirements of each pattern are prepared, since plans ask for many hosts.
type table struct {
	asked    map[pins.Pattern][]pins.Requirement
	patterns []pins.Pattern
}

// newTable returns the rules of hosts whose pins are compared at a position. Of the entries
// that match a host, a client that unites uses the pins of all, any other client those of
// the most specific entry. Duplicate patterns are united.
func newTable(at pins.Position, hosts []hostPins, unites bool) *table {
	own := make(map[pins.Pattern][]pins.Pin, len(hosts))
	for _, h := range hosts {
		own[h.Pattern] = append(own[h.Pattern], h.Pins...)
	}
	t := &table{asked: make(map[pins.Pattern][]pins.Requirement, len(own))}
	for p := range own {
		t.patterns = append(t.patterns, p)
		t.ask(at, own, p, unites)
		if p.Reach == pins.AllBelow {
			// The name itself may have a pattern for one level above it, too.
			t.ask(at, own, pins.Pattern{Name: p.Name}, unites)
		}
	}
	slices.SortFunc(t.patterns, comparePatterns)
	return t
}

// Listed returns the rules of a bare list of pins by host: any pin may match anywhere in
// the chain, and only the most specific entry of a host applies.
func Listed(of map[pins.Pattern][]pins.Pin) pins.Rules {
	var hosts []hostPins
	for p, list := range of {
		hosts = append(hosts, hostPins{p, list})
	}
	return newTable(pins.Anywhere, hosts, false)
}

// ask prepares the requirements of the hosts for which p is the narrowest pattern.
func (t *table) ask(at pins.Position, own map[pins.Pattern][]pins.Pin, p pins.Pattern, unites bool) {
	var all []pins.Pin
	for q := range covering(p) {
		all = append(all, own[q]...)
		if !unites && len(all) > 0 {
			break
		}
	}
	t.asked[p] = []pins.Requirement{{At: at, Pins: distinct(all)}}
}

// covering yields the patterns that cover p, the narrowest first.
func covering(p pins.Pattern) func(yield func(pins.Pattern) bool) {
	return func(yield func(pins.Pattern) bool) {
		if p.Reach == pins.Exact {
			if !yield(p) {
				return
			}
			_, parent, ok := strings.Cut(p.Name, ".")
			if ok && !yield(pins.Pattern{Name: parent, Reach: pins.OneBelow}) {
				return
			}
		}
		if p.Reach == pins.OneBelow && !yield(p) {
			return
		}
		for name, ok := p.Name, true; ok; _, name, ok = strings.Cut(name, ".") {
			if !yield(pins.Pattern{Name: name, Reach: pins.AllBelow}) {
				return
			}
		}
	}
}

func (t *table) Requirements(host string, _ time.Time) []pins.Requirement {
	for p := range covering(pins.Pattern{Name: host}) {
		if asked, ok := t.asked[p]; ok {
			return asked
		}
	}
	return nil
}

func (t *table) Ends(string) time.Time { return time.Time{} }

func (t *table) Patterns() []pins.Pattern { return t.patterns }

// subtree returns the pattern of a name, with all names below it or without.
func subtree(name string, below bool) pins.Pattern {
	if below {
		return pins.Pattern{Name: name, Reach: pins.AllBelow}
	}
	return pins.Pattern{Name: name}
}

// comparePatterns orders patterns by name, then the narrowest first.
func comparePatterns(a, b pins.Pattern) int {
	return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.Reach, b.Reach))
}
