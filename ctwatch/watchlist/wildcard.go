package watchlist

import "bytes"

// Names with wildcards. A wildcard stands for one label (RFC 9525 §6.3), so "*.example.com"
// matches the watched name sub.example.com, and not a.b.example.com. A redacted label (?) and
// one that cannot be read match every label.

// nameBudget bounds how many nodes MatchName compares with the wildcards of a name.
// callBudget bounds that for all names of a call of Matches; each name has at least
// nameBudget.
const (
	nameBudget = 1_000
	callBudget = 4_000_000
)

// A kind is what a label of a certificate's name stands for.
type kind int

const (
	literal  kind = iota // itself
	glob                 // the labels that it matches
	anything             // any one label
)

// kindOf returns the kind of a canonical label. A label that no host name has is anything:
// clients may read it differently.
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

// matchGlob reports whether label matches pattern, in which a * stands for any text. It
// takes the leftmost place for each part between two stars, which is always right, so that
// the time is linear.
func matchGlob(pattern, label []byte) bool {
	first, rest, ok := bytes.Cut(pattern, []byte{'*'})
	if !ok {
		return bytes.Equal(pattern, label)
	}
	if !bytes.HasPrefix(label, first) {
		return false
	}
	label = label[len(first):]
	for {
		var part []byte
		part, rest, ok = bytes.Cut(rest, []byte{'*'})
		if !ok { // the part behind the last star
			return bytes.HasSuffix(label, part)
		}
		i := bytes.Index(label, part)
		if i < 0 {
			return false
		}
		label = label[i+len(part):]
	}
}

// A search visits the nodes that a name matches. It visits each node at most once; the
// budget bounds the visits further.
type search struct {
	list   *List
	hit    func(rule uint32) // called for each rule that matches; nil with first
	first  bool              // stops at the first match, and sets found
	found  bool
	budget int // how many more nodes may be compared with a wildcard; below 0: exhausted
}

// walk continues from a node, with the labels of the name left of it.
func (s *search) walk(at uint32, name []byte) {
	l := s.list
	i := bytes.LastIndexByte(name, '.')
	label, left, last := name[i+1:], name[:max(i, 0)], i < 0
	k := kindOf(label)
	if k == literal {
		if n := l.child(at, label); n != 0 {
			s.arrive(n, left, last)
		}
		return
	}
	if s.first && k == anything {
		// Decide without visiting the children, of which there may be a million.
		if l.nodes[at].flags&childBelow != 0 || last && l.nodes[at].flags&childWatched != 0 {
			s.found = true
			return
		}
		if last {
			return
		}
	}
	for child := l.nodes[at].child; child != 0; child = l.nodes[child].sibling {
		if s.found {
			return
		}
		if s.budget--; s.budget < 0 {
			return
		}
		if k == glob && !matchGlob(label, l.label(&l.nodes[child])) {
			continue
		}
		s.arrive(child, left, last)
	}
}

// arrive reports the rules of a node that match, and continues.
func (s *search) arrive(n uint32, left []byte, last bool) {
	l := s.list
	if f := l.nodes[n].flags; f&below != 0 || last && f&watched != 0 {
		if s.first {
			s.found = true
			return
		}
		for r := l.nodes[n].rule; r != 0; r = l.rules[r].next {
			if last || l.includesBelow(r) {
				s.hit(r)
			}
		}
	}
	if !last && l.nodes[n].child != 0 {
		s.walk(n, left)
	}
}
