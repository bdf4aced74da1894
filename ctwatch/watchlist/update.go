package watchlist

import (
	"bytes"
	"slices"
)

// A Part is a part of a watch list: a file, or rules that were read elsewhere. A list keeps
// its parts, which must not change. Their order is that of the rules.
type Part struct {
	Name string // tells parts apart; of a file, also for its mistakes
	// Rules have canonical domains (see NewRule). The zero Rule watches nothing.
	Rules []Rule
	// Text is a file in Cert Spotter's syntax: one domain per line, with a leading dot
	// (".example.com") to watch all names below it, too. # begins a comment; blank lines
	// are ignored. It has at most MaxFile bytes. A part has Rules or Text.
	Text []byte
}

// rule reads a rule, which is at an index of Rules, or begins at an offset of Text.
func (p *Part) rule(at int) Rule {
	if p.Rules != nil {
		return p.Rules[at]
	}
	line, _, _ := bytes.Cut(p.Text[at:], []byte("\n"))
	_, watch := watchOf(line)
	r, _ := NewRule(string(watch), watch[0] == '.') // was read before
	return r
}

// size returns the length of Rules or Text.
func (p *Part) size() uint32 { return uint32(max(len(p.Rules), len(p.Text))) }

// Update returns the list of some parts, of at most MaxRules rules. It takes over from the
// list before what both have in common, and is then that list, if nothing differs: so it
// takes a fraction of the time where little changed. nil is an empty list.
//
// With mistakes it returns no list, but all mistakes of each part (20 at most), with file,
// line and column. Only lines that are new are read, since those before had none.
func Update(before *List, parts ...Part) (*List, []error) {
	if before == nil {
		before = empty()
	}
	d := differ(before, parts)
	if d.none {
		return before, nil
	}
	if d.most || before.unused > len(before.nodes)/2 {
		before = empty()
		d = differ(before, parts)
	}
	l := before.next(parts, d)
	errs, wrong := make([]error, len(parts)), false
	for i, s := range d.read {
		errs[i] = l.readPart(i, s)
		wrong = wrong || errs[i] != nil
	}
	if wrong {
		return nil, errs
	}
	l.finish()
	return l, nil
}

// empty returns a list without rules.
func empty() *List { return &List{tree: newTree(0, 0), rules: make([]rule, 1)} }

// A span is a piece of a part: from one index of Rules to another, or from the beginning of
// one line of Text to that of another.
type span struct{ start, end uint32 }

// A difference says how the parts of two lists differ.
type difference struct {
	none bool   // they are the same
	most bool   // more of the texts differs than not
	read []span // by part of the new list: what is to be read
	old  []old  // by part of the list before
}

// An old says what became of a part: it is gone, or another part has it all but a span.
type old struct {
	gone  bool
	part  uint32
	drop  span
	shift uint32 // what is behind the span moves by this, modulo 2³²
}

func differ(before *List, parts []Part) difference {
	d := difference{none: len(parts) == len(before.parts), read: make([]span, len(parts)), old: make([]old, len(before.parts))}
	for i := range d.old {
		d.old[i].gone = true
	}
	all, read := 0, 0 // bytes
	for i := range parts {
		p := &parts[i]
		d.read[i] = span{0, p.size()}
		for j := range before.parts {
			if q := &before.parts[j]; d.old[j].gone && q.Name == p.Name && (q.Rules == nil) == (p.Rules == nil) {
				d.old[j] = old{part: uint32(i), shift: p.size() - q.size()}
				d.old[j].drop, d.read[i] = changed(q, p)
				d.none = d.none && i == j && d.old[j].drop == d.read[i] && d.read[i].start == d.read[i].end
				break
			}
		}
		if p.Rules == nil {
			all += len(p.Text)
			read += int(d.read[i].end - d.read[i].start)
		}
	}
	d.most = read > all/2
	for _, o := range d.old {
		d.none = d.none && !o.gone
	}
	return d
}

// changed returns what differs between two parts, both of Rules or both of Text: of Rules
// everything, if any differs, and else nothing.
func changed(a, b *Part) (inA, inB span) {
	switch {
	case a.Rules == nil:
		return changedLines(a.Text, b.Text)
	case slices.Equal(a.Rules, b.Rules):
		return span{a.size(), a.size()}, span{b.size(), b.size()}
	}
	return span{0, a.size()}, span{0, b.size()}
}

// changedLines returns the lines that differ between two texts: what is between those that
// both begin with and those that both end with.
func changedLines(a, b []byte) (inA, inB span) {
	start := commonPrefix(a, b)
	if start < len(a) || start < len(b) {
		start = bytes.LastIndexByte(a[:start], '\n') + 1
	}
	common := commonSuffix(a[start:], b[start:])
	// The first of these lines may begin before what is common.
	if i := bytes.IndexByte(a[len(a)-common:], '\n'); i < 0 {
		common = 0
	} else {
		common -= i + 1
	}
	return span{uint32(start), uint32(len(a) - common)}, span{uint32(start), uint32(len(b) - common)}
}

