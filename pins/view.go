package pins

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Facts are the known keys and certificates, and what servers serve, at one moment: all
// that a plan needs besides the app.
type Facts struct {
	Now    time.Time
	Keys   []Key
	Served []Served
	Issued []Issued
	// Above has what may follow an issuer's key in the chains that clients build, up
	// to a trusted root: several where CAs are cross-signed. Optional.
	Above map[Pin][]Chain
	// Unprobed reports whether probing of a pattern's hosts is turned off. Optional.
	Unprobed func(Pattern) bool
}

// An Issued is a certificate that a log has and that has not ended: one that may
// be deployed.
type Issued struct {
	ID        string    // in hex
	Names     []Pattern // Exact or OneBelow
	Chain     Chain     // of the leaf and, if known, its issuer; Open
	NotBefore time.Time
	NotAfter  time.Time
	FirstSeen time.Time
	Expected  bool // a person, or a rule, expects it
	Rejected  bool // a person, or a rule, says that it should not exist: it will not be deployed
}

// A View is facts indexed by host, for plans. It does not change, and may be used
// concurrently.
type View struct {
	now time.Time

	keys   map[Pin]roles
	scopes map[Pattern][]*Key // trusted keys by the patterns they are approved for

	served   map[string][]*Served // by host
	children map[string][]string  // hosts one label below a name, sorted
	tails    map[Pin][]Chain      // what may follow an issuer's key, up to a trust anchor where one is known

	issued          map[Pattern][]*Issued // by the names in them
	issuedFor       map[Pin][]*Issued     // by the leaf's pin
	rejectedCert    map[string]bool       // IDs of rejected certificates
	compromisedKeys []*Key                // compromised ones
	unprobed        func(Pattern) bool    // of Facts
}

// A roles is the keys with one pin, by role; nil for a role without one.
type roles struct{ leaf, issuer *Key }

func (r roles) in(role Role) *Key {
	if role == RoleIssuer {
		return r.issuer
	}
	return r.leaf
}

// NewView indexes facts, which must not change afterwards.
func NewView(f *Facts) *View {
	v := &View{
		now: f.Now, unprobed: f.Unprobed, keys: make(map[Pin]roles, len(f.Keys)), scopes: make(map[Pattern][]*Key, len(f.Keys)),
		served: make(map[string][]*Served, len(f.Served)), children: make(map[string][]string), tails: make(map[Pin][]Chain),
		issued: make(map[Pattern][]*Issued, len(f.Issued)), issuedFor: make(map[Pin][]*Issued, len(f.Issued)), rejectedCert: make(map[string]bool),
	}
	for i := range f.Keys {
		k := &f.Keys[i]
		r := v.keys[k.Pin]
		if k.Role == RoleIssuer {
			r.issuer = k
		} else {
			r.leaf = k
		}
		v.keys[k.Pin] = r
		if k.State == StateCompromised {
			v.compromisedKeys = append(v.compromisedKeys, k)
		}
		if k.State.Trusted() && k.Pin.Check() == nil {
			for _, p := range k.ApprovedFor {
				v.scopes[p] = append(v.scopes[p], k)
			}
		}
	}
	for i := range f.Served {
		s := &f.Served[i]
		if len(v.served[s.Host]) == 0 {
			if _, parent, ok := strings.Cut(s.Host, "."); ok {
				v.children[parent] = append(v.children[parent], s.Host)
			}
		}
		v.served[s.Host] = append(v.served[s.Host], s)
		for j := 1; j < len(s.Chain.Pins); j++ {
			v.addTail(s.Chain.Pins[j], Chain{Pins: s.Chain.Pins[j+1:], Open: s.Chain.Open})
		}
	}
	for issuer, tails := range f.Above {
		for _, tail := range tails {
			v.addTail(issuer, tail)
		}
	}
	for _, hosts := range v.children {
		slices.Sort(hosts)
	}
	for i := range f.Issued {
		c := &f.Issued[i]
		for _, name := range c.Names {
			v.issued[name] = append(v.issued[name], c)
		}
		if c.Rejected {
			v.rejectedCert[c.ID] = true
		}
		if leaf := c.Chain.Leaf(); !leaf.IsZero() {
			v.issuedFor[leaf] = append(v.issuedFor[leaf], c)
		}
	}
	return v
}

// Key returns the key with a pin in a role; nil if it is not known.
func (v *View) Key(p Pin, r Role) *Key { return v.keys[p].in(r) }

