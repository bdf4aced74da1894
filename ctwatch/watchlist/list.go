package watchlist

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"slices"
	"strings"
	"sync/atomic"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/entry"
)

// A List is an index of rules. It does not change, and is safe for concurrent use.
//
// It is a tree. Its nodes are the watched domains and the domains above them, up to the
// root, which is node 0. A search for a name goes from the right, from node to node, until
// there is no node or a rule matches. Each step is one look-up in index, by the part of the
// name so far.
//
// A label with a wildcard matches as every label that it can stand for; see wildcard.go.
type List struct {
	rules []Rule
	index map[string]uint32 // node by domain
	flags []flags           // of each node; not in nodes, for the CPU's cache
	nodes []node

	children []uint32 // of all nodes; those of one node are adjacent
	next     []int32  // by rule: the next rule for the same domain, or none

	networks networks // the rules about addresses, which have no nodes
}

type node struct {
	domain     string
	start, end uint32 // its children
	rule       int32  // its first rule, or none
}

const (
	root = 0
	none = -1
)

type flags uint8

const (
	watched      flags = 1 << iota // a rule is about the domain
	tree                           // and about all names below it
	childWatched                   // a child is watched
	childTree                      // a child is a tree
)

// New indexes rules, whose Domain must be canonical (see NewRule).
func New(rules []Rule) *List {
	l := &List{
		rules: slices.Clone(rules),
		index: make(map[string]uint32, len(rules)+len(rules)/16),
		flags: make([]flags, 1, len(rules)+1),
		nodes: make([]node, 1, len(rules)+1),
		next:  make([]int32, len(rules)),
	}
	l.nodes[root].rule = none
	parents := make([]uint32, 1, len(rules)+1)
	// From the last rule to the first, so that the chain of a domain has the order of the
	// rules.
	for i, r := range slices.Backward(l.rules) {
		if r.Network.IsValid() {
			l.networks.add(r.Network, int32(i))
			continue
		}
		n := l.node(r.Domain, &parents)
		l.next[i], l.nodes[n].rule = l.nodes[n].rule, int32(i)
		l.flags[n] |= watched
		l.flags[parents[n]] |= childWatched
		if r.Subdomains {
			l.flags[n] |= tree
			l.flags[parents[n]] |= childTree
		}
	}
	l.linkChildren(parents)
	return l
}

// node returns the node of a domain. It creates the node, and those above it, if needed.
func (l *List) node(domain string, parents *[]uint32) uint32 {
	if domain == "" {
		return root
	}
	if n, ok := l.index[domain]; ok {
		return n
	}
	_, above, _ := strings.Cut(domain, ".")
	parent := l.node(above, parents)
	n := uint32(len(l.nodes))
	l.index[domain] = n
	l.nodes = append(l.nodes, node{domain: domain, rule: none})
	l.flags = append(l.flags, 0)
	*parents = append(*parents, parent)
	return n
}

// linkChildren makes the children of each node adjacent.
func (l *List) linkChildren(parents []uint32) {
	for _, parent := range parents[1:] {
		l.nodes[parent].end++ // counts, for now
	}
	at := uint32(0)
	for i := range l.nodes {
		n := &l.nodes[i]
		at, n.start, n.end = at+n.end, at, at
	}
	l.children = make([]uint32, at)
	for i, parent := range parents[1:] {
		p := &l.nodes[parent]
		l.children[p.end] = uint32(i + 1)
		p.end++
	}
}

// Len returns the number of rules.
func (l *List) Len() int { return len(l.rules) }

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
				return l.networks.has(ip)
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
		return l.networks.has(ip)
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
		i := end - 1
		for i >= 0 && name[i] != '.' {
			i--
		}
		if label := name[i+1 : end]; pattern || len(label) == 0 {
			if i < 0 && string(label) == "*" {
				return l.flags[at]&childWatched != 0
			}
			if kindOf(label) != literal {
				return l.matchPattern(bytes.Clone(name))
			}
		}
		n, ok := l.index[string(name[i+1:])]
		if !ok {
			return false
		}
		if l.flags[n]&tree != 0 {
			return true
		}
		if i < 0 {
			return l.flags[n]&watched != 0
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
	type pair struct{ rule, name int32 }
	var pairs []pair
	at := int32(0)
	var hit map[int32]bool // the rules that match, once there are too many pairs
	s := search{list: l, budget: callBudget, hit: func(rule int32) {
		if len(pairs) >= maxMatches {
			if hit == nil {
				hit = make(map[int32]bool)
				for _, p := range pairs {
					hit[p.rule] = true
				}
			}
			if hit[rule] {
				return
			}
			hit[rule] = true
		}
		pairs = append(pairs, pair{rule, at})
	}}
	form := func(c []byte) {
		if ip, ok := entry.Address(c); ok {
			l.networks.find(ip, func(rule int32) bool { s.hit(rule); return true })
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
		return cmp.Or(cmp.Compare(a.rule, b.rule), cmp.Compare(a.name, b.name))
	})
	out := make([]ctwatch.Match, 0, len(pairs))
	seen := make(map[ctwatch.Match]bool, len(pairs))
	for _, p := range pairs {
		r := &l.rules[p.rule]
		m := ctwatch.Match{Watch: r.Watch, Name: names[p.name], Domain: r.Domain}
		if !seen[m] {
			seen[m] = true
			out = append(out, m)
		}
	}
	return out[:len(out):len(out)]
}

// A Source provides the list in use. A *List provides itself.
type Source interface {
	// Current returns the list in use now.
	Current() *List
}

// Current returns the list itself.
func (l *List) Current() *List { return l }

// A Live is a Source whose list can be replaced at any time.
type Live struct{ list atomic.Pointer[List] }

// NewLive returns a Live with a list.
func NewLive(l *List) *Live {
	v := new(Live)
	v.Replace(l)
	return v
}

// Current returns the current list.
func (v *Live) Current() *List { return v.list.Load() }

// Replace replaces the list.
func (v *Live) Replace(l *List) { v.list.Store(l) }
