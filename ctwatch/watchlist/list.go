package watchlist

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"iter"
	"slices"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/entry"
	"ctwatch/pins"
)

// A List is an index of rules. It does not change, and is safe for concurrent use.
//
// It is a tree of labels. A search for a name goes from the right, from node to node, until
// there is no node or a rule matches. Each step is one look-up in a hash table.
//
// A label with a wildcard matches as every label that it can stand for; see wildcard.go.
type List struct {
	tree
	parts []Part
	rules []rule // the first is none
	free  uint32 // the first of those that are free; 0 for none
	count int    // of rules that are not free

	unused int   // nodes that no rule needs any more
	v4, v6 []int // the prefix lengths of networks
}

// A rule is where a Rule is: rules are read again when they match.
type rule struct {
	next     uint32 // of the same node, or free; 0 for none
	part, at uint32 // in Part.Rules, or where it begins in Part.Text
}

// order returns a number that orders rules as their parts do.
func (r rule) order() uint64 { return uint64(r.part)<<32 | uint64(r.at) }

// New indexes rules, whose Domain must be canonical (see NewRule).
func New(rules []Rule) *List {
	l, _ := Update(nil, Part{Rules: rules})
	return l
}

// Len returns the number of rules.
func (l *List) Len() int { return l.count }

// Rules yields all rules in order, each with its part.
func (l *List) Rules() iter.Seq2[int, Rule] {
	return func(yield func(int, Rule) bool) {
		for i := range l.parts {
			p := &l.parts[i]
			for _, r := range p.Rules {
				if !yield(i, r) {
					return
				}
			}
			for start, line := range linesOf(p.Text, 0) {
				if at, watch := watchOf(line); len(watch) > 0 && !yield(i, p.rule(start+at)) {
					return
				}
			}
		}
	}
}

// MatchName reports whether a rule matches a name of a certificate, in any of its forms
// (see entry.Candidates). It does not allocate for ordinary names, with or without a
// wildcard as the first label. A name that is an IP address matches rules about addresses
// only.
//
// For names with wildcards or unreadable labels elsewhere the search is bounded: MatchName
// then returns true, and Matches finds out what matches, if anything.
func (l *List) MatchName(name []byte) bool {
	var buf [entry.MaxPlain]byte
	if c, pattern, ok := entry.Plain(&buf, name); ok {
		// Hardly any name ends in a digit, so few are parsed twice.
		if n := len(c); n > 0 && '0' <= c[n-1] && c[n-1] <= '9' {
			if ip, ok := entry.Address(c); ok {
				return l.watches(ip)
			}
		}
		return l.matchPlain(c, pattern)
	}
	found := false
	entry.Candidates(name, func(c []byte) { found = found || l.matchForm(c) })
	return found
}

// matchForm matches a canonical name or address.
func (l *List) matchForm(c []byte) bool {
	if ip, ok := entry.Address(c); ok {
		return l.watches(ip)
	}
	return l.matchPattern(c)
}

// matchPlain matches a canonical name of plain characters.
func (l *List) matchPlain(name []byte, pattern bool) bool {
	if len(name) == 0 {
		return false
	}
	at := uint32(root)
	for end := len(name); ; {
		i := lastDot(name[:end])
		label := name[i+1 : end]
		if pattern || len(label) == 0 {
			if i < 0 && string(label) == "*" {
				return l.nodes[at].flags&childWatched != 0
			}
			if kindOf(label) != literal {
				return l.matchPattern(bytes.Clone(name))
			}
		}
		n := l.child(at, label)
		if n == 0 {
			return false
		}
		switch f := l.nodes[n].flags; {
		case f&below != 0:
			return true
		case i < 0:
			return f&watched != 0
		}
		at, end = n, i
	}
}

// matchPattern matches any canonical name.
func (l *List) matchPattern(name []byte) bool {
	s := search{list: l, budget: nameBudget, first: true}
	s.walk(root, name)
	return s.found || s.budget < 0
}

// maxMatches bounds what Matches returns.
const maxMatches = 1 << 16

