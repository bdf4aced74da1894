package operator

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/entry"
	"ctwatch/ctwatch/keyfile"
	"ctwatch/ctwatch/planner"
	"ctwatch/pins"
	"ctwatch/pins/chain"
	"ctwatch/pins/format"
)

// Plan returns the plans of the app with a name, or of all apps for no name. It fails with
// the codes NoApps and UnknownApp.
func (op *Operator) Plan(name string) ([]pins.HostPlan, error) {
	apps, err := op.Chosen(name)
	return planner.PlanAll(op.view, apps), err
}

// Check answers the release gate: is a pin file safe to ship with an app today? The file is
// as format.ReadFile read it, with its error: a file that its client would ignore or crash
// on is an answer. It fails with the codes NoApps and UnknownApp, and with the file's error.
func (op *Operator) Check(ctx context.Context, name string, rules pins.Rules, readError error) (pins.Answer, error) {
	app, err := op.App(name)
	if err != nil {
		return pins.Answer{}, err
	}
	if p, ok := clientProblem(name, readError); ok {
		return op.withUnknown(pins.Answer{Problems: []pins.Finding{p}}), nil
	} else if readError != nil {
		return pins.Answer{}, readError
	}
	view, err := op.viewOf(ctx, pins.Scope{Rules: []pins.Rules{rules}})
	if err != nil {
		return pins.Answer{}, err
	}
	return op.withUnknown(view.Check(app, rules)), nil
}

// withUnknown adds to an answer what is unknown without a database.
func (op *Operator) withUnknown(a pins.Answer) pins.Answer {
	if op.o.NoDatabase {
		a.Unknown = append(a.Unknown, pins.Finding{Code: pins.NoDatabase})
	}
	return a
}

// clientProblem returns what is wrong with a file that can be read, and that its client
// would ignore or crash on, or that pins what no key has; ok is false for another error, or
// none.
func clientProblem(app string, err error) (f pins.Finding, ok bool) {
	var client *format.ClientError
	var noKey *pins.NoKeyError
	switch {
	case errors.As(err, &client):
		f = pins.Finding{Code: pins.FileUnreadable, App: app, Detail: client.Error()}
	case errors.As(err, &noKey):
		f = pins.Finding{Code: pins.FileUnreadable, App: app, Detail: noKey.Error()}
	default:
		return f, false
	}
	var at *format.SyntaxError
	if errors.As(err, &at) {
		f.Detail = at.Err.Error()
		if at.Line > 0 {
			f.Place = fmt.Sprintf("%d:%d", at.Line, at.Column)
		}
	}
	return f, true
}

// Gated is the answer of the deployment gate.
type Gated struct {
	pins.Answer
	Certificate ctwatch.Hash // ID
	Pin         pins.Pin     // of its key
}

// Gate answers the deployment gate: which supported versions of apps would refuse a
// certificate? It takes at least one certificate in DER, the server's own first, then its
// chain if it is known. It fails with the codes Unreadable and NoNames.
func (op *Operator) Gate(ctx context.Context, apps []pins.App, certs [][]byte) (Gated, error) {
	tbs, err := entry.TBS(certs[0])
	if err != nil {
		return Gated{}, &Error{Code: Unreadable, Err: err}
	}
	c := entry.Describe(tbs)
	switch {
	case c.Key.Pin.IsZero() || len(c.Problems) > 0 && len(c.Names) == 0:
		return Gated{}, &Error{Code: Unreadable, Detail: strings.Join(c.Problems, "; ")}
	case len(c.Names) == 0:
		return Gated{}, &Error{Code: NoNames}
	}
	chains, incomplete, err := op.possibleChains(ctx, c.ID, certs)
	if err != nil {
		return Gated{}, err
	}
	view, err := op.viewOf(ctx, pins.Scope{Chains: chains})
	if err != nil {
		return Gated{}, err
	}
	found := view.Gate(apps, pins.Candidate{Names: pins.HostsOf(c.Names), NotAfter: c.NotAfter, Chains: chains})
	if len(found.Problems) > 0 && incomplete != nil {
		incomplete.App, incomplete.Host = found.Problems[0].App, found.Problems[0].Host
		found.Warnings = append(found.Warnings, *incomplete)
	}
	return Gated{Answer: op.withUnknown(found), Certificate: c.ID, Pin: c.Key.Pin}, nil
}

// possibleChains returns the chains that clients may build for a certificate that is about
// to be served, by the trust anchors of this machine. Where these verify none, it is the one
// that can be built by signature from the file, and incomplete says why it ends there; nil
// if it does not.
func (op *Operator) possibleChains(ctx context.Context, id ctwatch.Hash, certs [][]byte) (chains []pins.Chain, incomplete *pins.Finding, err error) {
	known, err := op.o.Facts.Certificates(ctx)
	if err != nil {
		return nil, nil, err
	}
	sent, err := parseAll(certs)
	if err == nil {
		chains, err = chain.Verified(sent, chain.Options{Roots: op.o.Facts.Roots, Known: known, At: validAt(sent[0], op.o.Now())})
	}
	if err == nil {
		return chains, nil, nil
	}
	c := keyfile.Order(certs)
	if c.Open {
		incomplete = &pins.Finding{Code: pins.ChainIncomplete, Detail: err.Error(), Do: []pins.Action{{Do: pins.GiveChain}}}
	}
	if len(c.Pins) == 1 {
		// A log with the certificate shows its issuer, too.
		known, err := op.o.Certificates.Get(ctx, id.String())
		if err == nil && !known.Issuer.Pin.IsZero() {
			c.Pins = append(c.Pins, known.Issuer.Pin)
		} else if err != nil && !errors.Is(err, ctwatch.ErrNotFound) {
			return nil, nil, err
		}
	}
	return []pins.Chain{c}, incomplete, nil
}

// validAt returns when a certificate that is about to be served must be valid: now, or when
// its validity begins.
func validAt(c *x509.Certificate, now time.Time) time.Time {
	if c.NotBefore.After(now) {
		return c.NotBefore
	}
	return now
}

// parseAll parses certificates. It fails if the first one is unreadable, and leaves out
// others that are.
func parseAll(certs [][]byte) (out []*x509.Certificate, err error) {
	for i, der := range certs {
		c, err := x509.ParseCertificate(der)
		switch {
		case err == nil:
			out = append(out, c)
		case i == 0:
			return nil, err
		}
	}
	return out, nil
}
