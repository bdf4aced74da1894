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
	cfg      *configs.Config
	estate   *estate
	verdicts *policy.Live
	db       *store.DB
	plan     *planStore
	apps     []pins.App
	view     *pins.View

	missing error // there is no database, and the configuration alone is known; nil if there is one
}

// An access is what a command does to the store.
type access int

const (
	toCreate access = iota // writes; creates the database if there is none
	toChange               // writes, where there is a database
	toRead                 // reads: what the configuration says is applied for this command alone
	toJudge                // reads; where there is no database, judges by the configuration alone
)

// desk opens the store for a command that writes, and calls f.
func (a *app) desk(ctx context.Context, f func(*desk) error) error {
	return a.deskFor(ctx, toCreate, f)
}

// deskFor opens the store for a command, and calls f.
func (a *app) deskFor(ctx context.Context, how access, f func(*desk) error) (err error) {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	d := &desk{cfg: cfg}
	if d.estate, err = readEstate(cfg); err != nil {
		return err
	}
	d.verdicts = newPolicy(d.estate)
	db, err := d.open(ctx, how, store.Options{Logger: a.logger(), Judge: d.verdicts.Judge, Pinned: d.estate.pinned, MustExist: how != toCreate})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return f(d)
}

func (d *desk) open(ctx context.Context, how access, o store.Options) (*store.DB, error) {
	path := setup.Database(d.cfg)
	use := func(db *store.DB) error { return d.use(ctx, db) }
	if how == toCreate || how == toChange {
		db, err := store.OpenShared(ctx, path, o)
		if err != nil {
			return nil, err
		}
		if err := use(db); err != nil {
			return nil, errors.Join(err, db.Close())
		}
		return db, nil
	}
	db, err := store.OpenPrivate(ctx, path, o, use)
	if how == toJudge && errors.Is(err, store.ErrMissing) {
		d.missing = err
		return store.OpenEmpty(ctx, o, use)
	}
	return db, err
}

// use brings a store in line with the configuration, and reads it.
func (d *desk) use(ctx context.Context, db *store.DB) error {
	d.db = db
	if err := d.estate.apply(ctx, db, d.verdicts); err != nil {
		return err
	}
	return d.refresh(ctx)
}

// refresh reads the store anew, and settles where keys stand by what is known now.
func (d *desk) refresh(ctx context.Context) error {
	var err error
	if d.apps, err = withImported(ctx, d.db, d.estate.apps); err != nil {
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
	if d.plan == nil || d.plan.Plans != d.db.Plans {
		d.plan = &planStore{Plans: d.db.Plans, shown: d.db.Issuers, unprobed: d.estate.unprobed}
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
