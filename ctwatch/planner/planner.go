// Package planner keeps the plans of all apps current, and reports what changes in them.
//
// When a fact behind the plans changes (a certificate, the result of a probe, an approval,
// a released version), and once a minute, since certificates expire, the planner
//
//  1. updates the state of each key,
//  2. plans for each host of each app,
//  3. reports what begins: an app that is or will be broken (pin.missing), a key to ship
//     (pin.candidate), a certificate that expires (certificate.expiring),
//  4. has servers probed that may soon serve a new certificate.
//
// What continues is reported once. The rules of plans are in package pins; this package
// decides when to plan, and what to report.
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

// A Store keeps the facts behind plans.
type Store interface {
	// Revision grows with every change of the facts.
	Revision(ctx context.Context) (int64, error)
	Facts(ctx context.Context) (pins.Facts, error)
	// SettleKeys updates the states of keys by their use, and reports the changes.
	SettleKeys(ctx context.Context, shipped map[pins.Pin][]pins.AppVersion) (changed int, err error)
	// Certificate returns a certificate by its ID in hex.
	Certificate(ctx context.Context, id string) (ctwatch.Certificate, error)
	// SyncConditions takes all conditions that hold, and reports those that did not hold
	// before.
	SyncConditions(ctx context.Context, holding []ctwatch.Condition) error
}

// A Planner plans for apps. All fields but Look, Changed and Poll are required.
type Planner struct {
	Store Store
	// Apps returns all apps with their supported versions.
	Apps func(ctx context.Context) ([]pins.App, error)
	// Subject returns the subject of events about a host: the watched domain that contains
	// it.
	Subject func(host pins.Pattern) string
	Logger  *slog.Logger

	// Look is called with the names of new certificates, and with nil at the first plan.
	// Optional.
	Look func(names []pins.Pattern)
	// Changed is called after each plan. Optional.
	Changed func(*Result)
	// Poll is how often the store is checked for changes. Default 500 ms.
	Poll time.Duration

	latest atomic.Pointer[Result]
	replan atomic.Bool
}

// A Result is the plans of all apps at one time.
type Result struct {
	View  *pins.View
	Apps  []pins.App
	Plans []pins.HostPlan
}

// every is how often plans are made without a change.
const every = time.Minute

// Latest returns the newest plans; nil before there are any.
func (p *Planner) Latest() *Result { return p.latest.Load() }

// Replan makes the planner plan again soon without a change in the store, since the apps
// may have changed.
func (p *Planner) Replan() { p.replan.Store(true) }

// Run plans until ctx ends, and then returns nil. It fails only if the store does.
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
		if err == nil && (p.replan.Swap(false) || now != revision || time.Since(planned) >= every) {
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

// plan makes all plans once. If the apps cannot be read, it logs that and leaves the last
// plans in place.
func (p *Planner) plan(ctx context.Context, seen *seen) error {
	apps, err := p.Apps(ctx)
	if err != nil {
		if ctx.Err() == nil {
			p.Logger.Error("reading apps failed; keeping the last plans", "error", err)
		}
		return nil
	}
	facts, err := p.Store.Facts(ctx)
	if err != nil {
		return err
	}
	view := pins.NewView(&facts)
	plans := PlanAll(view, apps)
	changed, err := p.Store.SettleKeys(ctx, Shipped(plans))
	if err != nil {
		return err
	}
	if changed > 0 {
		if facts, err = p.Store.Facts(ctx); err != nil {
			return err
		}
		view = pins.NewView(&facts)
		plans = PlanAll(view, apps)
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

// PlanAll returns the plans of apps.
func PlanAll(v *pins.View, apps []pins.App) []pins.HostPlan {
	var out []pins.HostPlan
	for i := range apps {
		out = append(out, v.Plan(&apps[i])...)
	}
	return out
}

// Shipped returns the versions that ship each pin.
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

// A seen holds the certificates that existed at the last plan.
type seen struct{ ids map[string]bool }

func newSeen() *seen { return &seen{} }

// fresh returns the names of certificates that are new since the last call; first reports
// that there was none.
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
