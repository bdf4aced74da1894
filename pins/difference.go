package pins

import (
	"slices"
	"time"
)

// A Difference is what two releases of an app require differently of a host.
type Difference struct {
	Host   Pattern
	Lost   []Pin // in the first alone
	Gained []Pin // in the second alone
	// Moved reports that the pins are the same, and are compared with other certificates of
	// the chain.
	Moved bool
	// WasEnd and End are when the pins end; zero for never.
	WasEnd, End time.Time
}

// Ends reports whether the pins end at another time than before.
func (d *Difference) Ends() bool { return !d.WasEnd.Equal(d.End) }

// Differences returns what rules require differently of hosts, and of the hosts that either
// names, whether or not their pins have ended.
func Differences(old, rules Rules, hosts []Pattern) []Difference {
	var out []Difference
	seen := make(map[Pattern]bool)
	for _, p := range slices.Concat(hosts, old.Patterns(), rules.Patterns()) {
		if seen[p] {
			continue
		}
		seen[p] = true
		if d := difference(old, rules, p); len(d.Lost)+len(d.Gained) > 0 || d.Moved || d.Ends() {
			out = append(out, d)
		}
	}
	return out
}

func difference(old, rules Rules, p Pattern) Difference {
	host := p.Name
	if p.Reach == OneBelow {
		host = "any-host." + p.Name
	}
	was, is := old.Requirements(host, time.Time{}), rules.Requirements(host, time.Time{})
	before, after := AllPins(was), AllPins(is)
	d := Difference{Host: p, WasEnd: old.Ends(host), End: rules.Ends(host)}
	without := func(list, others []Pin) []Pin {
		return slices.DeleteFunc(slices.Clone(list), func(p Pin) bool { return slices.Contains(others, p) })
	}
	d.Lost, d.Gained = without(before, after), without(after, before)
	d.Moved = len(d.Lost)+len(d.Gained) == 0 &&
		!slices.EqualFunc(was, is, func(a, b Requirement) bool { return a.At == b.At && len(a.Pins) == len(b.Pins) })
	return d
}
