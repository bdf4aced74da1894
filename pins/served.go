package pins

import (
	"cmp"
	"slices"
	"time"
)

const (
	// renewalPart is the part of a certificate's life in which it is renewed, the last
	// third: ACME clients renew after two thirds of it, and after half of a life of less
	// than ten days.
	renewalPart = 3
	// leastWarning is the shortest warning before a certificate ends, unless its life is
	// short: a failed renewal takes time to repair, however fast apps are released.
	leastWarning = 14 * 24 * time.Hour
)

// ExpiringFrom returns the time after which a certificate counts as expiring unless a
// successor is known: a lead time, or two weeks if that is longer, before it ends, but
// not before the last third of its life, in which renewal is due. A certificate whose start
// is not known counts as a long one.
func ExpiringFrom(notBefore, notAfter time.Time, lead time.Duration) time.Time {
	lead = max(lead, leastWarning)
	if life := notAfter.Sub(notBefore); !notBefore.IsZero() && life/renewalPart < lead {
		lead = life / renewalPart
	}
	return notAfter.Add(-lead)
}

// isExpiring reports whether the ExpiringFrom of a served certificate has passed.
func (v *View) isExpiring(s *Served, lead time.Duration) bool {
	return !s.NotAfter.IsZero() && v.now.After(ExpiringFrom(s.NotBefore, s.NotAfter, lead))
}

// Expiring returns the served certificates that are expiring or ended (ExpiringFrom, by the
// longest lead time of the host's apps) and have no successor: no other certificate is
// known that is valid for the host, ends later, and is not rejected.
func (v *View) Expiring(apps ...App) []*Served {
	var out []*Served
	for host, list := range v.served {
		lead := longestLead(apps, host)
		for _, s := range list {
			if !v.isExpiring(s, lead) {
				continue
			}
			t := target{Pattern: Pattern{Name: host}, hosts: []string{host}, served: []*Served{s}}
			if !slices.ContainsFunc(v.coming(&t), func(c *Issued) bool { return c.NotAfter.After(s.NotAfter) }) {
				out = append(out, s)
			}
		}
	}
	slices.SortFunc(out, func(a, b *Served) int {
		return cmp.Or(a.NotAfter.Compare(b.NotAfter), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Address, b.Address))
	})
	return out
}

// longestLead returns the longest lead time of a host's apps.
func longestLead(apps []App, host string) (lead time.Duration) {
	for i := range apps {
		if slices.ContainsFunc(apps[i].Hosts, func(p Pattern) bool { return p.Matches(host) }) {
			lead = max(lead, apps[i].LeadTime)
		}
	}
	return lead
}

// Unprobed reports whether the configuration turns off probing of a pattern's hosts. What is
// known of them then is what a person probed by hand.
func (v *View) Unprobed(p Pattern) bool { return v.unprobed != nil && v.unprobed(p) }

// unseen returns why what a pattern's hosts serve is not known.
func (v *View) unseen(app *App, p Pattern) Finding {
	f := Finding{Code: NotReached, App: app.Name, Host: p, Role: app.Role, Do: []Action{{Do: ProbeHost, Host: p}}}
	switch {
	case v.Unprobed(p):
		f.Code, f.Do = ProbingOff, []Action{{Do: EnableProbing, Host: p}}
		if p.Reach == Exact {
			f.Do = append(f.Do, Action{Do: ProbeHost, Host: p})
		}
	case p.Reach != Exact:
		f.Code, f.Do = NoKnownHost, []Action{{Do: ListEndpoints, Host: p}}
	}
	return f
}

// LastProbe returns when a pattern's hosts were last probed, of several the longest ago, if
// probing is off: what they serve may have changed. It is zero otherwise, and for hosts that
// were never probed.
func (v *View) LastProbe(app *App, p Pattern) (at time.Time) {
	if !v.Unprobed(p) {
		return at
	}
	t := v.target(app, p)
	return oldest(t.served)
}

// noteProbing adds, for a host that is not probed, when what is known of it was seen.
func (j *judge) noteProbing() {
	if !j.v.Unprobed(j.Pattern) {
		return
	}
	if at := j.v.LastProbe(j.app, j.Pattern); !at.IsZero() {
		j.more = append(j.more, lastProbed(j.app, j.Pattern, at))
	} else if j.status != StatusUnknown || j.pinning == 0 {
		j.more = append(j.more, j.about(ProbingOff))
	}
}

func lastProbed(app *App, p Pattern, at time.Time) Finding {
	return Finding{Code: LastProbed, App: app.Name, Host: p, From: at}
}

func oldest(served []*Served) (at time.Time) {
	for _, s := range served {
		if at.IsZero() || s.At.Before(at) {
			at = s.At
		}
	}
	return at
}