// Describe returns what a certificate says, given its DER, and which rules match it.
func (l *List) Describe(der []byte) ctwatch.Certificate {
	tbs, err := entry.TBS(der)
	if err != nil {
		tbs = der // as much as can be read
	}
	c := entry.Describe(tbs)
	c.Matches = l.Matches(slices.Concat(c.Names, c.IPAddresses))
	sum := ctwatch.Hash(sha256.Sum256(der))
	c.Fingerprints.Certificate = &sum
	return c
}

// Matches returns which rules match which of a certificate's names and addresses (as
// text): in the order of the rules, and for one rule in that of the names, each pair once.
// It returns at most 65,536 matches, plus the first of each further rule, so that names that
// match one rule cannot hide a name that matches another.
func (l *List) Matches(names []string) []ctwatch.Match {
	type pair struct {
		rule uint32
		name int32
	}
	var pairs []pair
	at := int32(0)
	var hit map[uint32]bool // the rules that match, once there are too many pairs
	s := search{list: l, budget: callBudget, hit: func(r uint32) {
		if len(pairs) >= maxMatches {
			if hit == nil {
				hit = make(map[uint32]bool)
				for _, p := range pairs {
					hit[p.rule] = true
				}
			}
			if hit[r] {
				return
			}
			hit[r] = true
		}
		pairs = append(pairs, pair{r, at})
	}}
	form := func(c []byte) {
		if ip, ok := entry.Address(c); ok {
			l.findNetworks(ip, s.hit)
			return
		}
		s.walk(root, c)
	}
	var plain [entry.MaxPlain]byte
	var text []byte
	for i, name := range names {
		at, text = int32(i), append(text[:0], name...)
		s.budget = max(s.budget, nameBudget) // so that no name can hide others
		if c, _, ok := entry.Plain(&plain, text); !ok {
			entry.Candidates(text, form)
		} else if len(c) > 0 {
			form(c)
		}
	}
	if pairs == nil {
		return nil
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(l.rules[a.rule].order(), l.rules[b.rule].order()), cmp.Compare(a.name, b.name))
	})
	out := make([]ctwatch.Match, 0, len(pairs))
	seen := make(map[ctwatch.Match]bool, len(pairs))
	var r Rule
	for i, p := range pairs {
		if i == 0 || p.rule != pairs[i-1].rule {
			r = l.rule(p.rule)
		}
		m := ctwatch.Match{Watch: r.Watch, Name: names[p.name], Domain: r.Domain}
		if !seen[m] {
			seen[m] = true
			out = append(out, m)
		}
	}
	return out[:len(out):len(out)]
}

// rule reads a rule.
func (l *List) rule(r uint32) Rule { return l.parts[l.rules[r].part].rule(int(l.rules[r].at)) }

// includesBelow reports whether a rule is about all names below its domain as well.
func (l *List) includesBelow(r uint32) bool {
	at, p := l.rules[r].at, &l.parts[l.rules[r].part]
	if p.Rules != nil {
		return p.Rules[at].Subdomains
	}
	return p.Text[at] == '.'
}

// Narrowest returns the rule about the longest domain that stands for every host of a
// pattern, the first if there are several; and where it is: in which part, and there in
// Rules, or where it begins in Text. It is not ok if no rule does.
func (l *List) Narrowest(host pins.Pattern) (r Rule, part, at int, ok bool) {
	best := uint32(0)
	n, name := uint32(root), []byte(host.Name)
	for end := len(name); end >= 0; {
		i := lastDot(name[:end])
		if n = l.child(n, name[i+1:end]); n == 0 {
			break
		}
		first := uint32(0)
		for r := l.nodes[n].rule; r != 0; r = l.rules[r].next {
			if (l.includesBelow(r) || i < 0 && host.Reach == pins.Exact) && (first == 0 || l.rules[r].order() < l.rules[first].order()) {
				first = r
			}
		}
		best, end = cmp.Or(first, best), i
	}
	if best == 0 {
		return Rule{}, 0, 0, false
	}
	return l.rule(best), int(l.rules[best].part), int(l.rules[best].at), true
}
