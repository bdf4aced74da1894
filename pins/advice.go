package pins

import (
	"errors"
	"slices"
)

// Doubt returns why a key is not trusted in a role for a pattern's hosts, and what to do
// about it if it is the reader's own; nil if it is trusted. No action approves a key that
// was retired or compromised, or for which a certificate was rejected.
func (v *View) Doubt(pin Pin, role Role, p Pattern) *Finding {
	if v.Trusted(pin, role, p) != nil {
		return nil
	}
	f := &Finding{Code: KeyUnapproved, Host: p, Role: role, Pin: pin}
	k := v.Key(pin, role)
	switch {
	case pin.Check() != nil:
		return impossible(pin)
	case v.givenUp(pin) != "":
		f.Code, f.State = KeyGivenUp, v.givenUp(pin)
	case slices.ContainsFunc(v.issuedFor[pin], func(c *Issued) bool { return c.Rejected }):
		f.Code, f.Certificate = KeyRejected, v.rejectedID(pin)
	case k == nil && v.anyKey(pin) != nil:
		f.Code = KeyOtherRole
	case k == nil:
		f.Code = KeyUndeclared
	case k.State.Trusted():
		f.Code, f.Scope = KeyOtherHosts, k.ApprovedFor
	}
	if f.Code == KeyGivenUp || f.Code == KeyRejected {
		f.Do = []Action{{Do: LeaveOut, Pin: pin}}
	} else {
		f.Do = []Action{v.approve(pin, role, p)}
	}
	return f
}

// impossible returns the finding that no key has a pin.
func impossible(pin Pin) *Finding {
	f := &Finding{Code: KeyImpossible, Pin: pin}
	if noKey := new(NoKeyError); errors.As(pin.Check(), &noKey) {
		f.Detail = noKey.What
	}
	return f
}

// rejectedID returns the ID of the certificate for which a key is refused.
func (v *View) rejectedID(pin Pin) string {
	all := v.issuedFor[pin]
	return all[slices.IndexFunc(all, func(i *Issued) bool { return i.Rejected })].ID
}

// approve returns the action by which a person approves a key in a role, if it is theirs:
// one that is known in the role is approved, and any other is declared. Each command
// refuses the keys that the other is for.
func (v *View) approve(pin Pin, role Role, p Pattern) Action {
	a := Action{Do: Declare, If: Ours, Pin: pin, Role: role, Host: p}
	if v.Key(pin, role) != nil {
		a.Do = Approve
	}
	return a
}

// givenUp returns the state of a key that a person, or its end, took out of use, in
// whichever role; "" for any other.
func (v *View) givenUp(pin Pin) State {
	r := v.keys[pin]
	for _, state := range []State{StateCompromised, StateRetired} {
		if r.leaf != nil && r.leaf.State == state || r.issuer != nil && r.issuer.State == state {
			return state
		}
	}
	return ""
}
