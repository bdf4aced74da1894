package pins

import (
	"slices"
	"time"
)

// A Chain is the keys of a certificate chain as a client validates it, the leaf's
// first.
type Chain struct {
	Pins []Pin
	// Open says that there may be more keys after these: a log tells of a leaf and
	// its issuer, and many servers do not send their root.
	Open bool
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

// A Position says which certificates of a chain a pin is compared with.
type Position uint8

// The positions that clients know.
const (
	Anywhere  Position = iota // any certificate of the chain, the trust anchor included
	AtLeaf                    // the leaf
	AtIssuers                 // any certificate but the leaf
)

// A Requirement is met by a chain in which one of the pins stands at the position.
// A client that has several requirements for a host wants all of them met.
type Requirement struct {
	At   Position
	Pins []Pin
}

// MetBy reports whether the chain, as far as it is known, meets the requirement.
func (r Requirement) MetBy(c Chain) bool {
	known := c.Pins
	switch {
	case len(known) == 0:
		return false
	case r.At == AtLeaf:
		known = known[:1]
	case r.At == AtIssuers:
		known = known[1:]
	}
	for _, p := range known {
		if slices.Contains(r.Pins, p) {
			return true
		}
	}
	return false
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
	// is not spoken of, or its pins have expired. Where a client counts by its own
	// clock and time zone, pins count as in force until the last device drops them.
	// The result is shared: it must not be changed.
	Requirements(host string, at time.Time) []Requirement

	// Ends returns when the first device stops to enforce the pins of a host, or
	// the zero time if they never end or the host is not pinned.
	Ends(host string) time.Time

	// Patterns lists the hosts that are spoken of, in a fixed order.
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
