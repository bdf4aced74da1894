package watchlist

import (
	"bytes"
	"strings"
)

// Names with labels that stand for others. A wildcard covers one label (RFC 9525
// §6.3), so "*.example.com" matches the watched name sub.example.com, and not
// a.b.example.com. A redacted label (?), and one that cannot be read, may be any.

// nameBudget bounds how many nodes are compared with the wildcards of one name
// while only a yes or no is asked for, and callBudget, for all names together, while all
// matches are; but each name has nameBudget at least.
const (
	nameBudget = 1_000
	callBudget = 4_000_000
)

// A kind says what a label of a certificate's name stands for.
type kind int

const (
	literal  kind = iota // itself
	glob                 // the labels that it matches
	anything             // any one label
)

// kindOf classifies a canonical label. One that cannot be a host's is anything: a
// client may read it in a way that we do not.
func kindOf(label []byte) kind {
	if len(label) == 0 {
		return anything
	}
	k, stars := literal, 0
	for _, c := range label {
		switch {
		case c == '*':
			k = glob
			stars++
		case !isLabelByte(c):
			return anything
		}
	}
	if stars == len(label) {
		return anything
	}
	return k
}

// matchGlob reports whether label matches pattern, in which a * stands for any
// text. It takes the leftmost place for each part between two stars, which is never
// wrong, so the time is linear: nothing is tried twice.
func matchGlob(pattern []byte, label string) bool {
	first, rest, ok := bytes.Cut(pattern, []byte{'*'})
	if !ok {
		return string(pattern) == label
	}
	if !strings.HasPrefix(label, string(first)) {
		return false
	}
	label = label[len(first):]
	for {
		var part []byte
		part, rest, ok = bytes.Cut(rest, []byte{'*'})
		if !ok { // the part behind the last star
			return strings.HasSuffix(label, string(part))
		}
		i := strings.Index(label, string(part))
		if i < 0 {
			return false
		}
		label = label[i+len(part):]
	}
}

// A search walks the nodes that a name matches. Every node is reached on one way
// only, so its cost is at most that of all nodes, and the budget bounds it further.
type search struct {
	list   *List
	hit    func(rule int32) // told of every rule that matches; nil with first
	first  bool             // stop at the first match, and set found
	found  bool
	budget int // how many more nodes may be compared with a wildcard; below 0: it ran out
	key    []byte
}

// walk goes on from a node with the labels of the name that are left of it.
func (s *search) walk(at uint32, name []byte) {
	l := s.list
	i := bytes.LastIndexByte(name, '.')
	label, left, last := name[i+1:], name[:max(i, 0)], i < 0
	k := kindOf(label)
	if k == literal {
		s.key = append(s.key[:0], label...)
		if at != root {
			s.key = append(append(s.key, '.'), l.nodes[at].domain...)
		}
		if n, ok := l.index[string(s.key)]; ok {
			s.arrive(n, left, last)
		}
		return
	}
	if s.first && k == anything {
		// What decides without looking at the children, of which there may be a
		// million.
		if l.flags[at]&childTree != 0 || last && l.flags[at]&childWatched != 0 {
			s.found = true
			return
		}
		if last {
			return
		}
	}
	for _, child := range l.children[l.nodes[at].start:l.nodes[at].end] {
		if s.found {
			return
		}
		if s.budget--; s.budget < 0 {
			return
		}
		if k == glob {
			childLabel, _, _ := strings.Cut(l.nodes[child].domain, ".")
			if !matchGlob(label, childLabel) {
				continue
			}
		}
		s.arrive(child, left, last)
	}
}

// arrive tells of the rules of a node that match, and walks on.
func (s *search) arrive(n uint32, left []byte, last bool) {
	l := s.list
	if l.flags[n]&tree != 0 || last && l.flags[n]&watched != 0 {
		if s.first {
			s.found = true
			return
		}
		for r := l.nodes[n].rule; r != none; r = l.next[r] {
			if last || l.rules[r].Subdomains {
				s.hit(r)
			}
		}
	}
	if !last && l.nodes[n].start < l.nodes[n].end {
		s.walk(n, left)
	}
}
