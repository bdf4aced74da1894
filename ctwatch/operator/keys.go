package operator

import (
	"context"
	"errors"
	"slices"
	"strings"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/keyfile"
	"ctwatch/ctwatch/planner"
	"ctwatch/pins"
)

// refused makes an Error of what the store refuses about a key.
func refused(err error, pin pins.Pin, role pins.Role) error {
	switch {
	case errors.Is(err, pins.ErrUnexpected):
		return &Error{Code: Alarmed, Pin: pin, Role: role, Err: err}
	case errors.Is(err, ctwatch.ErrNotFound):
		return &Error{Code: UnknownKey, Pin: pin, Role: role, Err: err}
	}
	return err
}

// An Approval allows apps to pin a key that was seen.
type Approval struct {
	Pin     pins.Pin
	Role    pins.Role      // optional: each role that the key is known in
	Hosts   []pins.Pattern // optional: the watched names that it was certified for
	Reason  string         // optional, unless the key has an unexpected certificate
	Despite bool           // approve it though only unexpected certificates are known of it
}

// Approve approves a key that was seen, and returns the hosts that it is approved for. It
// fails with the codes NoHost, UnknownKey and Alarmed, and with pins.ErrState.
func (op *Operator) Approve(ctx context.Context, by By, a Approval) ([]pins.Pattern, error) {
	if len(a.Hosts) == 0 {
		var err error
		if a.Hosts, err = op.certifiedFor(ctx, a.Pin, a.Role); err != nil {
			return nil, err
		}
		if len(a.Hosts) == 0 {
			e := &Error{Code: NoHost, Pin: a.Pin, Role: a.Role}
			view, err := op.viewOf(ctx, pins.Scope{Pins: []pins.Pin{a.Pin}})
			if err != nil {
				return nil, err
			}
			if view.OnlyUnexpected(a.Pin) {
				e.Err = pins.ErrUnexpected
			}
			return nil, e
		}
	}
	_, err := op.o.Keys.Approve(ctx, pins.Approval{
		Pin: a.Pin, Role: a.Role, Hosts: a.Hosts, Actor: pins.Person, By: by.Name, Reason: strings.TrimSpace(a.Reason), Despite: a.Despite,
	})
	if err != nil {
		return nil, refused(err, a.Pin, a.Role)
	}
	return a.Hosts, nil
}

// certifiedFor returns the names that a key was certified for, in a role; "" for each.
func (op *Operator) certifiedFor(ctx context.Context, pin pins.Pin, role pins.Role) ([]pins.Pattern, error) {
	keys, err := op.Keys(ctx, pin)
	if err != nil {
		return nil, err
	}
	var out []pins.Pattern
	for _, k := range keys {
		if role != "" && role != k.Role {
			continue
		}
		names := k.Hosts
		if k.Role == pins.RoleLeaf && len(k.Certificates) > 0 {
			var err error
			if names, err = op.o.Keys.CertifiedNames(ctx, pin); err != nil {
				return nil, err
			}
		}
		for _, n := range names {
			if p, err := pins.PatternOf(n); err == nil && !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out, nil
}

// DeclareIssuer approves the key of a CA for hosts whose apps pin issuers, before or after
// one of its certificates was seen. It needs hosts and a reason. It fails with the codes
// NoReason, NoKey and NoHost, and with pins.ErrState.
func (op *Operator) DeclareIssuer(ctx context.Context, by By, s keyfile.Subject, hosts []pins.Pattern, reason string) error {
	if err := requireReason(reason); err != nil {
		return err
	}
	if err := CheckIssuer(s, hosts); err != nil {
		return err
	}
	a := declaration(by, s.Pin, s.Algorithm, hosts, reason)
	a.Role = pins.RoleIssuer
	_, err := op.o.Keys.Approve(ctx, a)
	return refused(err, s.Pin, pins.RoleIssuer)
}

// CheckIssuer returns the error of DeclareIssuer for what cannot be declared as the key of a
// CA.
func CheckIssuer(s keyfile.Subject, hosts []pins.Pattern) error {
	switch {
	case s.Pin.IsZero():
		return &Error{Code: NoKey}
	case len(hosts) == 0:
		return &Error{Code: NoHost, Role: pins.RoleIssuer}
	}
	return nil
}

// Retire ends the trust in a key. A key that is served stays in pin sets until it is not; a
// compromised one is never trusted again, and signed documents list it as revoked: that
// needs a reason. It fails with the codes NoReason and UnknownKey, and with pins.ErrState.
func (op *Operator) Retire(ctx context.Context, by By, pin pins.Pin, compromised bool, reason string) error {
	if compromised {
		if err := requireReason(reason); err != nil {
			return err
		}
	}
	return refused(op.o.Keys.Retire(ctx, pin, compromised, by.Name, by.reason(reason, "retired")), pin, "")
}

// A Loss is what apps lose with a key that is compromised, for a person to read first.
type Loss struct {
	Pin  pins.Pin
	Keys []pins.Key // what is known of it
	Uses []Use
}

// A Use is an app and a host that a key is in use for.
type Use struct {
	App      string
	Host     pins.Pattern
	Served   bool
	Versions []string // that ship it, newest first
}

// Loss returns what apps lose if a key is reported compromised.
func (op *Operator) Loss(ctx context.Context, pin pins.Pin) (Loss, error) {
	keys, err := op.Keys(ctx, pin)
	out := Loss{Pin: pin, Keys: keys}
	for _, p := range planner.PlanAll(op.view, op.apps) {
		u := Use{App: p.App, Host: p.Host, Served: slices.Contains(p.Deployed, pin)}
		for name, list := range p.Shipped {
			if slices.Contains(list, pin) {
				u.Versions = append(u.Versions, name)
			}
		}
		slices.SortFunc(u.Versions, func(a, b string) int { return pins.CompareVersions(b, a) })
		if u.Served || u.Versions != nil {
			out.Uses = append(out.Uses, u)
		}
	}
	return out, err
}
