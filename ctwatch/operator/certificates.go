package operator

import (
	"context"
	"errors"
	"slices"
	"strings"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/keyfile"
	"ctwatch/ctwatch/policy"
	"ctwatch/pins"
)

// Authorized is the result of an authorization.
type Authorized struct {
	// Certificate is expected now; nil if a key was declared that no log has shown yet.
	Certificate *ctwatch.Certificate
	Pin         pins.Pin       // zero: the key of the certificate cannot be read, and is approved for nothing
	Hosts       []pins.Pattern // that the key is approved for
	KnownIssuer bool           // the key was known as an issuer's alone, and is declared as a server's
}

// AuthorizeCertificate records that a found certificate should exist, and approves its key
// for hosts; for none, for the names of the certificate. It needs a reason, except by a
// button. It fails with the code NoReason, with NoHost if the certificate names no host,
// with ctwatch.ErrNotFound, ctwatch.ErrAmbiguous and, for a compromised key, pins.ErrState.
func (op *Operator) AuthorizeCertificate(ctx context.Context, by By, id string, hosts []pins.Pattern, reason string) (Authorized, error) {
	reason, err := by.verdictReason(reason, "authorized")
	if err != nil {
		return Authorized{}, err
	}
	c, err := op.get(ctx, id)
	if err != nil {
		return Authorized{}, err
	}
	return op.authorizeFound(ctx, by, &c, hosts, reason)
}

// get returns the certificate with an ID in hex of either case.
func (op *Operator) get(ctx context.Context, id string) (ctwatch.Certificate, error) {
	return op.o.Certificates.Get(ctx, strings.ToLower(id))
}

func (op *Operator) authorizeFound(ctx context.Context, by By, c *ctwatch.Certificate, hosts []pins.Pattern, reason string) (Authorized, error) {
	pin := c.Key.Pin
	if pin.IsZero() {
		judged, err := op.o.Certificates.SetVerdict(ctx, c.ID, ctwatch.Expected, []string{ctwatch.ReasonAuthorized}, by.Name, reason)
		if err != nil {
			return Authorized{}, err
		}
		return Authorized{Certificate: &judged}, nil
	}
	if len(hosts) == 0 {
		hosts = pins.HostsOf(c.Names)
	}
	if len(hosts) == 0 {
		return Authorized{}, &Error{Code: NoHost}
	}
	judged, err := op.o.Certificates.Authorize(ctx, c.ID, []string{ctwatch.ReasonAuthorized}, declaration(by, pin, c.Key.Algorithm, hosts, reason))
	if err != nil {
		return Authorized{}, err
	}
	return Authorized{Certificate: &judged, Pin: pin, Hosts: hosts}, nil
}

// declaration approves a key, and makes it known if it is not.
func declaration(by By, pin pins.Pin, algorithm string, hosts []pins.Pattern, reason string) pins.Approval {
	return pins.Approval{Pin: pin, Role: pins.RoleLeaf, Algorithm: algorithm, Hosts: hosts, Declare: true, Actor: pins.Person, By: by.Name, Reason: reason}
}

// Authorize records that what a person names should exist: a found certificate, by its ID or
// from a file (see AuthorizeCertificate), or a key for which no certificate was found, which
// is declared for hosts; for none, for the names that it came with. It needs a reason. With
// despite, a key of which only unexpected certificates are known is approved as well.
//
// It fails with the codes NoReason, NoHost and Alarmed, with ctwatch.ErrNotFound,
// ctwatch.ErrAmbiguous and, for a compromised key, pins.ErrState.
func (op *Operator) Authorize(ctx context.Context, by By, s keyfile.Subject, hosts []pins.Pattern, reason string, despite bool) (Authorized, error) {
	if err := requireReason(reason); err != nil {
		return Authorized{}, err
	}
	if s.Certificate != "" {
		c, err := op.get(ctx, s.Certificate)
		switch {
		case err == nil:
			return op.authorizeFound(ctx, by, &c, hosts, reason)
		case errors.Is(err, ctwatch.ErrNotFound) && !s.Pin.IsZero():
			// A certificate that no log has shown yet declares its key.
		default:
			return Authorized{}, err
		}
	}
	if len(hosts) == 0 {
		hosts = pins.HostsOf(s.Names)
	}
	if len(hosts) == 0 {
		return Authorized{}, &Error{Code: NoHost, Detail: s.What}
	}
	known, err := op.Keys(ctx, s.Pin)
	if err != nil {
		return Authorized{}, err
	}
	out := Authorized{Pin: s.Pin, Hosts: hosts, KnownIssuer: len(known) == 1 && known[0].Role == pins.RoleIssuer}
	a := declaration(by, s.Pin, s.Algorithm, hosts, reason)
	a.Despite = despite
	if _, err := op.o.Keys.Approve(ctx, a); err != nil {
		return Authorized{}, refused(err, s.Pin, pins.RoleLeaf)
	}
	return out, nil
}

// Reject records that a certificate should not exist: it becomes unexpected, and rules that
// expected it no longer trust its key. It needs a reason, except by a button. It fails with
// the code NoReason, with ctwatch.ErrNotFound and with ctwatch.ErrAmbiguous.
func (op *Operator) Reject(ctx context.Context, by By, id, reason string) (ctwatch.Certificate, error) {
	reason, err := by.verdictReason(reason, "rejected")
	if err != nil {
		return ctwatch.Certificate{}, err
	}
	c, err := op.get(ctx, id)
	if err != nil {
		return c, err
	}
	return op.o.Certificates.SetVerdict(ctx, c.ID, ctwatch.Unexpected, []string{ctwatch.ReasonRejected}, by.Name, reason)
}

// Suggest returns rules by which certificates would be expected, and from how many it made
// them. Certificates that are expected or rejected are left out. It never suggests an issuer
// or a key of a certificate that a person rejected, whichever are in found: unexpected has
// all unexpected certificates.
func (op *Operator) Suggest(ctx context.Context, p *policy.Policy, found, unexpected List) (*policy.Suggestions, int, error) {
	trusted, err := op.o.Keys.TrustedLeaves(ctx)
	if err != nil {
		return nil, 0, err
	}
	s := p.Suggest()
	for _, pin := range trusted {
		s.Approve(pin)
	}
	for c, err := range unexpected {
		if err != nil {
			return nil, 0, err
		}
		if slices.Contains(c.Reasons, ctwatch.ReasonRejected) {
			s.Reject(&c)
		}
	}
	n := 0
	for c, err := range found {
		if err != nil {
			return nil, 0, err
		}
		if c.Verdict == ctwatch.Expected || slices.Contains(c.Reasons, ctwatch.ReasonRejected) {
			continue
		}
		standing, err := op.o.Certificates.Standing(ctx, c.ID)
		if err != nil {
			return nil, 0, err
		}
		s.Add(&c, standing)
		n++
	}
	return s, n, nil
}
