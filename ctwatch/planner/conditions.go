package planner

import (
	"context"
	"slices"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/words"
	"ctwatch/pins"
)

// conditions returns everything that holds and is reported when it begins.
func (p *Planner) conditions(ctx context.Context, r *Result, at time.Time) ([]ctwatch.Condition, error) {
	var out []ctwatch.Condition
	for i := range r.Plans {
		plan := &r.Plans[i]
		subject := p.Subject(plan.Host)
		out = append(out, p.missing(ctx, plan, subject, at)...)
		out = append(out, p.candidates(ctx, r, plan, subject, at)...)
	}
	for _, s := range r.View.Expiring(r.Apps...) {
		c, err := p.Store.Certificate(ctx, s.ID)
		if err != nil {
			c = described(s)
		}
		endpoint := s.Host + " (" + s.Address + ")"
		out = append(out, ctwatch.Condition{
			Kind: ctwatch.CertificateExpiring, Host: s.Host, What: s.ID,
			Event: func(int64) ctwatch.Event { return ctwatch.ExpiringEvent(c, s.Host, endpoint, at) },
		})
	}
	return out, ctx.Err()
}

// missing returns what an app's versions refuse of what is served or may soon be.
func (p *Planner) missing(ctx context.Context, plan *pins.HostPlan, subject string, at time.Time) []ctwatch.Condition {
	var out []ctwatch.Condition
	add := func(what, id string, f pins.Finding) {
		if slices.ContainsFunc(out, func(c ctwatch.Condition) bool { return c.What == what }) {
			return // the same key at another address
		}
		host := plan.Host.String()
		out = append(out, ctwatch.Condition{
			Kind: ctwatch.PinMissing, App: plan.App, Host: host, What: what,
			Event: func(episode int64) ctwatch.Event {
				var cert *ctwatch.Certificate
				if c, err := p.Store.Certificate(ctx, id); err == nil {
					cert = &c
				}
				e := ctwatch.PinMissingEvent(plan.App, host, subject, cert, f.Pin, words.Finding(f).String(), episode, at)
				// It is reported twice for a certificate: when it is issued, and when it is
				// served anyway.
				e.ID = ctwatch.NewEventID(e.Type, e.ID, what)
				return e
			},
		})
	}
	for _, b := range plan.Broken {
		add("served "+b.Served.Chain.Leaf().String()+" "+b.Finding.Pin.String(), b.Served.ID, b.Finding)
	}
	for _, c := range plan.Coming {
		if len(c.Refused) > 0 {
			what := "coming " + c.Pin.String() // one alarm for a key, however many certificates it has
			if c.Pin.IsZero() {
				what = "coming " + c.Certificate
			}
			add(what, c.Certificate, *c.Finding)
		}
	}
	return out
}

// candidates returns the keys that are approved and that the newest version lacks.
func (p *Planner) candidates(ctx context.Context, r *Result, plan *pins.HostPlan, subject string, at time.Time) []ctwatch.Condition {
	if len(plan.Shipped) == 0 {
		return nil // what is shipped is unknown
	}
	var out []ctwatch.Condition
	for _, pin := range plan.Add {
		var k pins.Key
		for _, role := range []pins.Role{pins.RoleLeaf, pins.RoleIssuer} {
			if found := r.View.Key(pin, role); found != nil && found.State.Trusted() {
				k = *found
				break
			}
		}
		host := plan.Host.String()
		f := pins.Finding{Code: pins.KeyToShip, App: plan.App, Host: plan.Host, Pin: pin, Do: []pins.Action{{Do: pins.ShipPins}}}
		if plan.Deadline != nil {
			f.Do = append(f.Do, pins.Action{Do: pins.ReleaseBy, Until: *plan.Deadline, Past: !plan.Deadline.After(at)})
		}
		out = append(out, ctwatch.Condition{
			Kind: ctwatch.PinCandidate, App: plan.App, Host: host, What: pin.String(),
			Event: func(episode int64) ctwatch.Event {
				if whole, err := p.Store.Key(ctx, k.Pin, k.Role); err == nil {
					k = whole // with its hosts and certificates
				}
				return ctwatch.PinCandidateForApp(plan.App, host, subject, k, words.Finding(f).String(), episode, at)
			},
		})
	}
	return out
}

// described returns what is known of a served certificate that was not found in a log.
func described(s *pins.Served) ctwatch.Certificate {
	c := ctwatch.Certificate{
		Names: []string{}, NotBefore: s.NotBefore, NotAfter: s.NotAfter,
		Key:     ctwatch.CertificateKey{Algorithm: s.Algorithm, Pin: s.Chain.Leaf()},
		Issuer:  ctwatch.Issuer{Pin: s.Chain.Issuer()},
		Verdict: ctwatch.Unreviewed, Deployed: true, DeployedAt: &s.Since, FirstSeen: s.Since,
	}
	if id, err := ctwatch.ParseHash(s.ID); err == nil {
		c.ID = id
	}
	c.SetPins()
	return c
}
