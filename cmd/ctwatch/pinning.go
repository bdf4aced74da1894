package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/ctwatch/planner"
	"ctwatch/pins"
	"ctwatch/pins/probe"
	"ctwatch/pins/publish"
)

// plan makes what keeps plans current: the looks at what is served, and the planner.
func (d *daemon) plan(ctx context.Context) error {
	if err := d.inLine(ctx, d.inventory.Load()); err != nil {
		return err
	}
	look := d.probe
	if look == nil {
		look = newProber().Look
	}
	var err error
	d.looks, err = probe.NewScheduler(probe.ScheduleConfig{
		Look: look, Record: d.record, Logger: d.logger, Interval: d.cfg.Probe.Interval,
		Endpoints: func() []pins.Endpoint {
			inv := d.inventory.Load()
			if d.cfg.Probe.Interval == 0 || inv.Config.Probe.Interval == 0 { // to turn it on takes a restart
				return nil
			}
			return inv.Endpoints
		},
	})
	if err != nil {
		return err
	}
	unreadable := "" // what was logged of it; the planner asks for apps one time after the other
	d.planner = &planner.Planner{
		Store: &planner.FactStore{
			Store: d.db.Plans, CAs: d.db.Issuers,
			Unprobed: func(p pins.Pattern) bool { return d.inventory.Load().Unprobed(p) },
		},
		Logger:  d.logger,
		Subject: func(host pins.Pattern) string { return d.inventory.Load().Subject(host) },
		Apps: func(ctx context.Context) ([]pins.App, error) {
			apps, err := d.inventory.Load().AllApps(ctx, d.db)
			logUnreadable(d.logger, apps, &unreadable)
			return apps, err
		},
		Look: func(names []pins.Pattern) {
			if hosts := d.inventory.Load().HostsFor(names); len(hosts) > 0 {
				d.looks.Now(hosts...)
			}
		},
	}
	return nil
}

// inLine brings the store in line with the configuration: who is trusted by it, what
// its rules say, and where to look.
func (d *daemon) inLine(ctx context.Context, inv *setup.Inventory) error {
	if err := inv.Apply(ctx, d.db, d.verdicts); err != nil {
		return err
	}
	return d.db.Endpoints.KeepOnly(ctx, inv.Endpoints)
}

// pinDocuments serves the pins of apps to everybody.
func (d *daemon) pinDocuments() (http.Handler, error) {
	ring, err := setup.OpenRing(d.cfg, true, d.logger)
	if err != nil {
		return nil, err
	}
	o := setup.IssuerOptions(d.db, d.cfg, d.logger)
	o.Now, o.Clock = d.now, d.clock.Check
	d.issuer = publish.NewIssuer(o)
	latest := func() (*pins.View, []pins.App) {
		if r := d.planner.Latest(); r != nil {
			return r.View, r.Apps
		}
		return nil, nil
	}
	return publish.NewHandler(publish.Options{
		Source: &publish.PlanSource{Issuer: d.issuer, Latest: latest}, Ring: ring, Logger: d.logger,
	}), nil
}

// wakeForOthers has senders look for events whenever another process, such as
// "ctwatch certs reject", has changed what is trusted: events may have come of it.
func (d *daemon) wakeForOthers(ctx context.Context) error {
	const often = 500 * time.Millisecond
	tick := time.NewTicker(often)
	defer tick.Stop()
	last := int64(-1)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		// A store that fails ends the daemon elsewhere.
		if now, err := d.db.Plans.Revision(ctx); err == nil && now != last {
			last = now
			d.senders.Wake()
		}
	}
}

// logUnreadable logs the versions that cannot be read whenever they are others than
// before.
func logUnreadable(logger *slog.Logger, apps []pins.App, before *string) {
	var all []string
	for _, app := range apps {
		for _, u := range app.Unreadable {
			all = append(all, fmt.Sprintf("%s %s: %s", app.Name, u.Name, u.Why))
		}
	}
	now := strings.Join(all, "; ")
	if now != *before && now != "" {
		logger.Error("what was imported for some versions cannot be read, so it is unknown what breaks them: import it again with --replace, or drop it (ctwatch pins drop)", "versions", now)
	}
	*before = now
}
