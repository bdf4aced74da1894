// Package planner keeps the plans of all apps current, and reports what changes in them.
//
// When a fact behind the plans changes (a certificate for a host of an app, the result of a
// probe, an approval, a released version), and once a minute, since certificates expire, the
// planner
//
//  1. updates the state of each key,
//  2. plans for each host of each app,
//  3. reports what begins: an app that is or will be broken (pin.missing), a key to ship
//     (pin.candidate), a certificate that expires (certificate.expiring),
//  4. has servers probed that may soon serve a new certificate: for every certificate that
//     is found.
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
	// Facts returns the facts within a scope, and what they depend on.
	Facts(ctx context.Context, scope pins.Scope) (pins.Facts, *pins.Interest, error)
	// Watch has Concerns tell changes up to a revision that may concern facts from others.
	Watch(in *pins.Interest)
	Concerns(revision int64) bool
	// NewNames returns the names of the certificates that were found after one with a
	// number, and the number of the last; no names for a negative number.
	NewNames(ctx context.Context, after int64) (names []pins.Pattern, last int64, err error)
	// SettleKeys updates the states of keys by their use, and reports the changes.
	SettleKeys(ctx context.Context, shipped map[pins.Pin][]pins.AppVersion) (changed int, err error)
	// Key returns the key of a pin in a role, for an event.
	Key(ctx context.Context, pin pins.Pin, role pins.Role) (pins.Key, error)
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

	looked struct { // see look
		before   bool
		revision int64
		last     int64 // certificate
	}
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
	planned := time.Time{}
	for {
		now, err := p.Store.Revision(ctx)
		if err == nil && (p.replan.Swap(false) || p.Store.Concerns(now) || time.Since(planned) >= every) {
			planned = time.Now()
			err = p.plan(ctx)
		}
		if err == nil {
			err = p.look(ctx, now)
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
func (p *Planner) plan(ctx context.Context) error {
	apps, err := p.Apps(ctx)
	if err != nil {
		if ctx.Err() == nil {
			p.Logger.Error("reading apps failed; keeping the last plans", "error", err)
		}
		return nil
	}
	r, now, err := p.planFor(ctx, apps)
	if err != nil {
		return err
	}
	changed, err := p.Store.SettleKeys(ctx, Shipped(r.Plans))
	if err != nil {
		return err
	}
	if changed > 0 {
		if r, now, err = p.planFor(ctx, apps); err != nil {
			return err
		}
	}
	holding, err := p.conditions(ctx, r, now)
	if err != nil {
		return err
	}
	if err := p.Store.SyncConditions(ctx, holding); err != nil {
		return err
	}
	p.latest.Store(r)
	if p.Changed != nil {
		p.Changed(r)
	}
	return nil
}

// planFor plans by the facts that concern some apps, as of now, and watches these.
func (p *Planner) planFor(ctx context.Context, apps []pins.App) (r *Result, now time.Time, err error) {
	facts, in, err := p.Store.Facts(ctx, pins.Scope{Apps: apps})
	if err != nil {
		return nil, now, err
	}
	p.Store.Watch(in)
	view := pins.NewView(&facts)
	return &Result{View: view, Apps: apps, Plans: PlanAll(view, apps)}, facts.Now, nil
}

// look has servers probed for the names of certificates that are new at a revision, and all
// servers after the first plan.
func (p *Planner) look(ctx context.Context, revision int64) error {
	l := &p.looked
	if p.Look == nil || p.Latest() == nil || l.before && l.revision == revision {
		return nil
	}
	after := l.last
	if !l.before {
		after = -1
	}
	names, last, err := p.Store.NewNames(ctx, after)
	if err != nil {
		return err
	}
	if !l.before || len(names) > 0 {
		p.Look(names)
	}
	l.before, l.revision, l.last = true, revision, last
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
