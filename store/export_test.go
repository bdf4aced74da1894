package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// Writer gives tests the connection that writes.
func (db *DB) Writer() Writer { return Writer{db.conn} }

// A Writer is a connection.
type Writer struct{ *sql.Conn }

func (w Writer) Exec(query string, args ...any) (sql.Result, error) {
	return w.ExecContext(context.Background(), query, args...)
}

func (w Writer) QueryRow(query string, args ...any) *sql.Row {
	return w.QueryRowContext(context.Background(), query, args...)
}

// UseDriver has all databases opened by another driver.
func UseDriver(name string) { driverName = name }

// Reader gives tests the connections that read.
func (db *DB) Reader() *sql.DB { return db.r }

// Crash lets go of everything without ending it in good order.
func (db *DB) Crash() error {
	db.mu.Lock()
	db.closed = true
	db.mu.Unlock()
	return db.release()
}

// SetPruneStep sets how many rows one transaction deletes at most.
func (db *DB) SetPruneStep(n int64) { db.pruneStep = n }

// Statements returns how many statements transactions that write have run.
func (db *DB) Statements() int64 { return db.statements.Load() }

// SetAdvanceStep sets how many sightings one transaction verifies at most.
func (db *DB) SetAdvanceStep(n int64) { db.advanceStep = n }

// SetRejudgeStep sets how many certificates one transaction judges again at most.
func (db *DB) SetRejudgeStep(n int) { db.rejudgeStep = n }

// Migrate brings a database to the version that the last of the steps makes.
func Migrate(ctx context.Context, w *sql.DB, steps []Migration) error {
	return migrate(ctx, w, steps, nil)
}

// Migrations returns the real steps.
func Migrations() []Migration { return migrations() }

// A Migration leads to the next version of the schema.
type Migration = migration

// Statements returns steps of statements only.
func Statements(sql ...string) (out []Migration) {
	for _, s := range sql {
		out = append(out, migration{statements: s})
	}
	return out
}

// SQL returns the statements of a step.
func SQL(m Migration) string { return m.statements }

// HotStatements returns the statements that are prepared when a database is opened.
func HotStatements() []string { return append([]string{sqlPending, sqlRedeliveries}, hotStatements...) }

// QueryPlan returns the query plan of a statement.
func (db *DB) QueryPlan(ctx context.Context, query string) ([]string, error) {
	rows, err := db.conn.QueryContext(ctx, "EXPLAIN QUERY PLAN "+query, make([]any, 64)...)
	return collect(rows, err, func(r *sql.Rows) (detail string, err error) {
		var id, parent, unused int
		err = r.Scan(&id, &parent, &unused, &detail)
		return detail, err
	})
}

// PlanAwaitingCAA returns the query plan of AwaitingCAA.
func (db *DB) PlanAwaitingCAA(ctx context.Context) ([]string, error) {
	rows, err := db.r.QueryContext(ctx, "EXPLAIN QUERY PLAN "+sqlAwaitingCAA, make([]any, 3)...)
	return collect(rows, err, func(r *sql.Rows) (detail string, err error) {
		var id, parent, unused int
		err = r.Scan(&id, &parent, &unused, &detail)
		return detail, err
	})
}

// LockDir takes a directory as a daemon does.
func LockDir(dir string) (unlock func() error, err error) {
	l, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	return l.unlock, nil
}

// Packing returns the version of the schema that packs events and certificates.
func Packing() int { return packingVersion }

// Backfills returns how many the migration to the newest version has.
func Backfills() int {
	all := migrations()
	return len(all[len(all)-1].backfills)
}

// WithBackfill adds a backfill to a step.
func WithBackfill(m Migration, what, table string, rows int, step func(exec func(query string, args ...any) (int64, error), after, upto int64) error, end string) Migration {
	m.backfills = append(m.backfills, backfill{what, table, rows, func(t *fillTx, after, upto int64) error { return step(t.exec, after, upto) }, end})
	return m
}

// MigrateWith is Migrate with progress.
func MigrateWith(ctx context.Context, w *sql.DB, steps []Migration, progress func(Progress)) error {
	return migrate(ctx, w, steps, progress)
}