const block = 4096 // bytes that are compared at once

func commonPrefix(a, b []byte) (n int) {
	most := min(len(a), len(b))
	for n+block <= most && bytes.Equal(a[n:n+block], b[n:n+block]) {
		n += block
	}
	for n < most && a[n] == b[n] {
		n++
	}
	return n
}

func commonSuffix(a, b []byte) (n int) {
	most := min(len(a), len(b))
	for n+block <= most && bytes.Equal(a[len(a)-n-block:len(a)-n], b[len(b)-n-block:len(b)-n]) {
		n += block
	}
	for n < most && a[len(a)-n-1] == b[len(b)-n-1] {
		n++
	}
	return n
}

// next returns a list of what a list and new parts have in common, with room for the rest.
func (l *List) next(parts []Part, d difference) *List {
	lines, size := 0, 0 // at most
	for i, s := range d.read {
		if text := parts[i].Text; text != nil {
			lines += bytes.Count(text[s.start:s.end], []byte("\n")) + 1
			size += int(s.end - s.start)
		} else {
			lines += int(s.end - s.start)
		}
	}
	lines = min(lines, MaxRules) // of a large file most may be blank
	c := &List{
		parts: slices.Clone(parts),
		rules: append(make([]rule, 0, len(l.rules)+lines), l.rules...),
		free:  l.free,
	}
	if len(l.rules) > 1 {
		c.tree = l.clone(lines, size)
		c.keep(d.old)
	} else {
		c.tree = newTree(lines+lines/8, size)
	}
	return c
}

// keep removes the rules that are gone, and moves the others to their new places.
func (l *List) keep(olds []old) {
	for i := range l.nodes {
		n := &l.nodes[i]
		n.flags = 0
		rest := n.rule
		n.rule = 0
		for rest != 0 {
			at := rest
			r := &l.rules[at]
			rest = r.next
			switch o := &olds[r.part]; {
			case o.gone, o.drop.start <= r.at && r.at < o.drop.end:
				r.next, l.free = l.free, at
				continue
			case r.at >= o.drop.end:
				r.part, r.at = o.part, r.at+o.shift
			default:
				r.part = o.part
			}
			r.next, n.rule = n.rule, at
			l.count++
		}
	}
}

// readPart adds the rules of a span of a part.
func (l *List) readPart(i int, s span) error {
	p := &l.parts[i]
	if p.Rules == nil {
		return l.readText(i, s.start, s.end)
	}
	for at := s.start; at < s.end; at++ {
		if r := p.Rules[at]; r.Domain != "" || r.Network.IsValid() {
			if err := l.add(l.growRule(r), rule{part: uint32(i), at: at}); err != nil {
				return err
			}
		}
	}
	return nil
}

// growRule returns the node of a rule, and creates it if needed.
func (l *List) growRule(r Rule) uint32 {
	if r.Network.IsValid() {
		label := labelOf(r.Network)
		return l.grow(networks, label.octets[:label.length])
	}
	return l.growName([]byte(r.Domain))
}

// add adds a rule to a node.
func (l *List) add(node uint32, r rule) error {
	if l.count == MaxRules {
		return errTooMany
	}
	l.count++
	r.next = l.nodes[node].rule
	at := l.free
	if at != 0 {
		l.free = l.rules[at].next
		l.rules[at] = r
	} else {
		at = uint32(len(l.rules))
		l.rules = append(l.rules, r)
	}
	l.nodes[node].rule = at
	return nil
}

// finish derives from the rules what speeds up a search. Children have greater numbers than
// their parents, so that one pass from the end reaches all above.
func (l *List) finish() {
	var v4, v6 [129]bool
	for i := len(l.nodes) - 1; i > networks; i-- {
		n, above := &l.nodes[i], &l.nodes[l.nodes[i].parent]
		for r := n.rule; r != 0; r = l.rules[r].next {
			n.flags |= watched | used
			if l.includesBelow(r) {
				n.flags |= below
			}
		}
		if n.flags&watched != 0 {
			above.flags |= childWatched
		}
		if n.flags&below != 0 {
			above.flags |= childBelow
		}
		if n.flags&used == 0 {
			l.unused++
			continue
		}
		above.flags |= used
		if n.parent == networks {
			label := l.label(n)
			if bits := label[len(label)-1]; len(label) == 5 {
				v4[bits] = true
			} else {
				v6[bits] = true
			}
		}
	}
	l.v4, l.v6 = indexes(v4[:]), indexes(v6[:])
}

// indexes lists the indexes of what is true.
func indexes(of []bool) (out []int) {
	for i, ok := range of {
		if ok {
			out = append(out, i)
		}
	}
	return out
}
