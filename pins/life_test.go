package pins_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"ctwatch/pins"
)

var everyState = []pins.State{
	pins.StateUnknown, pins.StateDeclared, pins.StateSeen, pins.StateApproved, pins.StateShipped,
	pins.StateDeployed, pins.StateRetiring, pins.StateRetired, pins.StateCompromised,
}

// Only a person, or a rule that a person wrote, moves a key to a trusted state.
func TestOnlyPeopleAndRulesApprove(t *testing.T) {
	for _, by := range []pins.Actor{pins.Person, pins.Policy, pins.ByLog, pins.ByProbe, pins.ByPlan, "", "stranger"} {
		for _, from := range everyState {
			for _, to := range everyState {
				err := pins.CheckMove(from, to, by)
				if err == nil && to.Trusted() && !from.Trusted() && by != pins.Person && by != pins.Policy {
					t.Errorf("%s leads from %q to %q", by, from, to)
				}
				if err != nil && !errors.Is(err, pins.ErrState) {
					t.Errorf("%q to %q: %v", from, to, err)
				}
				if err != nil && from == pins.StateCompromised && to == pins.StateApproved && err.Error() != "the key is compromised and can never be approved" {
					t.Errorf("compromised: %v", err)
				}
				if err == nil && from == pins.StateCompromised {
					t.Errorf("%s leads from compromised to %q", by, to)
				}
				if err == nil && by == pins.Policy && (from == pins.StateRetired) {
					t.Errorf("a rule brings a retired key back as %q", to)
				}
			}
		}
	}
}

// Each move of Settle is one that CheckMove allows, and it comes to an end.
func TestSettleObeysCheckMove(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(everyState).Draw(t, "state")
		f := pins.KeyFacts{
			Served: rapid.Bool().Draw(t, "served"), Shipped: rapid.Bool().Draw(t, "shipped"),
			Live: rapid.Bool().Draw(t, "live"), Ordered: rapid.Bool().Draw(t, "ordered"),
			Approved: rapid.Bool().Draw(t, "approved"), Replaced: rapid.Bool().Draw(t, "replaced"), Kept: rapid.Bool().Draw(t, "kept"),
		}
		from, approved := s, f.Approved && !f.Ordered && s.Trusted()
		for n := 0; ; n++ {
			to, by, reason := pins.Settle(s, f)
			if to == s {
				break
			}
			if err := pins.CheckMove(s, to, by); err != nil {
				t.Fatal(err)
			}
			if reason == "" {
				t.Fatalf("no reason to move from %s to %s", s, to)
			}
			if n > 3 {
				t.Fatalf("it does not settle: %+v", f)
			}
			s = to
		}
		if s.Trusted() && f.Served && !f.Ordered && s != pins.StateDeployed {
			t.Fatalf("served, and %s", s)
		}
		if approved && (!s.Trusted() || s == pins.StateRetiring && from != s && !f.Replaced) {
			t.Fatalf("it is approved, and it went from %s to %s", from, s)
		}
	})
}

// The use of a key moves it along.
func TestSettle(t *testing.T) {
	for name, c := range map[string]struct {
		from pins.State
		f    pins.KeyFacts
		to   pins.State
	}{
		"a seen key that is served stays seen":           {pins.StateSeen, pins.KeyFacts{Served: true, Live: true, Shipped: true}, pins.StateSeen},
		"an approved key that is shipped":                {pins.StateApproved, pins.KeyFacts{Shipped: true}, pins.StateShipped},
		"a declared key goes live before a log shows it": {pins.StateDeclared, pins.KeyFacts{Served: true}, pins.StateDeployed},
		"a key whose last version ended":                 {pins.StateShipped, pins.KeyFacts{Live: true}, pins.StateApproved},
		"a deployed key that a look did not find":        {pins.StateDeployed, pins.KeyFacts{Live: true}, pins.StateDeployed},
		"a deployed key that another one replaced":       {pins.StateDeployed, pins.KeyFacts{Live: true, Shipped: true, Replaced: true}, pins.StateRetiring},
		"a listed key that another one took turns with":  {pins.StateDeployed, pins.KeyFacts{Approved: true, Replaced: true, Kept: true}, pins.StateApproved},
		"a listed key that was on its way out":           {pins.StateRetiring, pins.KeyFacts{Approved: true, Replaced: true, Kept: true}, pins.StateApproved},
		"a listed key that a person retires":             {pins.StateRetiring, pins.KeyFacts{Approved: true, Kept: true, Ordered: true}, pins.StateRetired},
		"a deployed key no longer in use":                {pins.StateDeployed, pins.KeyFacts{}, pins.StateRetiring},
		"a retiring key served again":                    {pins.StateRetiring, pins.KeyFacts{Live: true, Served: true}, pins.StateDeployed},
		"a retiring key whose successor is gone":         {pins.StateRetiring, pins.KeyFacts{Live: true}, pins.StateRetiring},
		"a retiring key that apps still ship":            {pins.StateRetiring, pins.KeyFacts{Shipped: true, Replaced: true}, pins.StateRetiring},
		"a retiring key with a certificate left":         {pins.StateRetiring, pins.KeyFacts{Live: true, Replaced: true}, pins.StateRetiring},
		"a retiring key that a person approved":          {pins.StateRetiring, pins.KeyFacts{Approved: true, Replaced: true}, pins.StateRetiring},
		"a retiring key without a use":                   {pins.StateRetiring, pins.KeyFacts{Replaced: true}, pins.StateRetired},
		"a key with expired certificates only":           {pins.StateApproved, pins.KeyFacts{}, pins.StateRetired},
		"a key that a person keeps without certificates": {pins.StateApproved, pins.KeyFacts{Approved: true}, pins.StateApproved},
		"retired by order, while it is served":           {pins.StateRetiring, pins.KeyFacts{Ordered: true, Approved: true, Served: true, Live: true}, pins.StateRetiring},
		"retired by order, once it is not":               {pins.StateRetiring, pins.KeyFacts{Ordered: true, Approved: true, Live: true}, pins.StateRetired},
		"a compromised key":                              {pins.StateCompromised, pins.KeyFacts{Served: true, Shipped: true, Live: true}, pins.StateCompromised},
	} {
		if to, _, _ := pins.Settle(c.from, c.f); to != c.to {
			t.Errorf("%s: %s, want %s", name, to, c.to)
		}
	}
}
