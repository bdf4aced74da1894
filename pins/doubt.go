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
	case v.outOfUse(pin) != "":
		f.Code, f.State = KeyOutOfUse, v.outOfUse(pin)
	case slices.ContainsFunc(v.issuedFor[pin], func(c *Issued) bool { return c.Rejected }):
		f.Code, f.Certificate = KeyRejected, v.rejectedID(pin)
	case k == nil && v.anyKey(pin) != nil:
		f.Code = KeyOtherRole
	case k == nil:
		f.Code = KeyUndeclared
	case k.State.Trusted():
		f.Code, f.Scope = KeyOtherHosts, k.ApprovedFor
	}
	if f.Code == KeyOutOfUse || f.Code == KeyRejected {
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
		a.Do, a.Despite = Approve, v.OnlyUnexpected(pin)
	}
	return a
}

// OnlyUnexpected reports whether all that is known of an untrusted leaf key is unexpected
// certificates.
func (v *View) OnlyUnexpected(pin Pin) bool {
	if !v.isRejected(pin) || slices.ContainsFunc(v.issuedFor[pin], func(c *Issued) bool { return !c.Rejected }) {
		return false
	}
	for _, served := range v.served {
		if slices.ContainsFunc(served, func(s *Served) bool { return s.Chain.Leaf() == pin }) {
			return false
		}
	}
	return true
}

// outOfUse returns the state of a key that is compromised or retired, in either role; ""
// for any other key.
func (v *View) outOfUse(pin Pin) State {
	r := v.keys[pin]
	for _, state := range []State{StateCompromised, StateRetired} {
		if r.leaf != nil && r.leaf.State == state || r.issuer != nil && r.issuer.State == state {
			return state
		}
	}
	return ""
}

// trustedNext reports whether a pin is good for the next key of a host: its key is trusted
// for the host, in a role that the client looks for at the place, and is not retiring.
func (v *View) trustedNext(pin Pin, place Position, host string) bool {
	return !v.isCompromised(pin) && slices.ContainsFunc([]Role{RoleLeaf, RoleIssuer}, func(r Role) bool {
		k := v.Trusted(pin, r, Pattern{Name: host})
		return place.Takes(r) && k != nil && k.State.Coming()
	})
}

// isBackup reports whether pin i of a requirement is a backup for a host: the client can
// use it, its key is trusted, and it is not in the served chains.
func (v *View) isBackup(r Requirement, i int, host string, served []*Served) bool {
	unusable, _ := v.unusable(r, i)
	return unusable == nil && !inChains(served, r.Pins[i]) && v.trustedNext(r.Pins[i], r.Place(i), host)
}

// hasBackup reports whether a requirement has a backup pin.
func (v *View) hasBackup(r Requirement, host string, served []*Served) bool {
	for i := range r.Pins {
		if v.isBackup(r, i, host, served) {
			return true
		}
	}
	return false
}

// notBackups returns why each pin of a requirement that is not served is no backup.
func (v *View) notBackups(r Requirement, host string, served []*Served) (out []Finding) {
	for i, pin := range r.Pins {
		if !inChains(served, pin) && !v.isBackup(r, i, host, served) {
			out = append(out, v.whyNoBackup(r, i, host))
		}
	}
	return out
}

// whyNoBackup returns why a pin that no chain shows is no backup.
func (v *View) whyNoBackup(r Requirement, i int, host string) Finding {
	pin := r.Pins[i]
	k := v.anyKey(pin)
	if other := v.keys[pin].issuer; other != nil && r.Place(i).Takes(RoleIssuer) && !k.State.Trusted() {
		k = other
	}
	unusable, _ := v.unusable(r, i)
	f := Finding{Pin: pin, Host: Pattern{Name: host}}
	switch {
	case pin.Check() != nil:
		return *impossible(pin)
	case k == nil:
		f.Code = KeyUndeclared
	case v.isCompromised(pin):
		f.Code, f.State = KeyOutOfUse, StateCompromised
	case v.isRejected(pin):
		f.Code, f.Certificate = KeyRejected, v.rejectedID(pin)
	case unusable != nil:
		f.Code, f.Because = KeyUnusable, []Finding{*unusable}
	case k.State == StateSeen:
		f.Code = KeyUnapproved
	case !k.State.Coming():
		f.Code, f.State = KeyOutOfUse, k.State
	default:
		f.Code, f.Scope = KeyOtherHosts, k.ApprovedFor
	}
	return f
}

// isCompromised reports whether a pin's key is compromised, in either role.
func (v *View) isCompromised(pin Pin) bool {
	r := v.keys[pin]
	return r.leaf != nil && r.leaf.State == StateCompromised || r.issuer != nil && r.issuer.State == StateCompromised
}

// isRejected reports whether an untrusted leaf key has a rejected certificate. A trusted key
// stays trusted: anyone can have a certificate issued for a key that is not theirs.
func (v *View) isRejected(pin Pin) bool {
	if k := v.Key(pin, RoleLeaf); k != nil && k.State.Trusted() {
		return false
	}
	return slices.ContainsFunc(v.issuedFor[pin], func(c *Issued) bool { return c.Rejected })
}

// A danger is what is wrong with a chain that is served, whatever apps accept.
type danger uint8

const (
	safe        danger = iota
	compromised        // a key in it is compromised
	rejected           // its certificate, or another one for its key, was rejected
)

// danger returns what is wrong with a served chain, and with which key.
func (v *View) danger(s *Served) (danger, Pin) {
	for _, c := range v.completions(s.Chain) {
		for _, pin := range c.Pins {
			if v.isCompromised(pin) {
				return compromised, pin
			}
		}
	}
	if v.rejectedCert[s.ID] || v.isRejected(s.Chain.Leaf()) {
		return rejected, s.Chain.Leaf()
	}
	return safe, Pin{}
}

// isUnapproved reports whether a served key, in the role that the app pins, is not approved
// for a target's hosts. An unknown key counts as unapproved.
func (v *View) isUnapproved(s *Served, t *target, role Role) bool {
	keys := v.pinnable(t.Pattern, []*Served{s}, role)
	return len(keys) == 0 || slices.ContainsFunc(keys, func(pin Pin) bool { return v.Trusted(pin, role, t.Pattern) == nil })
}
