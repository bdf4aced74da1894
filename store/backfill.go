package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// A backfill is a part of a migration that works on the rows of a table in Go, some in
// each transaction: reading, decoding, writing elsewhere.
//
// To add one, put the schema into a migration of its own as always, and the backfill
// into backfillsOf under the number of that migration. Its step must depend on nothing
// that a later version may change: it has SQL of its own, for the schema as it is then,
// and calls no code that follows the newest schema. It is called for all rows in the order
// of their rowid, for each range once, and what it writes is committed together with the
// fact that the range is done. So the process may end at any time; the next start
// continues after the last range. Several backfills of a migration run one after the
// other.
//
// Until all are done, nothing else reads or writes the database (versionOf).
type backfill struct {
	what  string // is done, for people, as in "indexing names"
	table string // the rows, which have positive rowids
	rows  int    // in a transaction, at most

	// step migrates the rows with after < rowid <= upto. It may delete them.
	step func(t *fillTx, after, upto int64) error

	// end is a statement after the last step, such as one that drops the table. Optional.
	end string
}

// backfillsOf returns the backfills of the migration to a version of the schema.
func backfillsOf(version int) []backfill {
	switch version {
	case packingVersion:
		return packing
	case 13:
		return []backfill{{what: "indexing certificates", table: "certificates", rows: 2000, step: listCertificates}}
	}
	return nil
}

// Progress is how far long work has come: a backfill, or judging everything again.
type Progress struct {
	What        string // is done, as in "indexing names"
	Step, Steps int    // of the migration, from 1; both 0 if it is none

	// Rows, mostly estimated by their numbers. Done is Total at the end. Both are 0 while
	// work continues and how far it is cannot be known.
	Done, Total int64
}

// The table backfill exists while the backfills of a migration are not done. Its one
// row says how many are, up to which row the next is, and which row of it was the first.
const (
	sqlBeginBackfill = `
		CREATE TABLE backfill (done INTEGER NOT NULL, after INTEGER NOT NULL, first INTEGER) STRICT;
		INSERT INTO backfill (done, after) VALUES (0, 0)`
	sqlEndBackfill = `DROP TABLE backfill`
)

// fill runs backfills from where they are. Of the steps of the whole migration, some are
// before these.
func fill(ctx context.Context, w *sql.DB, all []backfill, before, steps int, progress func(Progress)) error {
	for {
		p, done, err := fillSome(ctx, w, all)
		if err != nil || done {
			return err
		}
		if progress != nil && p.Total > 0 {
			p.Step, p.Steps = before+p.Step, steps
			progress(p)
		}
	}
}

// fillSome runs one transaction of backfills, and reports whether it was the last.
func fillSome(ctx context.Context, w *sql.DB, all []backfill) (p Progress, done bool, err error) {
	tx, err := w.BeginTx(ctx, nil)
	if err != nil {
		return p, false, err
	}
	t := &fillTx{ctx: ctx, tx: tx, stmts: make(map[string]*sql.Stmt)}
	defer func() { err = errors.Join(err, t.close()) }()
	var n int
	var after int64
	if err := t.queryRow(`SELECT done, after FROM backfill`).Scan(&n, &after); err != nil {
		return p, false, err
	}
	if n == len(all) {
		if _, err := tx.ExecContext(ctx, sqlEndBackfill); err != nil {
			return p, false, err
		}
		return p, true, tx.Commit()
	}
	b := all[n]
	var first, last, upto sql.NullInt64
	err = t.queryRow(fmt.Sprintf(`
		SELECT coalesce((SELECT first FROM backfill), (SELECT min(rowid) FROM %[1]s)), (SELECT max(rowid) FROM %[1]s),
			(SELECT max(r) FROM (SELECT rowid AS r FROM %[1]s WHERE rowid > ? ORDER BY rowid LIMIT ?))`, b.table), after, b.rows).Scan(&first, &last, &upto)
	switch {
	case err != nil:
		return p, false, err
	case !upto.Valid:
		if _, err = t.exec(`UPDATE backfill SET done = done + 1, after = 0, first = NULL`); err == nil && b.end != "" {
			_, err = t.exec(b.end)
		}
	default:
		p = Progress{What: b.what, Step: n + 1, Done: upto.Int64 - first.Int64 + 1, Total: last.Int64 - first.Int64 + 1}
		if err = b.step(t, after, upto.Int64); err == nil {
			_, err = t.exec(`UPDATE backfill SET after = ?, first = ?`, upto.Int64, first.Int64)
		}
	}
	if err != nil {
		return p, false, err
	}
	return p, false, tx.Commit()
}

// A fillTx is a transaction of a backfill. It prepares every statement once.
type fillTx struct {
	ctx   context.Context
	tx    *sql.Tx
	stmts map[string]*sql.Stmt
}

// close ends the transaction: it is rolled back unless it was committed.
func (t *fillTx) close() error {
	var errs []error
	for _, s := range t.stmts {
		errs = append(errs, s.Close())
	}
	if err := t.tx.Rollback(); !errors.Is(err, sql.ErrTxDone) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (t *fillTx) stmt(query string) (*sql.Stmt, error) {
	s := t.stmts[query]
	if s == nil {
		var err error
		if s, err = t.tx.PrepareContext(t.ctx, query); err != nil {
			return nil, err
		}
		t.stmts[query] = s
	}
	return s, nil
}

// exec runs a statement and returns how many rows it wrote.
func (t *fillTx) exec(query string, args ...any) (rows int64, err error) {
	s, err := t.stmt(query)
	if err != nil {
		return 0, err
	}
	res, err := s.ExecContext(t.ctx, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (t *fillTx) query(query string, args ...any) (*sql.Rows, error) {
	s, err := t.stmt(query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(t.ctx, args...)
}

func (t *fillTx) queryRow(query string, args ...any) *sql.Row {
	s, err := t.stmt(query)
	if err != nil {
		return t.tx.QueryRowContext(t.ctx, query, args...) // fails as it did
	}
	return s.QueryRowContext(t.ctx, args...)
}
