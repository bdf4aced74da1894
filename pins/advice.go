package pins

import (
	"fmt"
	"slices"
)

// Doubt says why a key is not trusted in a role for a pattern's hosts, and what to do
// about it if it is the reader's own; "" if it is trusted. Nobody is advised to approve
// a key that was given up, or that has a certificate which should not exist.
func (v *View) Doubt(pin Pin, role Role, p Pattern) string {
	if err := pin.Check(); err != nil {
		return capital(err.Error()) + "."
	}
	if v.Trusted(pin, role, p) != nil {
		return ""
	}
	if state := v.givenUp(pin); state != "" {
		return fmt.Sprintf("%s is %s: leave it out.", pin, state)
	}
	if slices.ContainsFunc(v.issuedFor[pin], func(c *Issued) bool { return c.Rejected }) {
		return fmt.Sprintf("%s is the key of a certificate that should not exist: leave it out.", pin)
	}
	k := v.Key(pin, role)
	switch {
	case k == nil && v.anyKey(pin) != nil:
		known := "a server"
		if role == RoleLeaf {
			known = "a CA"
		}
		return fmt.Sprintf("%s is known as the key of %s only. If it is %s: %s.", pin, known, role.words(), v.approve(pin, role, p))
	case k == nil:
		return fmt.Sprintf("Nobody has declared %s. If it is %s: %s.", pin, role.words(), v.approve(pin, role, p))
	case k.State.Trusted():
		return fmt.Sprintf("%s is approved for %s and not for %s. If it is for that, too: %s.", pin, patternList(k.ApprovedFor), p, v.approve(pin, role, p))
	}
	return fmt.Sprintf("Nobody has approved %s. If it is %s: %s.", pin, role.words(), v.approve(pin, role, p))
}

func (r Role) words() string {
	if r == RoleIssuer {
		return "the key of a CA that you trust"
	}
	return "yours"
}

// approve is the command by which a person approves a key in a role: one that is known
// in it is approved, and any other declared. The one refuses what the other is for.
func (v *View) approve(pin Pin, role Role, p Pattern) string {
	host := shellWord(p.String())
	switch {
	case v.Key(pin, role) != nil:
		return fmt.Sprintf("ctwatch pins approve %s --host %s --reason TEXT", pin, host)
	case role == RoleIssuer:
		return fmt.Sprintf("ctwatch certs authorize %s --issuer --domain %s --reason TEXT", pin, host)
	}
	return fmt.Sprintf("ctwatch certs authorize %s --domain %s --reason TEXT", pin, host)
}

// declareAnother is the command by which a person declares a backup. A certificate
// signing request is of no use for an app that pins issuers.
func declareAnother(role Role, p Pattern) string {
	if role == RoleIssuer {
		return fmt.Sprintf("ctwatch certs authorize CA.pem --issuer --domain %s --reason TEXT", shellWord(p.String()))
	}
	return fmt.Sprintf("ctwatch certs authorize KEY.csr --domain %s --reason TEXT", shellWord(p.String()))
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
