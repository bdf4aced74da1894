package pins

import (
	"slices"
	"time"
)

// What a client can make use of: each format says in its Requirements where its
// client looks for a key, and keys of which algorithms it can hash. Here that is
// compared with what is known of the keys. Gates, plans and imports all ask here;
// exports ask Requirement.Hashes.

// unusable returns why a client cannot use the pin of a requirement with an index; nil if
// it can, as far as is known. Unsure is what is not known of the key and would have to be
// known for that; nil for nothing.
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

// rolesOf lists the roles that a key is known in: those in which it is trusted, and
// else those in which it was seen. That it was seen in another says nothing against
// what a person says of it.
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

// pinnable lists the keys of what is served that stand for it in a pin set, sorted: the
// leaves', or those of issuers. Of a chain these are the issuers that somebody vouches
// for, which may be a root alone: a new intermediate below it is no matter then. Where
// nobody vouches for any it is the leaf's issuer. A compromised key is always among them.
func (v *View) pinnable(p Pattern, served []*Served, r Role) (out []Pin) {
	if r == RoleLeaf {
		return keysOf(served, r)
	}
	for _, s := range served {
		n, vouched := len(out), false
		for _, c := range v.completions(s.Chain) {
			for _, pin := range c.Pins[min(1, len(c.Pins)):] {
				trusted := v.Trusted(pin, r, p) != nil
				vouched = vouched || trusted
				if k := v.Key(pin, r); trusted || k != nil && k.State == StateCompromised {
					out = append(out, pin)
				}
			}
		}
		if issuer := s.Chain.Issuer(); !vouched && !issuer.IsZero() && !slices.Contains(out[n:], issuer) {
			out = append(out, issuer)
		}
	}
	return sortedPins(out)
}

// hasUsable reports whether a requirement has a pin which the client can make use of,
// and of which ok holds.
func (v *View) hasUsable(r Requirement, ok func(Pin) bool) bool {
	for i, pin := range r.Pins {
		if why, _ := v.unusable(r, i); why == nil && ok(pin) {
			return true
		}
	}
	return false
}

// Unusable lists the pins of an app's hosts that its client can make no use of,
// whatever is served.
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

// An Explainer is Rules that can say why the client does not pin a host.
type Explainer interface {
	// Unpinned says why a host is not pinned at a time, as sentences with the line of
	// the file; "" where there is nothing to say but that no entry is for it.
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
