package watchlist

import (
	"hash/maphash"
	"net/netip"
)

// A tree of labels. Its nodes are the watched domains and the domains above them, and the
// watched networks. All of it is in a few slices without pointers: a million nodes are some
// 60 MB, are copied in milliseconds, and cost the garbage collector nothing.
type tree struct {
	nodes  []node
	labels []byte // of all nodes, one after the other
	slots  []slot // a hash table of the nodes by parent and label: open addressing, linear probing
	seed   maphash.Seed
}

// A node is one label. Its number is greater than that of its parent.
type node struct {
	label          uint32 // where its label begins
	parent         uint32
	child, sibling uint32 // its first child, and its parent's next; 0 for none
	rule           uint32 // its first rule; 0 for none
	length         uint8  // of its label
	flags          flags
}

// A slot is empty if node is 0, since no table has the root.
type slot struct{ hash, node uint32 }

// The first nodes. Networks are below a root of their own, so that no name reaches them.
const (
	root     = 0
	networks = 1
)

type flags uint8

const (
	watched      flags = 1 << iota // a rule is about the domain
	below                          // and about all names below it
	childWatched                   // a child is watched
	childBelow                     // a child is, with all names below it
	used                           // the node or one below it has a rule
)

// newTree returns a tree of two roots, with room for n more nodes and their labels.
func newTree(n, labels int) tree {
	t := tree{
		nodes:  make([]node, 2, n+2),
		labels: make([]byte, 0, labels),
		slots:  make([]slot, 2*n+8),
		seed:   maphash.MakeSeed(),
	}
	return t
}

// clone returns a copy with room for n more nodes and their labels.
func (t *tree) clone(n, labels int) tree {
	return tree{
		nodes:  append(make([]node, 0, len(t.nodes)+n), t.nodes...),
		labels: append(make([]byte, 0, len(t.labels)+labels), t.labels...),
		slots:  append([]slot(nil), t.slots...),
		seed:   t.seed,
	}
}

// hash returns the hash of a child.
func (t *tree) hash(parent uint32, label []byte) uint32 {
	return uint32((maphash.Bytes(t.seed, label) ^ uint64(parent)*0x9e3779b97f4a7c15) >> 32)
}

// find returns the slot of a child, which is empty if there is no such child.
func (t *tree) find(parent uint32, label []byte, hash uint32) int {
	for i := int(uint64(hash) * uint64(len(t.slots)) >> 32); ; i++ {
		if i == len(t.slots) {
			i = 0
		}
		s := t.slots[i]
		if s.node == 0 {
			return i
		}
		if s.hash == hash {
			if n := &t.nodes[s.node]; n.parent == parent && string(t.label(n)) == string(label) {
				return i
			}
		}
	}
}

// child returns the child of a node with a label; 0 if there is none.
func (t *tree) child(parent uint32, label []byte) uint32 {
	return t.slots[t.find(parent, label, t.hash(parent, label))].node
}

// grow returns the child of a node with a label, and creates it if needed.
func (t *tree) grow(parent uint32, label []byte) uint32 {
	hash := t.hash(parent, label)
	i := t.find(parent, label, hash)
	if t.slots[i].node != 0 {
		return t.slots[i].node
	}
	n := uint32(len(t.nodes))
	t.nodes = append(t.nodes, node{
		label: uint32(len(t.labels)), length: uint8(len(label)), parent: parent, sibling: t.nodes[parent].child,
	})
	t.nodes[parent].child = n
	t.labels = append(t.labels, label...)
	t.slots[i] = slot{hash, n}
	if 4*len(t.nodes) > 3*len(t.slots) {
		t.rehash()
	}
	return n
}

// rehash makes the table twice as large as the tree.
func (t *tree) rehash() {
	before := t.slots
	t.slots = make([]slot, 2*len(t.nodes)+8)
	for _, s := range before {
		if s.node != 0 {
			n := &t.nodes[s.node]
			t.slots[t.find(n.parent, t.label(n), s.hash)] = s
		}
	}
}

func (t *tree) label(n *node) []byte { return t.labels[n.label : n.label+uint32(n.length)] }

// growName returns the node of a canonical name, and creates it if needed.
func (t *tree) growName(name []byte) uint32 {
	at := uint32(root)
	for end := len(name); ; {
		i := lastDot(name[:end])
		at = t.grow(at, name[i+1:end])
		if i < 0 {
			return at
		}
		end = i
	}
}

// lastDot returns the index of the last dot, or -1. Labels are too short for a call of
// bytes.LastIndexByte to pay.
func lastDot(name []byte) int {
	i := len(name) - 1
	for i >= 0 && name[i] != '.' {
		i--
	}
	return i
}

// A networkLabel is the label of a network below networks: its octets, and the length of its
// prefix.
type networkLabel struct {
	octets [17]byte
	length int
}

func labelOf(network netip.Prefix) (l networkLabel) {
	if addr := network.Addr(); addr.Is4() {
		a := addr.As4()
		l.length = copy(l.octets[:], a[:])
	} else {
		a := addr.As16()
		l.length = copy(l.octets[:], a[:])
	}
	l.octets[l.length] = byte(network.Bits())
	l.length++
	return l
}
