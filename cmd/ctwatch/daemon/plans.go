package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/ctwatch/operator"
	"ctwatch/ctwatch/planner"
	"ctwatch/pins"
	"ctwatch/pins/probe"
	"ctwatch/pins/publish"
)

// makeProber makes the scheduler of probes of the endpoints in force.
func (d *Daemon) makeProber(context.Context) (err error) {
	d.prober, err = probe.NewScheduler(probe.ScheduleConfig{
		Look: d.o.Look, Record: d.record, Logger: d.logger, Interval: d.cfg.Probe.Interval,
		Endpoints: func() []pins.Endpoint {
			inv := d.inventory.Load()
			if d.cfg.Probe.Interval == 0 || inv.Config.Probe.Interval == 0 { // to turn it on takes a restart
				return nil
			}
			return inv.Endpoints
		},
	})
	return err
}

// record stores what a probe saw.
func (d *Daemon) record(ctx context.Context, l pins.Look) error {
	if err := d.db.Endpoints.Observe(ctx, l, d.watched.Current().Describe); err != nil {
		return fmt.Errorf("%s: %w", strings.TrimSpace(l.Endpoint.String()), err)
	}
	return nil
}

func (d *Daemon) probe(ctx context.Context) error { return d.prober.Run(ctx) }

// makePlanner makes the planner for the apps in force.
func (d *Daemon) makePlanner(context.Context) error {
	unreadable := "" // what was logged; the planner never asks for apps twice at a time
	d.planner = &planner.Planner{
		Store: &planner.FactStore{
			Store: d.db.Plans, CAs: d.db.Issuers, Now: d.now,
			Unprobed: func(p pins.Pattern) bool { return d.inventory.Load().Unprobed(p) },
		},
		Logger:  d.logger,
		Subject: func(host pins.Pattern) string { return d.inventory.Load().Subject(host) },
		Apps: func(ctx context.Context) ([]pins.App, error) {
			apps, err := operator.AllApps(ctx, d.inventory.Load().Apps, d.db.Apps)
			logUnreadable(d.logger, apps, &unreadable)
			return apps, err
		},
		Look: func(names []pins.Pattern) {
			if hosts := d.inventory.Load().HostsFor(names); len(hosts) > 0 {
				d.prober.Now(hosts...)
			}
		},
	}
	return nil
}

func (d *Daemon) plan(ctx context.Context) error { return d.planner.Run(ctx) }

// makeDocuments makes the issuer of the apps' pin documents, and the handler for them.
func (d *Daemon) makeDocuments(context.Context) error {
	ring, err := setup.OpenRing(d.cfg, true, d.logger)
	if err != nil {
		return err
	}
	o := setup.IssuerOptions(d.db, d.cfg, d.logger)
	o.Now, o.Clock = d.now, d.clock.Check
	d.documents = publish.NewIssuer(o)
	latest := func() (*pins.View, []pins.App) {
		if r := d.planner.Latest(); r != nil {
			return r.View, r.Apps
		}
		return nil, nil
	}
	d.pages = publish.NewHandler(publish.Options{
		Source: &publish.PlanSource{Issuer: d.documents, Latest: latest}, Ring: ring, Logger: d.logger,
	})
	return nil
}

// logUnreadable logs the versions that cannot be read, when they change.
func logUnreadable(logger *slog.Logger, apps []pins.App, before *string) {
	var all []string
	for _, app := range apps {
		for _, u := range app.Unreadable {
			all = append(all, fmt.Sprintf("%s %s: %s", app.Name, u.Name, u.Why))
		}
	}
	now := strings.Join(all, "; ")
	if now != *before && now != "" {
		logger.Error("the files imported for some versions cannot be read, so it is unknown what would break these versions: import the files again with --replace, or drop the versions (ctwatch pins drop)", "versions", now)
	}
	*before = now
}
