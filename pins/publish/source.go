package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ctwatch/pins"
)

// A Publication is a pin document of an app, with what its other forms are made of. It
// does not change once a Source has returned it.
type Publication struct {
	pins.Document

	RefreshAfter time.Time
	Expires      time.Time

	Set    pins.Set    // from which Payload made the document's payload
	Leaves []pins.Leaf // the certificates that are served now, and known ones to come

	// NoFiles is why the unsigned forms are withheld although the signed ones are not: a
	// file that is built into an app cannot leave a host's pins open. The same holds for
	// a Wultra document without certificates. Nil if they are served.
	NoFiles *Withheld
}

// A Source has the publications of apps. Its methods are called concurrently, for every
// request, with names of apps that anyone may choose.
type Source interface {
	// Publication returns what is published of an app. It fails with ErrNoApp if there
	// is no such app, and with a *Withheld if nothing may be published of it now.
	Publication(ctx context.Context, app string) (*Publication, error)
}

// ErrNoApp means that there is no such app.
var ErrNoApp = errors.New("no such app")

// A Withheld is why nothing, or one form not, is published of an app now: a set without
// the key that is served would break the app. Devices keep what they have.
type Withheld struct {
	Reasons []string // one for each host; public
}

func (w *Withheld) Error() string {
	return "the pins are withheld: " + strings.Join(w.Reasons, "; ")
}

// A PlanSource is a Source of the documents for the plans that were made last.
type PlanSource struct {
	Issuer *Issuer
	// Latest returns the newest plans; a nil View before there are any.
	Latest func() (*pins.View, []pins.App)
}

// Publication implements Source. Its reasons are public; the details, which name keys and
// commands, are only logged.
func (s *PlanSource) Publication(ctx context.Context, name string) (*Publication, error) {
	view, apps := s.Latest()
	if view == nil {
		return nil, &Withheld{Reasons: []string{"ctwatch has just started"}}
	}
	n := slices.IndexFunc(apps, func(a pins.App) bool { return a.Name == name })
	if n < 0 {
		return nil, ErrNoApp
	}
	p, err := s.Issuer.Publish(ctx, view, &apps[n])
	if errors.Is(err, ErrClock) { // the clock logs it itself
		return nil, &Withheld{Reasons: []string{"the clock of the server may be wrong"}}
	}
	if refusals, ok := errors.AsType[pins.Refusals](err); ok {
		s.Issuer.logChange(name, refusals, nil)
		return nil, withheld(refusals)
	}
	if err == nil {
		s.Issuer.logChange(name, p.Set.Withheld, p.Set.Warnings)
	}
	return p, err
}

// withheld returns the public reasons for refusals; nil if there are none.
func withheld(refusals []pins.Finding) *Withheld {
	if len(refusals) == 0 {
		return nil
	}
	w := &Withheld{}
	for _, r := range refusals {
		w.Reasons = append(w.Reasons, fmt.Sprintf("%s: %s: the operator of the app must act", r.Host, r.Code))
	}
	return w
}