// anyKey returns the key with a pin in whichever role it is known.
func (v *View) anyKey(p Pin) *Key {
	r := v.keys[p]
	if r.leaf != nil {
		return r.leaf
	}
	return r.issuer
}

// Hosts returns the known hosts that a pattern stands for: itself, or those that were
// probed. Sorted.
func (v *View) Hosts(p Pattern) []string {
	switch p.Reach {
	case Exact:
		return []string{p.Name}
	case OneBelow:
		return v.children[p.Name]
	}
	return nil
}

// A target is one pattern of an app, with its hosts: without those that the app names
// themselves.
type target struct {
	Pattern
	hosts  []string // known ones, sorted
	served []*Served
}

func (v *View) target(app *App, p Pattern) target {
	t := target{Pattern: p, hosts: v.Hosts(p)}
	if p.Reach != Exact {
		t.hosts = slices.DeleteFunc(slices.Clone(t.hosts), func(h string) bool { return slices.Contains(app.Hosts, Pattern{Name: h}) })
	}
	for _, h := range t.hosts {
		t.served = append(t.served, v.served[h]...)
	}
	return t
}

// orSample returns the known hosts, or a made-up one if there are none.
func (t *target) orSample() []string {
	if len(t.hosts) > 0 {
		return t.hosts
	}
	return []string{"any-host." + t.Name}
}

// keys lists the keys in a role that are served, sorted.
func (t *target) keys(r Role) []Pin { return keysOf(t.served, r) }

func keysOf(served []*Served, r Role) []Pin {
	var out []Pin
	for _, s := range served {
		if pin := s.Chain.Of(r); !pin.IsZero() {
			out = append(out, pin)
		}
	}
	return sortedPins(out)
}

// inChains reports whether a pin is anywhere in the chains that are served.
func inChains(served []*Served, p Pin) bool {
	return slices.ContainsFunc(served, func(s *Served) bool { return s.Chain.Contains(p) })
}

// Trusted returns the key with a pin in a role if it is trusted for a pattern's
// hosts, every one of them: nil otherwise.
func (v *View) Trusted(pin Pin, r Role, p Pattern) *Key {
	k := v.Key(pin, r)
	if k == nil || !k.State.Trusted() || pin.Check() != nil || !slices.ContainsFunc(k.ApprovedFor, func(a Pattern) bool { return a.Covers(p) }) {
		return nil
	}
	return k
}

// TrustedFor lists the keys in a role that are trusted for a pattern's hosts, by
// their pins.
func (v *View) TrustedFor(p Pattern, r Role) []*Key {
	var out []*Key
	add := func(at Pattern) {
		for _, k := range v.scopes[at] {
			if k.Role == r && !slices.Contains(out, k) {
				out = append(out, k)
			}
		}
	}
	add(p)
	if p.Reach != OneBelow {
		if _, parent, ok := strings.Cut(p.Name, "."); ok {
			add(Pattern{parent, OneBelow})
		}
	}
	for name, ok := p.Name, true; ok; _, name, ok = strings.Cut(name, ".") {
		add(Pattern{name, AllBelow})
	}
	slices.SortFunc(out, func(a, b *Key) int { return slices.Compare(a.Pin[:], b.Pin[:]) })
	return out
}

// belongs reports whether a trusted key should be among the pins of a pattern's hosts:
// because it comes next, is served, or stays for a rollback. A key that is or was used
// elsewhere, and is approved for these hosts only as part of a domain, should not: hosts
// with different keys share no pins.
func (v *View) belongs(app *App, k *Key, t *target) bool {
	switch {
	case v.isCompromised(k.Pin):
		return false
	case k.State == StateRetiring:
		if v.rollback(app, t, k).IsZero() {
			return false
		}
	case !k.State.Coming():
		return false
	case k.State != StateDeployed:
		return true
	}
	if slices.Contains(k.ApprovedFor, t.Pattern) || k.Role == RoleIssuer || slices.Contains(t.keys(k.Role), k.Pin) {
		return true
	}
	return slices.ContainsFunc(v.issuedFor[k.Pin], func(c *Issued) bool { return !c.Rejected && namesCover(c.Names, t.Pattern) })
}

// namesCover reports whether a certificate with names is good for a host of a
// pattern.
func namesCover(names []Pattern, p Pattern) bool {
	return slices.ContainsFunc(names, func(n Pattern) bool { return n.Covers(p) || p.Covers(n) })
}

