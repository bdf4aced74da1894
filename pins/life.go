package pins

import (
	"fmt"
	"slices"
	"time"
)

// A Role is the place of a key in a chain.
type Role string

// The roles whose pins a certificate gives: its own key, and that of the CA which
// issued it.
const (
	RoleLeaf   Role = "leaf"
	RoleIssuer Role = "issuer"
)

// A Key is a known public key.
type Key struct {
	Pin       Pin    `json:"pin"`
	Role      Role   `json:"role"`
	Algorithm string `json:"algorithm"` // such as "ECDSA P-256" or "RSA 2048"; "" when unread
	State     State  `json:"state"`

	Hosts        []string     `json:"hosts"`        // watched names it was certified for, or declared for
	ApprovedFor  []Pattern    `json:"approved_for"` // hosts whose pins it may be among
	Certificates []string     `json:"certificates"` // IDs, in hex
	Apps         []AppVersion `json:"apps"`         // released apps that ship it

	FirstSeen time.Time `json:"first_seen"`
	ChangedAt time.Time `json:"changed_at"` // of State
	By        string    `json:"by"`         // who changed State: "log", "probe", "plan", or a person
	Reason    string    `json:"reason"`

	// Omitted counts what an event leaves out of the lists and texts above, by the member,
	// such as "hosts". Only in events.
	Omitted map[string]int `json:"omitted,omitempty"`
}

// An AppVersion is one released version of an app.
type AppVersion struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// A State is a stage in the life of a key.
//
//	declared ──┐
//	           ├─▶ approved ⇄ shipped ─▶ deployed ⇄ retiring ─▶ retired
//	seen ──────┘                                        any ─▶ compromised
//
// A pin is a trust decision, which neither a log nor a server can make. Only a person, or
// a rule that a person wrote, moves a key into the upper line; from there on, its use moves
// it along.
type State string

// The states. The zero State is that of an unknown key.
const (
	StateUnknown State = ""

	StateDeclared    State = "declared"    // a person named it before anything was issued for it
	StateSeen        State = "seen"        // known from a log or a server, and not trusted
	StateApproved    State = "approved"    // may be pinned for the hosts it was approved for
	StateShipped     State = "shipped"     // in a supported version of an app
	StateDeployed    State = "deployed"    // served now, or until a probe found an untrusted key
	StateRetiring    State = "retiring"    // being replaced: another trusted key is served, or a person retired it
	StateRetired     State = "retired"     // no longer used
	StateCompromised State = "compromised" // never to be trusted again
)

// states lists all states in the order of a key's life.
var states = []State{
	StateDeclared, StateSeen, StateApproved, StateShipped, StateDeployed, StateRetiring, StateRetired, StateCompromised,
}

// Trusted reports whether a person, or a rule that a person wrote, has approved the key,
// so that pin sets may have it.
func (s State) Trusted() bool {
	switch s {
	case StateDeclared, StateApproved, StateShipped, StateDeployed, StateRetiring:
		return true
	}
	return false
}

// Coming reports whether the key may be added to apps: it is trusted, and not retiring.
func (s State) Coming() bool { return s.Trusted() && s != StateRetiring }

// An Actor is who or what changes a key's state.
type Actor string

// The actors. Only the first two can bring a key from distrust to trust.
const (
	Person  Actor = "person"
	Policy  Actor = "policy" // a rule that a person wrote into the configuration
	ByLog   Actor = "log"    // a log that has a certificate for the key
	ByProbe Actor = "probe"  // a probe of what servers serve
	ByPlan  Actor = "plan"   // what apps ship, and what has ended
)

