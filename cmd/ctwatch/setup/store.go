package setup

import (
	"context"
	"errors"

	"ctwatch/ctwatch/operator"
	"ctwatch/ctwatch/planner"
	"ctwatch/ctwatch/policy"
	"ctwatch/store"
)

// Access is the use that a command makes of the store.
type Access int

// The accesses.
const (
	Create Access = iota // writes; creates the database if there is none
	Change               // writes, where there is a database
	View                 // reads: what the configuration says applies to this command alone
	Judge                // reads; where there is no database, judges by the configuration alone
)

// OpenStore opens the store for a command, beside a running daemon or without one, in line
// with the inventory and its policy, and calls use, which may be called again on a copy.
// Where Judge finds no database, the store is empty and missing says why.
func (inv *Inventory) OpenStore(ctx context.Context, p *policy.Live, how Access, o store.Options, use func(db *store.DB, empty bool) error) (db *store.DB, missing, err error) {
	o.Judge, o.Pinned, o.MustExist = p.Judge, inv.Pinned, how != Create
	path := Database(inv.Config)
	apply := func(db *store.DB) error {
		if err := inv.Apply(ctx, db, p); err != nil {
			return err
		}
		return use(db, missing != nil)
	}
	if how == Create || how == Change {
		if db, err = store.OpenShared(ctx, path, o); err != nil {
			return nil, nil, err
		}
		if err := apply(db); err != nil {
			return nil, nil, errors.Join(err, db.Close())
		}
		return db, nil, nil
	}
	db, err = store.OpenPrivate(ctx, path, o, apply)
	if how == Judge && errors.Is(err, store.ErrMissing) {
		missing = err
		db, err = store.OpenEmpty(ctx, o, apply)
	}
	return db, missing, err
}

// Operator returns an operator on a store, which is empty if there is no database.
func (inv *Inventory) Operator(db *store.DB, empty bool) *operator.Operator {
	return operator.New(operator.Options{
		Certificates: db.Certificates, Keys: db.Keys, Versions: db.Apps,
		Facts:      &planner.FactStore{Store: db.Plans, CAs: db.Issuers, Unprobed: inv.Unprobed},
		Configured: inv.Apps, NoDatabase: empty,
	})
}
