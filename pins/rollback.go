package pins

import (
	"slices"
	"strings"
	"time"
)

// After a rotation the old key stays among the pins for a while: if a server goes back to
// it, because the new certificate is wrong or an old backup is restored, apps must accept
// it. It stays for the app's lead time, and longer while a certificate for the key is valid,
// since a rollback would deploy that. A person who retires the key ends this at once.

// rotated reports whether a key was replaced and not retired by a person.
func (k *Key) rotated() bool {
	return (k.State == StateRetiring || k.State == StateRetired) && (k.By == string(ByProbe) || k.By == string(ByPlan))
}

// rollback returns until when a replaced key stays among the pins of a target's hosts; the
// zero time if it need not. While an unapproved key is served, all pins stay: see
// View.isUnapproved.
func (v *View) rollback(app *App, t *target, k *Key) time.Time {
	if !k.rotated() {
		return time.Time{}
	}
	until := k.ChangedAt.Add(app.LeadTime)
	for _, c := range v.certificates(t, k) {
		if !c.Rejected && c.NotAfter.After(until) && namesCover(c.Names, t.Pattern) {
			until = c.NotAfter
		}
	}
	if !until.After(v.now) {
		return time.Time{}
	}
	return until.UTC()
}

// certificates returns the certificates for a key that may be valid for a target's hosts.
func (v *View) certificates(t *target, k *Key) (out []*Issued) {
	if k.Role == RoleLeaf {
		return v.issuedFor[k.Pin]
	}
	names := []Pattern{t.Pattern}
	if _, parent, ok := strings.Cut(t.Name, "."); ok && t.Reach == Exact {
		names = append(names, Pattern{parent, OneBelow})
	} else {
		for _, h := range t.hosts {
			names = append(names, Pattern{Name: h})
		}
	}
	for _, name := range names {
		for _, c := range v.issued[name] {
			if c.Chain.Issuer() == k.Pin {
				out = append(out, c)
			}
		}
	}
	return out
}

// planRemovals fills in which pins to drop from the newest version, and which to keep for a
// rollback.
func (j *judge) planRemovals(p *HostPlan, newest []Pin) {
	foreign := slices.ContainsFunc(j.served, func(s *Served) bool { return j.v.isUnapproved(s, &j.target, j.app.Role) })
	for _, pin := range newest {
		if pin.Check() != nil || j.v.isCompromised(pin) {
			p.Remove = append(p.Remove, pin)
			continue
		}
		if inChains(j.served, pin) || !j.noFallback(pin) {
			continue
		}
		if foreign {
			// The served key may be an attacker's, and this the key to go back to.
			j.keep(p, pin, KeepWhileUnapproved, time.Time{}, time.Time{})
			continue
		}
		k := j.v.anyKey(pin)
		if until := j.v.rollback(j.app, &j.target, k); !until.IsZero() {
			j.keep(p, pin, KeepForRollback, k.ChangedAt, until)
			continue
		}
		p.Remove = append(p.Remove, pin)
	}
}

func (j *judge) keep(p *HostPlan, pin Pin, why Code, from, until time.Time) {
	p.Keep = append(p.Keep, pin)
	f := j.about(why)
	f.Pin, f.From, f.Until = pin, from, until
	if why == KeepWhileUnapproved && slices.ContainsFunc(j.served, func(s *Served) bool { d, _ := j.v.danger(s); return d == compromised }) {
		f.State = StateCompromised
	}
	j.more = append(j.more, f)
}

// noFallback reports whether a pin that is not served is no longer a backup: its key was
// retired, or all its known certificates have ended and it is not approved. An unknown pin
// may be that of a key in a safe.
func (j *judge) noFallback(pin Pin) bool {
	k := j.v.anyKey(pin)
	if k == nil {
		return false
	}
	switch k.State {
	case StateRetiring, StateRetired, StateCompromised:
		return true
	case StateSeen:
		return k.Role == RoleLeaf && len(k.Certificates) > 0 && len(j.v.issuedFor[pin]) == 0
	}
	return false
}

// spares returns the keys that a server of the target can change to without a release:
// trusted ones that every supported version pins.
func (j *judge) spares() (out []Pin) {
	for _, k := range j.v.TrustedFor(j.Pattern, j.app.Role) {
		if !k.State.Coming() || j.v.isCompromised(k.Pin) || inChains(j.served, k.Pin) {
			continue
		}
		lacks := slices.ContainsFunc(j.wants, func(rs []Requirement) bool {
			return len(rs) > 0 && !slices.Contains(AllPins(rs), k.Pin)
		})
		if !lacks {
			out = append(out, k.Pin)
		}
	}
	return out
}