// CheckMove fails with ErrState unless an actor may move a key from a state to
// another. This rule keeps rogue keys out of every pin set: only Person and Policy may move
// a key from an untrusted state to a trusted one, and no actor from StateCompromised.
func CheckMove(from, to State, by Actor) error {
	for _, m := range moves {
		if m.by == by && slices.Contains(m.from, from) && slices.Contains(m.to, to) {
			return nil
		}
	}
	switch {
	case from == StateCompromised && to.Trusted():
		return stateError("the key is compromised and can never be approved")
	case from == StateRetired && to.Trusted() && by == Policy:
		return stateError("the key is retired, and only a person can approve it again")
	}
	return stateError(fmt.Sprintf("the key is %s, and a %s cannot make it %s", from.orUnknown(), by, to.orUnknown()))
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
	{Person, []State{StateRetiring}, []State{StateApproved}}, // a retirement is canceled
	{Person, []State{StateDeclared, StateSeen, StateApproved, StateShipped, StateDeployed, StateRetiring}, []State{StateRetiring, StateRetired}},
	{Person, append([]State{StateUnknown}, states[:len(states)-1]...), []State{StateCompromised}},

	// A rule approves what is new, and nothing that a person retired.
	{Policy, []State{StateUnknown, StateSeen}, []State{StateDeclared, StateApproved}},
	// The line was removed from the configuration, and no person approved the key.
	{Policy, []State{StateDeclared, StateApproved, StateShipped, StateDeployed, StateRetiring}, []State{StateSeen}},
	{Policy, []State{StateRetiring}, []State{StateRetired}}, // a person retired it before

	{ByLog, []State{StateUnknown}, []State{StateSeen}},
	{ByLog, []State{StateDeclared}, []State{StateApproved}}, // a certificate for the declared key appeared

	{ByProbe, []State{StateUnknown}, []State{StateSeen}},
	{ByProbe, []State{StateDeclared, StateApproved, StateShipped, StateRetiring}, []State{StateDeployed}},
	{ByProbe, []State{StateDeployed}, []State{StateRetiring, StateApproved}},
	{ByProbe, []State{StateRetiring}, []State{StateApproved}}, // the configuration lists it

	{ByPlan, []State{StateDeclared, StateApproved}, []State{StateShipped}},
	{ByPlan, []State{StateShipped}, []State{StateApproved}}, // no supported version ships it any more
	{ByPlan, []State{StateApproved, StateRetiring}, []State{StateRetired}},
	{ByPlan, []State{StateRetired}, []State{StateSeen}}, // no person retired it, and rules or people approve it again
}

// KeyFacts are what is known of a key's use at one moment.
type KeyFacts struct {
	Served  bool // by an endpoint, when it was last reached
	Shipped bool // by a supported version of an app
	Live    bool // a certificate for it is known that has not ended
	Ordered bool // a person ordered its retirement
	// Approved means that the configuration or a person approved it: only they end it.
	Approved bool
	// Replaced means that every probed host that it is approved for now serves other
	// trusted keys.
	Replaced bool
	// Kept means that another served key does not replace it: the configuration lists it,
	// or it is an issuer's key, and CAs use several.
	Kept bool
}

// ended reports whether a key ends by itself: only rules approved it, by certificates that
// have all ended, and it is not in use.
func (f KeyFacts) ended() bool { return !f.Served && !f.Shipped && !f.Live && !f.Approved }

// Settle returns the next state of a key that follows from its use, the actor that moves
// it, and why. It returns the same state where nothing changes;
// otherwise CheckMove allows the move. A key may have to be settled several times.
//
// A probe that does not find a key ends nothing: another server may have it. Only another
// trusted key in its place shows that it was replaced.
func Settle(s State, f KeyFacts) (to State, by Actor, reason string) {
	const noUse = "not served, not shipped, and no certificate for it is of use"
	switch s {
	case StateDeclared, StateApproved, StateShipped:
		switch {
		case f.Served:
			return StateDeployed, ByProbe, "served now"
		case f.Shipped && s != StateShipped:
			return StateShipped, ByPlan, "a supported version of an app ships it"
		case !f.Shipped && s == StateShipped:
			return StateApproved, ByPlan, "no supported version of an app ships it any more"
		case f.ended() && s == StateApproved:
			return StateRetired, ByPlan, noUse
		}
	case StateDeployed:
		switch {
		case f.Served:
		case f.Kept:
			return StateApproved, ByProbe, "no server serves it now"
		case f.Replaced:
			return StateRetiring, ByProbe, "another trusted key is served in its place"
		case f.ended():
			return StateRetiring, ByProbe, "no server serves it any more"
		}
	case StateRetiring:
		switch {
		case f.Ordered && (f.Served || f.Shipped):
		case f.Served:
			return StateDeployed, ByProbe, "served again"
		case f.Ordered, f.ended():
			return StateRetired, ByPlan, noUse
		case f.Kept:
			return StateApproved, ByProbe, "no server serves it now"
		}
	}
	return s, "", ""
}

// A Record is one entry of the audit trail: one change of what is trusted. Records
// are only ever added.
type Record struct {
	At          time.Time `json:"at"`
	Pin         Pin       `json:"pin"`                   // the key concerned; zero when it is about a certificate or an app alone
	Role        Role      `json:"role,omitempty"`        //
	Action      string    `json:"action"`                // what was done: "state", "approve", "withdraw", "judge", "import", "drop"
	From        State     `json:"from,omitempty"`        // for "state"
	To          State     `json:"to,omitempty"`          //
	Hosts       []Pattern `json:"hosts,omitempty"`       // for "approve" and "withdraw": the hosts concerned
	Certificate string    `json:"certificate,omitempty"` // for "judge": its ID in hex
	Verdict     string    `json:"verdict,omitempty"`     // for "judge": what it was judged to be
	App         string    `json:"app,omitempty"`         // for "import" and "drop"
	Version     string    `json:"version,omitempty"`     //
	Actor       Actor     `json:"actor"`                 // what kind of thing did it
	By          string    `json:"by"`                    // who: a person's name, or what stands for Actor
	Reason      string    `json:"reason"`
}