// CheckVersion fails unless a database is migrated by all steps.
func CheckVersion(ctx context.Context, r *sql.DB, steps []Migration) error {
	return checkVersion(ctx, r, steps)
}

// ListsOf returns the lists of names that a certificate is on.
func ListsOf(names []string, matches []ctwatch.Match) []int64 { return listsOf(names, matches) }

// LogList returns the list of the certificates that a log has.
func LogList(seq int64) int64 { return logList(seq) }

// DomainLists returns the lists of the certificates at or below a domain.
func DomainLists(domain string) (name, below int64) { return domainLists(domain) }

// CertificatesFor returns the certificates on the lists of listsFor, each once.
func (db *DB) CertificatesFor(ctx context.Context, patterns ...pins.Pattern) (seqs []int64, err error) {
	err = db.read(ctx, "test", func(t readTx) error {
		seqs, err = columns[int64](t.query(`SELECT DISTINCT certificate FROM lists WHERE list IN (SELECT value FROM json_each(?)) ORDER BY certificate`, listsFor(patterns)))
		return err
	})
	return seqs, err
}

// AllFacts returns all facts, with the certificates that have not ended at a time.
func (db *DB) AllFacts(ctx context.Context, at time.Time) (f pins.Facts, err error) {
	f.Now = at
	err = db.read(ctx, "reading all facts", func(t readTx) error {
		rows, err := t.query(sqlKeysFrom, 0, 1<<40)
		keys, err := collect(rows, err, func(r *sql.Rows) (keyRow, error) { return scanKey(r) })
		if err != nil {
			return err
		}
		if f.Keys, err = describeKeys(t, keys); err != nil {
			return err
		}
		if f.Served, err = loadServed(t); err != nil {
			return err
		}
		ids, err := columns[ctwatch.Hash](t.query(`SELECT id FROM certificates`))
		if err != nil {
			return err
		}
		var hex []string
		for _, id := range ids {
			hex = append(hex, id.String())
		}
		f.Issued, err = (&facts{querier: t, now: f.Now}).Issued(nil, nil, hex)
		return err
	})
	return f, err
}

// Unsettled counts the keys of all whose state does not follow from their use.
func (db *DB) Unsettled(ctx context.Context, shipped map[pins.Pin][]pins.AppVersion) (n int, err error) {
	err = db.read(ctx, "settling all keys", func(t readTx) error {
		moving, _, err := keysToSettle(t, `SELECT seq FROM keys`, ms(db.now()), shipped)
		n = len(moving)
		return err
	})
	return n, err
}

// PlanForPlans returns the query plans of what is read for plans, and at each start.
func (db *DB) PlanForPlans(ctx context.Context) (map[string][]string, error) {
	out := make(map[string][]string)
	for _, q := range []string{
		sqlGranted, sqlKeysForPlans, sqlCertified, sqlHostsOfLeaf, sqlHostsOfIssuer, sqlIssued, sqlSettling(sqlMaySettle), sqlEndLater,
		sqlNewNames, sqlPolicyGrants, sqlRevision,
	} {
		rows, err := db.r.QueryContext(ctx, "EXPLAIN QUERY PLAN "+q, make([]any, 19)...)
		out[q], err = collect(rows, err, func(r *sql.Rows) (detail string, err error) {
			var id, parent, unused int
			err = r.Scan(&id, &parent, &unused, &detail)
			return detail, err
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", q, err)
		}
	}
	return out, nil
}

// MaySettle counts the keys that SettleKeys considers.
func (db *DB) MaySettle(ctx context.Context) (n int, err error) {
	err = db.read(ctx, "counting keys", func(t readTx) error {
		return t.queryRow(`SELECT count(*) FROM (`+sqlMaySettle+`)`, ms(db.now()), nil, nil, `[]`).Scan(&n)
	})
	return n, err
}

// Tables returns the names of all tables.
func (db *DB) Tables(ctx context.Context) ([]string, error) {
	return columns[string](db.conn.QueryContext(ctx, `SELECT name FROM sqlite_schema WHERE type = 'table'`))
}
