package pins

import (
	"slices"
	"time"
)

// Which pins a client can use: the Requirements of a format have where its client looks for
// a key, and which algorithms it can hash. They are compared with the known role and
// algorithm of each key, for gates, plans and imports. Exports use Requirement.Hashes.

// unusable returns why a client cannot use pin i of a requirement; nil if it can, or if that
// is not known. Then unsure is what is not known of the key.
func (v *View) unusable(r Requirement, i int) (why, unsure *Finding) {
	pin, place := r.Pins[i], r.Place(i)
	if pin.Check() != nil {
		return impossible(pin), nil
	}
	roles := v.rolesOf(pin)
	f := &Finding{Pin: pin, At: place, Algorithm: v.algorithm(pin), Algorithms: r.Algorithms}
	switch {
	case len(roles) > 0 && !slices.ContainsFunc(roles, place.Takes):
		f.Code, f.Role = PinMisplaced, roles[0]
		f.Do = []Action{{Do: MovePin, Role: roles[0]}}
	case !r.Hashes(f.Algorithm):
		f.Code, f.Do = KeyUnhashable, []Action{{Do: ReplaceKey, Algorithms: r.Algorithms}}
	case r.Algorithms != nil && f.Algorithm == "":
		f.Code = AlgorithmUnknown
		return nil, f
	default:
		return nil, nil
	}
	return f, nil
}

// rolesOf returns the roles in which a key is trusted, or else those in which it was seen.
// What a person decided counts more than what was seen.
func (v *View) rolesOf(pin Pin) []Role {
	var trusted, known []Role
	for _, role := range []Role{RoleLeaf, RoleIssuer} {
		if k := v.Key(pin, role); k != nil {
			known = append(known, role)
			if k.State.Trusted() {
				trusted = append(trusted, role)
			}
		}
	}
	if trusted != nil {
		return trusted
	}
	return known
}

// trustedAt reports whether a key is trusted for a pattern's hosts in a role that can
// stand at a position.
func (v *View) trustedAt(pin Pin, place Position, p Pattern) bool {
	return place.Takes(RoleLeaf) && v.Trusted(pin, RoleLeaf, p) != nil || place.Takes(RoleIssuer) && v.Trusted(pin, RoleIssuer, p) != nil
}

// pinnable returns the keys of served chains that a pin set has to have, sorted: the leaf
// keys, or the issuers' keys. For issuers, these are the trusted ones of each chain, which
// may be a root alone, so that a new intermediate below it does not matter; if none is
// trusted, the leaf's issuer. A compromised key is always among them.
func (v *View) pinnable(p Pattern, served []*Served, r Role) (out []Pin) {
	if r == RoleLeaf {
		return keysOf(served, r)
	}
	for _, s := range served {
		n, found := len(out), false
		for _, c := range v.completions(s.Chain) {
			for _, pin := range c.Pins[min(1, len(c.Pins)):] {
				trusted := v.Trusted(pin, r, p) != nil
				found = found || trusted
				if k := v.Key(pin, r); trusted || k != nil && k.State == StateCompromised {
					out = append(out, pin)
				}
			}
		}
		if issuer := s.Chain.Issuer(); !found && !issuer.IsZero() && !slices.Contains(out[n:], issuer) {
			out = append(out, issuer)
		}
	}
	return sortedPins(out)
}

// hasUsable reports whether a requirement has a pin that the client can use and that ok
// accepts.
func (v *View) hasUsable(r Requirement, ok func(Pin) bool) bool {
	for i, pin := range r.Pins {
		if why, _ := v.unusable(r, i); why == nil && ok(pin) {
			return true
		}
	}
	return false
}

// Unusable returns the pins for an app's hosts that its client cannot use, whatever is
// served.
func (v *View) Unusable(app *App, rules Rules) (problems []Finding) {
	for _, p := range app.Hosts {
		t := v.target(app, p)
		c := checker{app: app, target: t}
		for _, h := range t.orSample() {
			for _, r := range rules.Requirements(h, v.now) {
				for i := range r.Pins {
					if why, _ := v.unusable(r, i); why != nil {
						c.bad(*why)
					}
				}
			}
		}
		problems = append(problems, c.problems...)
	}
	return problems
}

// An Explainer is Rules that can explain why the client does not pin a host.
type Explainer interface {
	// Unpinned explains why a host is not pinned at a time, in sentences with the line of
	// the file; "" if the file has no entry for it.
	Unpinned(host string, at time.Time) string
}

// notPinning returns the finding that a file does not pin a host, and why.
func notPinning(rules Rules, host string, at time.Time) Finding {
	f := Finding{Code: FileNotPinning, Names: []string{host}}
	if e, ok := rules.(Explainer); ok {
		f.Detail = e.Unpinned(host, at)
	}
	return f
}

// Pins reports whether rules pin any of an app's hosts now. Where they do not, why has a
// finding for each host.
func (v *View) Pins(app *App, rules Rules) (yes bool, why []Finding) {
	for _, p := range app.Hosts {
		t := v.target(app, p)
		for _, h := range t.orSample() {
			if len(rules.Requirements(h, v.now)) > 0 {
				return true, nil
			}
			why = append(why, notPinning(rules, h, v.now))
		}
	}
	return false, why
}
