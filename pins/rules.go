package pins

import (
	"slices"
	"time"
)

// A Chain is the keys of a certificate chain as a client validates it, the leaf's
// first.
type Chain struct {
	Pins []Pin
	// Open means that there may be more keys after these: a log has a leaf and its issuer
	// only, and many servers do not send their root.
	Open bool

	// Algorithms are those of the keys, as Key.Algorithm names them, in the order of
	// Pins; "", or a shorter list, where they are not known.
	Algorithms []string `json:"-"`
	// Added is how many of the last keys the server does not send: clients add them
	// from their own trust stores.
	Added int `json:"-"`
	// Root names the trust anchor that the chain ends at, for a person; "" if unknown.
	Root string `json:"-"`
}

// Contains reports whether a pin is known to be in the chain.
func (c Chain) Contains(p Pin) bool { return slices.Contains(c.Pins, p) }

// Leaf returns the pin of the leaf; zero for an empty chain.
func (c Chain) Leaf() Pin { return c.at(0) }

// Issuer returns the pin of the leaf's issuer; zero when it is not known.
func (c Chain) Issuer() Pin { return c.at(1) }

func (c Chain) at(i int) Pin {
	if i < len(c.Pins) {
		return c.Pins[i]
	}
	return Pin{}
}

// Of returns the pin of the key in a role.
func (c Chain) Of(r Role) Pin {
	if r == RoleIssuer {
		return c.Issuer()
	}
	return c.Leaf()
}

// AlgorithmOf returns the algorithm of the key in a role; "" if it is not known.
func (c Chain) AlgorithmOf(r Role) string {
	if r == RoleIssuer {
		return c.algorithm(1)
	}
	return c.algorithm(0)
}

// A Position is which certificates of a chain a pin is compared with.
type Position uint8

// The positions that clients know.
const (
	Anywhere  Position = iota // any certificate of the chain, the trust anchor included
	AtLeaf                    // the leaf
	AtIssuers                 // any certificate but the leaf
	AtSent                    // any certificate but the leaf that the server itself sends
)

// Takes reports whether the key in a role can ever stand at the position.
func (at Position) Takes(r Role) bool {
	return at == Anywhere || (at == AtLeaf) == (r == RoleLeaf)
}

// A Requirement is met by a chain in which one of the pins stands at its position.
// If a client has several requirements for a host, all of them have to be met.
type Requirement struct {
	At   Position // of the pins
	Pins []Pin
	// Leaves is how many of the pins, the first ones, are compared with the leaf
	// instead: a host's DANE records may be of both kinds, and one that matches is
	// enough.
	Leaves int

	// Algorithms are those of the keys that the client can hash, as Key.Algorithm
	// names them; nil for all. The client looks from the trust anchor down to the
	// leaf, and crashes at the first key that it cannot hash.
	Algorithms []string
}

// Place returns the position at which the client looks for a pin, by its index.
func (r Requirement) Place(i int) Position {
	if i < r.Leaves {
		return AtLeaf
	}
	return r.At
}

// Hashes reports whether the client can hash keys of an algorithm. An unknown one may be.
func (r Requirement) Hashes(algorithm string) bool {
	return r.Algorithms == nil || algorithm == "" || slices.Contains(r.Algorithms, algorithm)
}

// MetBy reports whether the known part of a chain meets the requirement.
func (r Requirement) MetBy(c Chain) bool {
	_, met := r.meet(c)
	return met
}

// meet looks for a pin in a chain, from the trust anchor to the leaf. Where the client
// crashes at a key before that, it returns the key's index; else -1.
func (r Requirement) meet(c Chain) (crash int, met bool) {
	for i := len(c.Pins) - 1; i >= 0; i-- {
		if !r.Hashes(c.algorithm(i)) {
			return i, false
		}
		if r.finds(c, i) {
			return -1, true
		}
	}
	return -1, false
}

// finds reports whether one of the pins is that of a chain's key i, and stands at its
// position there.
func (r Requirement) finds(c Chain, i int) bool {
	for n, p := range r.Pins {
		if p != c.Pins[i] {
			continue
		}
		switch r.Place(n) {
		case Anywhere:
			return true
		case AtLeaf:
			if i == 0 {
				return true
			}
		case AtIssuers:
			if i > 0 {
				return true
			}
		case AtSent:
			if i > 0 && i < len(c.Pins)-c.Added {
				return true
			}
		}
	}
	return false
}

func (c Chain) algorithm(i int) string {
	if i < len(c.Algorithms) {
		return c.Algorithms[i]
	}
	return ""
}

// Accepts reports whether a chain meets all requirements. No requirement is no
// pinning: then every chain is accepted.
func Accepts(rs []Requirement, c Chain) bool {
	for _, r := range rs {
		if !r.MetBy(c) {
			return false
		}
	}
	return true
}

// Rules are what a client is configured with, and decide as that client does. They
// do not change, and may be used concurrently.
type Rules interface {
	// Requirements returns what the chain of a host, a concrete name in lower case,
	// has to meet at a time. None means that the client does not pin the host: it
	// is not in the file, or its pins have expired. If a client uses its own clock and
	// time zone, pins count as in force until the last device drops them.
	// The result is shared: it must not be changed.
	Requirements(host string, at time.Time) []Requirement

	// Ends returns when the first device stops enforcing the pins of a host, or the
	// zero time if they never end or the host is not pinned.
	Ends(host string) time.Time

	// Patterns returns the hosts in the file, in a fixed order.
	Patterns() []Pattern
}

// AllPins lists the pins of requirements, in order and each once.
func AllPins(rs []Requirement) []Pin { return appendPins(nil, rs) }

// appendPins appends the pins of requirements that are not there yet.
func appendPins(out []Pin, rs []Requirement) []Pin {
	for _, r := range rs {
		out = slices.Grow(out, len(r.Pins))
		for _, p := range r.Pins {
			if !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}
