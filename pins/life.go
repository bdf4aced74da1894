package pins

import (
	"fmt"
	"slices"
)

// A State is where a key stands in its life.
//
//	declared ──┐
//	           ├─▶ approved ⇄ shipped ─▶ deployed ⇄ retiring ─▶ retired
//	seen ──────┘                                        any ─▶ compromised
//
// A pin is a trust decision, and neither a log's word nor a server's is one. A key
// enters the upper line only by the word of a person, or of a rule that a person
// wrote; from there on, what happens to it moves it along.
type State string

// The states. The zero State is that of a key nobody has heard of.
const (
	StateUnknown State = ""

	StateDeclared    State = "declared"    // a person named it before anything was issued for it
	StateSeen        State = "seen"        // known, from a log or a server, and trusted by nobody
	StateApproved    State = "approved"    // may be pinned for the hosts it was approved for
	StateShipped     State = "shipped"     // in a supported version of an app
	StateDeployed    State = "deployed"    // served now
	StateRetiring    State = "retiring"    // on its way out: served no more, or to be replaced
	StateRetired     State = "retired"     // of no use any more
	StateCompromised State = "compromised" // never to be trusted again
)

// states lists all states in the order of a key's life.
var states = []State{
	StateDeclared, StateSeen, StateApproved, StateShipped, StateDeployed, StateRetiring, StateRetired, StateCompromised,
}

// Trusted reports whether a person, or a person's rule, has approved of the key:
// whether it may stand in a pin set at all.
func (s State) Trusted() bool {
	switch s {
	case StateDeclared, StateApproved, StateShipped, StateDeployed, StateRetiring:
		return true
	}
	return false
}

// Coming reports whether the key may be added to apps: it is trusted, and not on
// its way out.
func (s State) Coming() bool { return s.Trusted() && s != StateRetiring }

// An Actor is what kind of thing changes a key's state.
type Actor string

// The actors. Only the first two can bring a key from distrust to trust.
const (
	Person  Actor = "person"
	Policy  Actor = "policy" // a rule that a person wrote into the configuration
	ByLog   Actor = "log"    // a log that has a certificate for the key
	ByProbe Actor = "probe"  // a look at what servers serve
	ByPlan  Actor = "plan"   // what apps ship, and what has ended
)

// CheckMove returns an error unless an actor may move a key from a state to
// another. It is the law that keeps a rogue key out of every pin set: no actor but
// Person and Policy leads from an untrusted state to a trusted one, and nobody
// leads back from StateCompromised.
func CheckMove(from, to State, by Actor) error {
	for _, m := range moves {
		if m.by == by && slices.Contains(m.from, from) && slices.Contains(m.to, to) {
			return nil
		}
	}
	return fmt.Errorf("a key that is %s cannot become %s by %s", from.orUnknown(), to.orUnknown(), by)
}

func (s State) orUnknown() State {
	if s == StateUnknown {
		return "unknown"
	}
	return s
}

var untrusted = []State{StateUnknown, StateSeen, StateRetired}

// moves are the arrows of a key's life.
var moves = []struct {
	by       Actor
	from, to []State
}{
	{Person, untrusted, []State{StateDeclared, StateApproved}},
	{Person, []State{StateDeclared}, []State{StateApproved}},
	{Person, []State{StateRetiring}, []State{StateApproved}}, // a retirement called off
	{Person, []State{StateDeclared, StateSeen, StateApproved, StateShipped, StateDeployed, StateRetiring}, []State{StateRetiring, StateRetired}},
	{Person, append([]State{StateUnknown}, states[:len(states)-1]...), []State{StateCompromised}},

	// A rule approves what is new, and nothing that a person retired.
	{Policy, []State{StateUnknown, StateSeen}, []State{StateDeclared, StateApproved}},
	// The line was taken out of the configuration, and no person vouches.
	{Policy, []State{StateDeclared, StateApproved, StateShipped, StateDeployed, StateRetiring}, []State{StateSeen}},
	{Policy, []State{StateRetiring}, []State{StateRetired}}, // a person wanted that anyway

	{ByLog, []State{StateUnknown}, []State{StateSeen}},
	{ByLog, []State{StateDeclared}, []State{StateApproved}}, // what was declared has come

	{ByProbe, []State{StateUnknown}, []State{StateSeen}},
	{ByProbe, []State{StateDeclared, StateApproved, StateShipped, StateRetiring}, []State{StateDeployed}},
	{ByProbe, []State{StateDeployed}, []State{StateRetiring}},

	{ByPlan, []State{StateDeclared, StateApproved}, []State{StateShipped}},
	{ByPlan, []State{StateShipped}, []State{StateApproved}}, // no supported version ships it any more
	{ByPlan, []State{StateRetiring}, []State{StateRetired}},
}

// KeyFacts are what is known of a key's use at one moment.
type KeyFacts struct {
	Served  bool // by an endpoint, when it was last reached
	Shipped bool // by a supported version of an app
	Live    bool // a certificate for it is known that has not ended
	Ordered bool // a person ordered its retirement
}

// Settle returns the state that a key comes to by what is known of its use, the
// actor that moves it, and why. It returns the same state where nothing changes;
// otherwise CheckMove allows the move. A key may have to be settled several times.
func Settle(s State, f KeyFacts) (to State, by Actor, reason string) {
	switch s {
	case StateDeclared, StateApproved, StateShipped:
		if f.Served {
			return StateDeployed, ByProbe, "served now"
		}
		if f.Shipped && s != StateShipped {
			return StateShipped, ByPlan, "a supported version of an app ships it"
		}
		if !f.Shipped && s == StateShipped {
			return StateApproved, ByPlan, "no supported version of an app ships it any more"
		}
	case StateDeployed:
		if !f.Served {
			return StateRetiring, ByProbe, "no server serves it any more"
		}
	case StateRetiring:
		if f.Served && !f.Ordered {
			return StateDeployed, ByProbe, "served again"
		}
		if !f.Served && !f.Shipped && (f.Ordered || !f.Live) {
			return StateRetired, ByPlan, "not served, not shipped, and no certificate for it is of use"
		}
	}
	return s, "", ""
}
