package pins

import (
	"slices"
	"strings"
	"time"
)

// A Scope is what a View is asked about. A store may have a million keys and certificates,
// and a plan depends on the few that concern the hosts and pins of apps.
type Scope struct {
	Apps   []App   // their plans, pin sets, documents, and gates
	Rules  []Rules // optional: other rules for the hosts of the apps, as of a file that is checked
	Chains []Chain // optional: those of certificates that are about to be served
	Pins   []Pin   // optional: other keys
	// Above returns what may follow an issuer's key, as Facts.Above has it. Optional.
	Above func(issuer Pin) []Chain
}

// A Source has all facts, and returns those that it is asked for, and perhaps more.
type Source interface {
	// Served returns what all endpoints serve.
	Served() ([]Served, error)
	// Granted returns the pins of the keys, trusted or not, that were granted one of some
	// patterns.
	Granted(patterns []Pattern) ([]Pin, error)
	// Keys returns the keys of some pins, in each role, and all compromised ones, the oldest
	// first. Of Hosts it has those of compromised keys that cover or lie in one of some
	// patterns, and of Certificates, for a leaf key with any, at least one.
	Keys(pins []Pin, about []Pattern) ([]Key, error)
	// Issued returns the certificates that have not ended with one of some names, of some
	// leaf keys, or with one of some IDs, in the order in which they were found.
	Issued(names []Pattern, leaves []Pin, ids []string) ([]Issued, error)
}

// An Interest is what facts within a Scope depend on. It does not change.
type Interest struct {
	Revision int64 // of the store, when the facts were read; optional

	names  PatternSet // of certificates
	grants PatternSet // of keys
	pins   map[Pin]bool
	ids    map[string]bool // of certificates that are served
	used   map[Pin]bool    // keys that are served anywhere: their states follow (Settle)
}

// Gather reads the facts within a scope, as of a time: those from which a View answers as it
// would from all facts.
func Gather(src Source, s Scope, now time.Time) (f Facts, in *Interest, err error) {
	f = Facts{Now: now, Above: make(map[Pin][]Chain)}
	g := gathering{
		Interest: &Interest{names: make(PatternSet), grants: make(PatternSet), pins: make(map[Pin]bool), ids: make(map[string]bool), used: make(map[Pin]bool)},
		scope:    s, above: f.Above,
	}
	if f.Served, err = src.Served(); err != nil {
		return f, nil, err
	}
	for i := range f.Served {
		for _, p := range f.Served[i].Chain.Pins {
			g.used[p] = true
		}
	}
	g.view = NewView(&f)
	for i := range s.Apps {
		for _, p := range s.Apps[i].Hosts {
			g.addHosts(&s.Apps[i], p)
		}
	}
	g.addExpiring(f.Served)
	for _, c := range s.Chains {
		g.addChain(c)
	}
	g.addPins(s.Pins)

	coming, err := src.Issued(keysOfMap(g.names), nil, nil)
	if err != nil {
		return f, nil, err
	}
	for i := range coming {
		g.addChain(coming[i].Chain)
	}
	granted, err := src.Granted(keysOfMap(g.grants))
	if err != nil {
		return f, nil, err
	}
	g.addPins(granted)
	if f.Keys, err = src.Keys(keysOfMap(g.pins), g.about); err != nil {
		return f, nil, err
	}
	for i := range f.Keys { // the compromised ones, too
		g.pins[f.Keys[i].Pin] = true
	}
	f.Issued, err = src.Issued(keysOfMap(g.names), keysOfMap(g.pins), keysOfMap(g.ids))
	return f, g.Interest, err
}

func keysOfMap[K comparable, V any](m map[K]V) []K {
	out := make([]K, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	return out
}

// A gathering finds out what facts depend on.
type gathering struct {
	*Interest
	scope Scope
	view  *View // of what is served, and above it
	above map[Pin][]Chain
	about []Pattern // hosts of apps
}

// addHosts adds what answers about a pattern of an app depend on.
func (g *gathering) addHosts(app *App, p Pattern) {
	t := g.view.target(app, p)
	g.about = append(g.about, p)
	for _, s := range t.served {
		g.ids[s.ID] = true
		g.addChain(s.Chain)
	}
	for _, h := range t.orSample() {
		for _, ver := range app.Versions {
			g.addPins(AllPins(ver.Rules.Requirements(h, g.view.now)))
		}
		for _, r := range g.scope.Rules {
			g.addPins(AllPins(r.Requirements(h, g.view.now)))
		}
	}
	// View.coming and View.certificates
	g.names[p] = true
	for _, h := range t.hosts {
		g.addNames(h)
	}
	// View.TrustedFor
	for cover := range covering(p) {
		g.grants[cover] = true
	}
}

// addNames adds the names of certificates that are good for a host.
func (g *gathering) addNames(host string) {
	g.names[Pattern{Name: host}] = true
	if _, parent, ok := strings.Cut(host, "."); ok {
		g.names[Pattern{parent, OneBelow}] = true
	}
}

// addExpiring adds what View.Expiring depends on.
func (g *gathering) addExpiring(served []Served) {
	lead := make(map[string]time.Duration)
	for i := range served {
		s := &served[i]
		if _, ok := lead[s.Host]; !ok {
			lead[s.Host] = longestLead(g.scope.Apps, s.Host)
		}
		if g.view.isExpiring(s, lead[s.Host]) {
			g.addNames(s.Host)
		}
	}
}

// addChain adds the keys of a chain, and of those that it may be part of.
func (g *gathering) addChain(c Chain) {
	if n := len(c.Pins) - 1; c.Open && n > 0 && g.scope.Above != nil {
		issuer := c.Pins[n]
		if _, known := g.above[issuer]; !known {
			g.above[issuer] = g.scope.Above(issuer)
			for _, tail := range g.above[issuer] {
				g.view.addTail(issuer, tail)
			}
		}
	}
	for _, full := range g.view.completions(c) {
		g.addPins(full.Pins)
	}
}

func (g *gathering) addPins(list []Pin) {
	for _, p := range list {
		if !p.IsZero() {
			g.pins[p] = true
		}
	}
}

// covering yields every pattern that covers p.
func covering(p Pattern) func(yield func(Pattern) bool) {
	return func(yield func(Pattern) bool) {
		if !yield(p) {
			return
		}
		if _, parent, ok := strings.Cut(p.Name, "."); ok && p.Reach == Exact && !yield(Pattern{parent, OneBelow}) {
			return
		}
		for name, ok := p.Name, true; ok; _, name, ok = strings.Cut(name, ".") {
			if all := (Pattern{name, AllBelow}); all != p && !yield(all) {
				return
			}
		}
	}
}

// Certificate reports whether a certificate is among the facts, or was, by its ID in hex,
// names and leaf key.
func (in *Interest) Certificate(id string, names []Pattern, leaf Pin) bool {
	return in.pins[leaf] || in.ids[id] || slices.ContainsFunc(names, func(n Pattern) bool { return in.names[n] })
}

// Key reports whether the key of a pin is among the facts, or is served anywhere.
func (in *Interest) Key(pin Pin) bool { return in.pins[pin] || in.used[pin] }

// Grant reports whether a key is among the facts that is granted a pattern.
func (in *Interest) Grant(p Pattern) bool { return in.grants[p] }
