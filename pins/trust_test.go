package pins_test

import (
	"slices"
	"testing"

	"ctwatch/pins"
)

// TestApproving: the way to trust depends on who approves, and who retired the key.
func TestApproving(t *testing.T) {
	for name, c := range map[string]struct {
		state    pins.State
		by       pins.Actor
		byPerson bool
		want     []pins.State
	}{
		"unknown":                            {pins.StateUnknown, pins.Person, false, []pins.State{pins.StateDeclared}},
		"unknown, by policy":                 {pins.StateUnknown, pins.Policy, false, []pins.State{pins.StateDeclared}},
		"seen":                               {pins.StateSeen, pins.Person, false, []pins.State{pins.StateApproved}},
		"seen, by policy":                    {pins.StateSeen, pins.Policy, false, []pins.State{pins.StateApproved}},
		"declared":                           {pins.StateDeclared, pins.Person, false, nil},
		"approved":                           {pins.StateApproved, pins.Policy, false, nil},
		"deployed":                           {pins.StateDeployed, pins.Person, false, nil},
		"retiring: called off":               {pins.StateRetiring, pins.Person, false, []pins.State{pins.StateApproved}},
		"retiring, by policy":                {pins.StateRetiring, pins.Policy, false, nil},
		"retired":                            {pins.StateRetired, pins.Person, true, []pins.State{pins.StateApproved}},
		"retired by the plan, by policy":     {pins.StateRetired, pins.Policy, false, []pins.State{pins.StateSeen, pins.StateApproved}},
		"retired by a person, by policy":     {pins.StateRetired, pins.Policy, true, []pins.State{pins.StateApproved}},
		"compromised: left to the state law": {pins.StateCompromised, pins.Person, false, []pins.State{pins.StateApproved}},
	} {
		if got := pins.Approving(c.state, c.by, c.byPerson); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestApprovingKeepsTheLaw: what Approving proposes is allowed, except what a person
// retired and what is compromised.
func TestApprovingKeepsTheLaw(t *testing.T) {
	for _, s := range []pins.State{
		pins.StateUnknown, pins.StateSeen, pins.StateDeclared, pins.StateApproved, pins.StateShipped, pins.StateDeployed, pins.StateRetiring, pins.StateRetired,
	} {
		for _, by := range []pins.Actor{pins.Person, pins.Policy} {
			from := s
			for _, to := range pins.Approving(s, by, false) {
				actor := by
				if to == pins.StateSeen {
					actor = pins.ByPlan
				}
				if err := pins.CheckMove(from, to, actor); err != nil {
					t.Errorf("%s by %s: %v", s, by, err)
				}
				from = to
			}
		}
	}
	if pins.CheckMove(pins.StateRetired, pins.Approving(pins.StateRetired, pins.Policy, true)[0], pins.Policy) == nil {
		t.Error("a policy approves what a person retired")
	}
}

// TestRetiring: a trusted key leaves by way of StateRetiring, one that is compromised
// at once.
func TestRetiring(t *testing.T) {
	for name, c := range map[string]struct {
		state                pins.State
		compromised, ordered bool
		want                 pins.State // "" if nothing changes
	}{
		"seen":                  {pins.StateSeen, false, false, pins.StateRetired},
		"approved":              {pins.StateApproved, false, false, pins.StateRetiring},
		"retiring by itself":    {pins.StateRetiring, false, false, pins.StateRetiring},
		"retiring by a person":  {pins.StateRetiring, false, true, ""},
		"retired":               {pins.StateRetired, false, false, ""},
		"compromised":           {pins.StateCompromised, false, false, ""},
		"unknown, compromised":  {pins.StateUnknown, true, false, pins.StateCompromised},
		"deployed, compromised": {pins.StateDeployed, true, false, pins.StateCompromised},
		"compromised again":     {pins.StateCompromised, true, false, ""},
	} {
		to, ok := pins.Retiring(c.state, c.compromised, c.ordered)
		if ok != (c.want != "") || ok && to != c.want {
			t.Errorf("%s: %s, %v; want %q", name, to, ok, c.want)
		}
		if err := pins.CheckMove(c.state, to, pins.Person); ok && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRetiredByPerson: what the plan retired by itself, a policy may bring back.
func TestRetiredByPerson(t *testing.T) {
	by := func(a pins.Actor, to pins.State) pins.Record { return pins.Record{Actor: a, To: to} }
	for name, c := range map[string]struct {
		changes []pins.Record
		want    bool
	}{
		"nothing known":            {nil, true},
		"a person":                 {[]pins.Record{by(pins.Person, pins.StateRetired)}, true},
		"a policy":                 {[]pins.Record{by(pins.Policy, pins.StateRetired)}, true},
		"the plan, from nothing":   {[]pins.Record{by(pins.ByPlan, pins.StateRetired)}, true},
		"the plan, after an order": {[]pins.Record{by(pins.ByPlan, pins.StateRetired), by(pins.Person, pins.StateRetiring)}, true},
		"the plan, by itself":      {[]pins.Record{by(pins.ByPlan, pins.StateRetired), by(pins.ByProbe, pins.StateRetiring)}, false},
		"the plan, from approved":  {[]pins.Record{by(pins.ByPlan, pins.StateRetired), by(pins.Person, pins.StateApproved)}, false},
	} {
		if got := pins.RetiredByPerson(c.changes); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestPolicyMayApprove: a policy brings back nothing that leaked, and nothing that a
// person retired.
func TestPolicyMayApprove(t *testing.T) {
	for name, c := range map[string]struct {
		state    pins.State
		other    pins.State
		byPerson bool
		want     bool
	}{
		"seen":                         {pins.StateSeen, pins.StateSeen, false, true},
		"compromised":                  {pins.StateCompromised, pins.StateSeen, false, false},
		"compromised in another role":  {pins.StateSeen, pins.StateCompromised, false, false},
		"retired by a person":          {pins.StateRetired, pins.StateSeen, true, false},
		"retired by the plan":          {pins.StateRetired, pins.StateSeen, false, true},
		"approved, and retired before": {pins.StateApproved, pins.StateSeen, true, true},
	} {
		if got := pins.PolicyMayApprove(c.state, []pins.State{c.state, c.other}, c.byPerson); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestRulesMayGrant: rules continue for a key whose certificate is unexpected, and do
// not begin to.
func TestRulesMayGrant(t *testing.T) {
	for name, c := range map[string]struct {
		evidence pins.Evidence
		already  bool
		want     bool
	}{
		"nothing against it":       {pins.Evidence{}, false, true},
		"unexpected first":         {pins.Evidence{UnexpectedFirst: true}, false, false},
		"unexpected, but ours":     {pins.Evidence{UnexpectedFirst: true}, true, true},
		"contradicted":             {pins.Evidence{Contradicted: true}, false, false},
		"contradicted, and theirs": {pins.Evidence{Contradicted: true}, true, false},
	} {
		if got := c.evidence.RulesMayGrant(c.already); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestReplaced: a key is replaced where every host it is for serves other trusted keys.
func TestReplaced(t *testing.T) {
	a, b := pins.Pin{1}, pins.Pin{2}
	host := func(s string) pins.Pattern { return pins.Pattern{Name: s} }
	serves := func(host string, leaf pins.Pin) pins.Served {
		return pins.Served{Host: host, Chain: pins.Chain{Pins: []pins.Pin{leaf}}}
	}
	approved := map[pins.Pin][]pins.Pattern{b: {host("a.example"), host("b.example")}}
	for name, c := range map[string]struct {
		key    []pins.Pattern
		served []pins.Served
		want   bool
	}{
		"nothing seen":                 {[]pins.Pattern{host("a.example")}, nil, false},
		"another trusted key":          {[]pins.Pattern{host("a.example")}, []pins.Served{serves("a.example", b)}, true},
		"an untrusted key":             {[]pins.Pattern{host("a.example")}, []pins.Served{serves("a.example", a)}, false},
		"both, the trusted one last":   {[]pins.Pattern{host("a.example")}, []pins.Served{serves("a.example", a), serves("a.example", b)}, false},
		"both, the trusted one first":  {[]pins.Pattern{host("a.example")}, []pins.Served{serves("a.example", b), serves("a.example", a)}, false},
		"one of two hosts":             {[]pins.Pattern{host("a.example"), host("b.example")}, []pins.Served{serves("a.example", b), serves("b.example", a)}, false},
		"one host, the other not seen": {[]pins.Pattern{host("a.example"), host("c.example")}, []pins.Served{serves("a.example", b)}, true},
		"trusted, but not there":       {[]pins.Pattern{host("c.example")}, []pins.Served{serves("c.example", b)}, false},
	} {
		if got := pins.Replaced(c.key, pins.HostsTrusted(c.served, approved)); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
