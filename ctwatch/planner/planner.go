// Package planner keeps the plans of all apps current, and tells of what changes in
// them.
//
// Whenever something becomes known that plans rest on (a certificate, a look at a
// server, an approval, a released version), and once a minute besides, since time
// alone makes certificates end, it
//
//  1. settles where each key stands in its life,
//  2. plans for each host of each app,
//  3. tells of what came to be: an app that is, or will be, broken (pin.missing), a
//     key to ship (pin.candidate), a certificate that ends (certificate.expiring),
//  4. asks for a look at the servers that a new certificate may soon be served by.
//
// What holds on is told once. The rules are in package pins; here is when, and of
// what.
package planner

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// A Store keeps what plans rest on.
type Store interface {
	// Revision grows with every change of what plans rest on.
	Revision(ctx context.Context) (int64, error)
	Facts(ctx context.Context) (pins.Facts, error)
	// SettleKeys moves keys by what is known of their use, and tells of it.
	SettleKeys(ctx context.Context, shipped map[pins.Pin][]pins.AppVersion) (changed int, err error)
	// Certificate returns a certificate by its ID in hex.
	Certificate(ctx context.Context, id string) (ctwatch.Certificate, error)
	// SyncConditions is given all conditions that hold, and tells of those that did not.
	SyncConditions(ctx context.Context, holding []ctwatch.Condition) error
}

// A Planner plans for apps. All fields but Look, Changed and Poll are required.
type Planner struct {
	Store Store
	// Apps returns all apps with the versions that are supported now.
	Apps func(ctx context.Context) ([]pins.App, error)
	// Subject returns what events about a host have as their subject: the watched
	// domain that it lies in.
	Subject func(host pins.Pattern) string
	Logger  *slog.Logger

	// Look is called with the names of certificates that were not known before, and
	// with nil at the first plan. Optional.
	Look func(names []pins.Pattern)
	// Changed is called after each plan. Optional.
	Changed func(*Result)
	// Poll is how often the store is asked whether anything changed. Default 500 ms.
	Poll time.Duration

	latest atomic.Pointer[Result]
	again  atomic.Bool
}

// A Result is the plans of all apps at one moment.
type Result struct {
	View  *pins.View
	Apps  []pins.App
	Plans []pins.HostPlan
}

// every is how often plans are made although nothing became known.
const every = time.Minute

// Latest returns the newest plans; nil before there are any.
func (p *Planner) Latest() *Result { return p.latest.Load() }

// Again has the planner plan again soon, though the store has not changed: the apps
// may have.
func (p *Planner) Again() { p.again.Store(true) }

// Run plans until ctx ends, and returns nil then. It returns an error only if the
// store fails.
func (p *Planner) Run(ctx context.Context) error {
	poll := p.Poll
	if poll <= 0 {
		poll = 500 * time.Millisecond
	}
	tick := time.NewTicker(poll)
	defer tick.Stop()
	seen := newSeen()
	revision, planned := int64(-1), time.Time{}
	for {
		now, err := p.Store.Revision(ctx)
		if err == nil && (p.again.Swap(false) || now != revision || time.Since(planned) >= every) {
			revision, planned = now, time.Now()
			err = p.plan(ctx, seen)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("planning: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// plan makes all plans once. An app whose versions cannot be read is logged, and
// the plans made before stand.
func (p *Planner) plan(ctx context.Context, seen *seen) error {
	apps, err := p.Apps(ctx)
	if err != nil {
		if ctx.Err() == nil {
			p.Logger.Error("apps cannot be planned for", "error", err)
		}
		return nil
	}
	facts, err := p.Store.Facts(ctx)
	if err != nil {
		return err
	}
	view := pins.NewView(&facts)
	plans := planAll(view, apps)
	changed, err := p.Store.SettleKeys(ctx, Shipped(plans))
	if err != nil {
		return err
	}
	if changed > 0 {
		if facts, err = p.Store.Facts(ctx); err != nil {
			return err
		}
		view = pins.NewView(&facts)
		plans = planAll(view, apps)
	}
	r := &Result{View: view, Apps: apps, Plans: plans}
	holding, err := p.conditions(ctx, r, facts.Now)
	if err != nil {
		return err
	}
	if err := p.Store.SyncConditions(ctx, holding); err != nil {
		return err
	}
	p.latest.Store(r)
	if fresh, first := seen.fresh(facts.Issued); p.Look != nil && (first || len(fresh) > 0) {
		p.Look(fresh)
	}
	if p.Changed != nil {
		p.Changed(r)
	}
	return nil
}

func planAll(v *pins.View, apps []pins.App) []pins.HostPlan {
	var out []pins.HostPlan
	for i := range apps {
		out = append(out, v.Plan(&apps[i])...)
	}
	return out
}

// Shipped lists the versions that ship each pin.
func Shipped(plans []pins.HostPlan) map[pins.Pin][]pins.AppVersion {
	type shipped struct {
		pin pins.Pin
		at  pins.AppVersion
	}
	have := make(map[shipped]bool)
	out := make(map[pins.Pin][]pins.AppVersion)
	for _, p := range plans {
		for version, list := range p.Shipped {
			for _, pin := range list {
				s := shipped{pin, pins.AppVersion{Name: p.App, Version: version}}
				if !have[s] {
					have[s] = true
					out[pin] = append(out[pin], s.at)
				}
			}
		}
	}
	return out
}

// A seen remembers which certificates were there at the last plan.
type seen struct{ ids map[string]bool }

func newSeen() *seen { return &seen{} }

// fresh returns the names of certificates that were not there the last time; the
// first time none are, and it says so.
func (s *seen) fresh(issued []pins.Issued) (names []pins.Pattern, first bool) {
	first = s.ids == nil
	ids := make(map[string]bool, len(issued))
	for _, c := range issued {
		ids[c.ID] = true
		if !first && !s.ids[c.ID] {
			names = append(names, c.Names...)
		}
	}
	s.ids = ids
	return names, first
}
