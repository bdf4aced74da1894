package main

import (
	"cmp"
	"context"
	"errors"
	"os/user"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/configs"
	"ctwatch/ctwatch/planner"
	"ctwatch/ctwatch/policy"
	"ctwatch/pins"
	"ctwatch/store"
)

// A desk is where commands about pins work: the store, beside a running daemon or
// without one, in line with the configuration; the apps with all their versions;
// and a view of the facts.
type desk struct {
	cfg    *configs.Config
	inv    *setup.Inventory
	policy *policy.Live
	db     *store.DB
	plan   *planner.FactStore
	apps   []pins.App
	view   *pins.View

	missing error // there is no database, and the configuration alone is known; nil if there is one
}

// desk opens the store for a command that writes, and calls f.
func (a *app) desk(ctx context.Context, f func(*desk) error) error {
	return a.deskFor(ctx, setup.Create, f)
}

// deskFor opens the store for a command, and calls f.
func (a *app) deskFor(ctx context.Context, how setup.Access, f func(*desk) error) (err error) {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	d := &desk{cfg: cfg}
	if d.inv, err = setup.Read(cfg); err != nil {
		return err
	}
	d.policy = d.inv.NewPolicy()
	db, missing, err := d.inv.OpenStore(ctx, d.policy, how, a.logger(), func(db *store.DB) error {
		d.db = db
		return d.refresh(ctx)
	})
	if err != nil {
		return err
	}
	d.missing = missing
	defer func() { err = errors.Join(err, db.Close()) }()
	return f(d)
}

// refresh reads the store anew, and settles where keys stand by what is known now.
func (d *desk) refresh(ctx context.Context) error {
	var err error
	if d.apps, err = d.inv.AllApps(ctx, d.db); err != nil {
		return err
	}
	if err := d.look(ctx); err != nil {
		return err
	}
	changed, err := d.db.Plans.SettleKeys(ctx, planner.Shipped(d.plans()))
	if err != nil || changed == 0 {
		return err
	}
	return d.look(ctx)
}

func (d *desk) look(ctx context.Context) error {
	if d.plan == nil || d.plan.Store != d.db.Plans {
		d.plan = &planner.FactStore{Store: d.db.Plans, CAs: d.db.Issuers, Unprobed: d.inv.Unprobed}
	}
	facts, err := d.plan.Facts(ctx)
	if err != nil {
		return err
	}
	d.view = pins.NewView(&facts)
	return nil
}

// plans makes the plans of all apps.
func (d *desk) plans() []pins.HostPlan {
	var out []pins.HostPlan
	for i := range d.apps {
		out = append(out, d.view.Plan(&d.apps[i])...)
	}
	return out
}

// chosen returns the app with a name, or all apps for no name.
func (d *desk) chosen(name string) ([]pins.App, error) {
	if name == "" {
		if len(d.apps) == 0 {
			return nil, usagef("the configuration names no app (apps:): there is nothing to plan for")
		}
		return d.apps, nil
	}
	app, err := findApp(d.apps, name)
	if err != nil {
		return nil, err
	}
	return []pins.App{*app}, nil
}

// person returns who calls, for the audit trail.
func (a *app) person() string {
	if name, ok := a.LookupEnv("SUDO_USER"); ok && name != "" {
		return name
	}
	if u, err := user.Current(); err == nil {
		return cmp.Or(u.Username, u.Uid)
	}
	name, _ := a.LookupEnv("USER")
	return cmp.Or(name, "unknown")
}
