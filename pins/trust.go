package pins

import "slices"

// Approving returns the states that a key goes through when it is approved; none if it is
// trusted already. byPerson means that a person retired it: then a policy's
// approval is not allowed (CheckMove), while a key that was retired by itself is first
// seen again.
func Approving(s State, by Actor, byPerson bool) []State {
	switch {
	case s == StateUnknown:
		return []State{StateDeclared}
	case s == StateRetired && by == Policy && !byPerson:
		return []State{StateSeen, StateApproved}
	case !s.Trusted(), s == StateRetiring && by == Person:
		return []State{StateApproved}
	}
	return nil
}

// Retiring returns the state of a key that a person retires, or reports as compromised; ok
// is false if nothing changes. ordered means that a person retired
// it before.
func Retiring(s State, compromised, ordered bool) (to State, ok bool) {
	switch {
	case compromised:
		return StateCompromised, s != StateCompromised
	case s.Trusted():
		return StateRetiring, s != StateRetiring || !ordered
	case s == StateSeen:
		return StateRetired, true
	}
	return s, false
}

// RetiredByPerson reports whether a person retired a retired key, given its changes of
// state, the last first. Plans retire keys too, after a person or after their use ended.
func RetiredByPerson(changes []Record) bool {
	switch {
	case len(changes) == 0 || changes[0].Actor != ByPlan:
		return true // a person, or a policy with what a person had ordered
	case len(changes) == 1:
		return true
	}
	return changes[1].Actor == Person && changes[1].To == StateRetiring
}

// PolicyMayApprove reports whether a policy may approve a key in a state, given the
// states of its pin in all roles, and whether a person retired it. What its
// certificates are judged to be does not matter.
func PolicyMayApprove(s State, all []State, byPerson bool) bool {
	return !slices.Contains(all, StateCompromised) && (s != StateRetired || !byPerson)
}

// An Evidence is what unexpected certificates show about a leaf key. One by itself shows
// nothing: anyone who sees a public key can have a certificate issued for it.
type Evidence struct {
	// Contradicted: a person rejected a certificate by which rules approved the key.
	Contradicted bool
	// UnexpectedFirst: the first certificate of the key that a log is proven to have is
	// unexpected, and no host of ours served the key before.
	UnexpectedFirst bool
}

// RulesMayGrant reports whether rules may approve the key by certificates that they expect.
// They do not approve a key that first appeared in an unexpected certificate, since its
// owner may have obtained others; and they withdraw the approval once a person rejects a
// certificate that it is based on.
func (e Evidence) RulesMayGrant(already bool) bool {
	return !e.Contradicted && (already || !e.UnexpectedFirst)
}

// HostsTrusted returns, for each host that was seen, whether all leaf keys that it serves
// are approved for it.
func HostsTrusted(served []Served, approved map[Pin][]Pattern) map[string]bool {
	hosts := make(map[string]bool)
	for _, s := range served {
		before, known := hosts[s.Host]
		hosts[s.Host] = (before || !known) && matchesAny(approved[s.Chain.Leaf()], s.Host)
	}
	return hosts
}

// Replaced reports whether all hosts that a leaf key is approved for, and at least one,
// serve other trusted keys, as far as they were seen (HostsTrusted).
func Replaced(approved []Pattern, hosts map[string]bool) bool {
	seen := false
	for host, trusted := range hosts {
		if matchesAny(approved, host) {
			if !trusted {
				return false
			}
			seen = true
		}
	}
	return seen
}

func matchesAny(patterns []Pattern, host string) bool {
	return slices.ContainsFunc(patterns, func(p Pattern) bool { return p.Matches(host) })
}

// Without returns the patterns that are not among others.
func Without(patterns, others []Pattern) []Pattern {
	there := NewPatternSet(others...) // there may be one for each of a certificate's names
	return slices.DeleteFunc(slices.Clone(patterns), func(p Pattern) bool { return there[p] })
}