// addTail records what may follow an issuer's key in a chain. A tail that ends at a trust
// anchor replaces open ones; of open ones, the longest is kept.
func (v *View) addTail(issuer Pin, tail Chain) {
	old := v.tails[issuer]
	switch {
	case len(old) == 0 || old[0].Open && (!tail.Open || len(old[0].Pins) < len(tail.Pins)):
		v.tails[issuer] = []Chain{tail}
	case old[0].Open || tail.Open || slices.ContainsFunc(old, func(c Chain) bool { return slices.Equal(c.Pins, tail.Pins) }):
	default:
		v.tails[issuer] = append(old, tail)
	}
}

// completions returns the chains that an open one may be part of, by what is known to
// follow its last key: several if the CA is cross-signed.
func (v *View) completions(c Chain) []Chain {
	if !c.Open || len(c.Pins) < 2 {
		return []Chain{c}
	}
	tails := v.tails[c.Pins[len(c.Pins)-1]]
	if len(tails) == 0 {
		return []Chain{c}
	}
	out := make([]Chain, len(tails))
	for i, tail := range tails {
		out[i] = c
		out[i].Pins, out[i].Open, out[i].Root = append(slices.Clip(c.Pins), tail.Pins...), tail.Open, tail.Root
	}
	return out
}

// accepts reports whether a chain meets requirements, and so does each chain that it may be
// part of, since clients may build any of them.
func (v *View) accepts(rs []Requirement, c Chain) bool {
	return !slices.ContainsFunc(v.completions(c), func(full Chain) bool { return !Accepts(rs, v.withAlgorithms(rs, full)) })
}

// withAlgorithms adds the algorithms of a chain's keys where requirements depend on them.
func (v *View) withAlgorithms(rs []Requirement, c Chain) Chain {
	if !slices.ContainsFunc(rs, func(r Requirement) bool { return r.Algorithms != nil }) {
		return c
	}
	all := make([]string, len(c.Pins))
	for i, p := range c.Pins {
		all[i] = cmp.Or(c.algorithm(i), v.algorithm(p))
	}
	c.Algorithms = all
	return c
}

// algorithm returns the algorithm of the key with a pin; "" if it is not known.
func (v *View) algorithm(p Pin) string {
	r := v.keys[p]
	for _, k := range []*Key{r.leaf, r.issuer} {
		if k != nil && k.Algorithm != "" {
			return k.Algorithm
		}
	}
	return ""
}

// coming returns the certificates that may be deployed next at a target's hosts, the newest
// last: those that are not served there, and were not issued before the oldest one that is.
func (v *View) coming(t *target) []*Issued {
	p, served := t.Pattern, t.served
	var oldest time.Time
	here := make(map[string]bool, len(served))
	named := len(served) > 0 // every certificate that is served has the host's own name
	for i, s := range served {
		if i == 0 || s.NotBefore.Before(oldest) {
			oldest = s.NotBefore
		}
		here[s.ID] = true
		named = named && s.Named
	}
	var out []*Issued
	consider := func(names ...Pattern) {
		for _, name := range names {
			for _, c := range v.issued[name] {
				if here[c.ID] || c.Rejected || !c.NotAfter.IsZero() && !c.NotAfter.After(v.now) || len(served) > 0 && c.NotBefore.Before(oldest) || slices.Contains(out, c) {
					continue
				}
				if k := v.Key(c.Chain.Leaf(), RoleLeaf); k != nil && notDeployedAgain(k, served) {
					continue // it is not going to be deployed
				}
				out = append(out, c)
			}
		}
	}
	consider(p)
	if p.Reach == OneBelow {
		for _, h := range t.hosts {
			consider(Pattern{h, Exact})
		}
	} else if _, parent, ok := strings.Cut(p.Name, "."); ok && !named {
		// A new wildcard certificate may replace another by which the host is
		// served. Where it has a certificate of its own, the wildcard is for others.
		consider(Pattern{parent, OneBelow})
	}
	slices.SortStableFunc(out, func(a, b *Issued) int {
		return cmp.Or(a.NotBefore.Compare(b.NotBefore), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// notDeployedAgain reports whether certificates for a leaf key will not be deployed where
// other keys are served: plans drop its pin.
func notDeployedAgain(k *Key, served []*Served) bool {
	switch k.State {
	case StateRetired, StateCompromised:
		return true
	case StateRetiring: // one that is served still may be renewed once more
		return !inChains(served, k.Pin)
	}
	return false
}

// sortedPins sorts pins, each once.
func sortedPins(ps []Pin) []Pin {
	slices.SortFunc(ps, func(a, b Pin) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(ps)
}
