package pins

// A PolicyGrant is a host that a rule in the configuration approves a key for.
type PolicyGrant struct {
	Pin     Pin
	Role    Role // optional: leaf
	Pattern Pattern
	Reason  string // which rule
}

// A PinRole names a key in one of its roles.
type PinRole struct {
	Pin  Pin
	Role Role
}

// A GrantChange is hosts that a key is approved for, or no longer.
type GrantChange struct {
	PinRole
	Hosts  []Pattern
	Reason string // of an approval
}

// CompareGrants returns what has to change for policy to approve what is wanted and no
// more, each key once. had is what it approves so far, in the order of keys, and states
// has the keys that are known. may reports whether policy may approve a key.
//
// A key that is retired is approved again, if it may, for all that is wanted.
func CompareGrants(had, want []PolicyGrant, states map[PinRole]State, may func(PinRole) (bool, error)) (approve, withdraw []GrantChange, err error) {
	type grant struct {
		PinRole
		Pattern
	}
	before := make(map[grant]bool, len(had))
	for _, g := range had {
		before[grant{PinRole{g.Pin, g.Role}, g.Pattern}] = true
	}
	wanted := make(map[grant]bool, len(want))
	index := make(map[PinRole]int) // in approve
	for _, w := range want {
		if w.Role == "" {
			// Not every role that the key is known in: a rule does not grant more as more
			// becomes known.
			w.Role = RoleLeaf
		}
		key := PinRole{w.Pin, w.Role}
		g := grant{key, w.Pattern}
		wanted[g] = true
		if before[g] && states[key] != StateRetired {
			continue
		}
		if ok, err := may(key); err != nil {
			return nil, nil, err
		} else if !ok {
			continue
		}
		i, ok := index[key]
		if !ok {
			i = len(approve)
			index[key] = i
			approve = append(approve, GrantChange{PinRole: key, Reason: w.Reason})
		}
		approve[i].Hosts = append(approve[i].Hosts, w.Pattern)
	}
	for _, g := range had {
		key := PinRole{g.Pin, g.Role}
		if wanted[grant{key, g.Pattern}] {
			continue
		}
		if n := len(withdraw); n == 0 || withdraw[n-1].PinRole != key {
			withdraw = append(withdraw, GrantChange{PinRole: key})
		}
		last := &withdraw[len(withdraw)-1]
		last.Hosts = append(last.Hosts, g.Pattern)
	}
	return approve, withdraw, nil
}
