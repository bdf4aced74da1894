package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/pins"
	"ctwatch/store/pack"
)

// hotStatements are run for every batch or event: they are prepared once.
var hotStatements = []string{
	sqlBegin, sqlCommit, sqlRollback, sqlBump,
	sqlLog, sqlMove,
	sqlCertificateSeq, sqlCertificate, sqlRowOfID, sqlRowOfSeq, sqlServedSince, sqlInsertCertificate, sqlUpdateCertificate, sqlMatches, sqlInsertMatch, sqlSightings,
	sqlInsertSighting, sqlSightingAgain, sqlInsertDER, sqlKeepFinal, sqlInsertMalformed,
	sqlInsertKey, sqlKey, sqlMoveKey, sqlInsertKeyDomain, sqlInsertAudit,
	sqlInsertEvent, sqlAdvance, sqlVerify,
	sqlInsertHead, sqlHeadNumber, sqlHead, sqlHeadSeen, sqlPruneHeads,
	sqlDelivered, sqlPassed, sqlRedelivered,
	sqlPast, sqlSetVerdict, sqlSetCAA, sqlServedFor, sqlOtherGrants, sqlGrants, sqlGrant, sqlSetVouched, sqlUnexpected, sqlEvidence, sqlKeys,
	sqlLeafKey, sqlSomeGrants, sqlKeepIssuer,
	sqlOtherIssuers, sqlInTree, sqlNewlyVerified, sqlNthUnverified,
	sqlHeldVerified,
	sqlInsertListed, sqlInsertSomeListed, sqlCountOpen,
	sqlIsMalformed, sqlReason, sqlCountMore, sqlCountUntold, sqlIsUntold,
}

// A tx is a transaction that writes. Its methods take no context: once begun it runs to
// its end, which takes milliseconds, so that a commit always returns its result.
type tx struct {
	ctx    context.Context
	db     *database
	now    time.Time
	events int // written to the outbox, or replayed

	changed  bool           // something that plans depend on
	passed   bool           // the same, and it is not of interest
	interest *pins.Interest // of the planner, when the transaction began; nil: everything
	reread   bool           // an entry may have become due to be read again

	// See flush.
	listed []listed
	open   map[openVerdict]int64

	keys       []pins.Pin // whose certificates are judged again after the commit
	candidates []pins.Pin // leaf keys that may be candidates now

	issuers map[pins.Pin]bool     // issuing keys that are known to be stored
	kept    map[ctwatch.Hash]bool // certificates of issuers for which all is done
}

// write runs f in a transaction and commits unless f fails. It waits for its turn
// until ctx ends. The error says what was being done.
func (db *database) write(ctx context.Context, what string, f func(*tx) error) error {
	return db.writeInTurn(ctx, false, what, f)
}

// writeUrgent is write with priority, for small updates on the delivery path.
func (db *database) writeUrgent(ctx context.Context, what string, f func(*tx) error) error {
	return db.writeInTurn(ctx, true, what, f)
}

func (db *database) writeInTurn(ctx context.Context, urgent bool, what string, f func(*tx) error) error {
	t, err := db.transact(ctx, urgent, f)
	if err != nil {
		return fmt.Errorf("%s: %w", what, db.explain(err))
	}
	if t.events > 0 {
		db.onEvents()
	}
	return db.rejudgeKeys(ctx, t.keys)
}

func (db *database) transact(ctx context.Context, urgent bool, f func(*tx) error) (*tx, error) {
	if db.conn == nil {
		return nil, ErrReadOnly
	}
	if err := db.turns.take(ctx, urgent); err != nil {
		return nil, err
	}
	defer db.turns.give()
	if err := ctx.Err(); err != nil {
		return nil, err
	}

	t := &tx{ctx: context.WithoutCancel(ctx), db: db, now: db.now(), interest: db.relevance.watched(), issuers: make(map[pins.Pin]bool), kept: make(map[ctwatch.Hash]bool)}
	if _, err := t.exec(sqlBegin); err != nil {
		return nil, err
	}
	open := true
	defer func() {
		if open {
			t.exec(sqlRollback) // fails if SQLite rolled back already
		}
	}()
	if err := f(t); err != nil {
		return nil, err
	}
	if err := t.flushCandidates(); err != nil {
		return nil, err
	}
	if err := t.flush(); err != nil {
		return nil, err
	}
	undo, err := t.bump()
	if err != nil {
		return nil, err
	}
	if _, err := t.exec(sqlCommit); err != nil {
		undo()
		return nil, err
	}
	open = false
	db.commits.Add(1)
	if t.reread {
		db.rereads.forget()
	}
	return t, nil
}

// Transactions are begun by statements rather than by sql.Tx, which would start a
// goroutine for each query.
const (
	sqlBegin    = `BEGIN IMMEDIATE`
	sqlCommit   = `COMMIT`
	sqlRollback = `ROLLBACK`
)

// exec runs a statement and returns how many rows it wrote.
func (t *tx) exec(query string, args ...any) (rows int64, err error) {
	res, err := t.run(query, args)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// insert inserts a row and returns its number.
func (t *tx) insert(query string, args ...any) (seq int64, err error) {
	res, err := t.run(query, args)
	if err != nil {
		return 0, err
	}
	return res.LastInsertId()
}

func (t *tx) run(query string, args []any) (sql.Result, error) {
	t.db.statements.Add(1)
	if s := t.db.hot[query]; s != nil {
		return s.ExecContext(t.ctx, args...)
	}
	return t.db.conn.ExecContext(t.ctx, query, args...)
}

func (t *tx) query(query string, args ...any) (*sql.Rows, error) {
	t.db.statements.Add(1)
	if s := t.db.hot[query]; s != nil {
		return s.QueryContext(t.ctx, args...)
	}
	return t.db.conn.QueryContext(t.ctx, query, args...)
}

func (t *tx) queryRow(query string, args ...any) *sql.Row {
	t.db.statements.Add(1)
	if s := t.db.hot[query]; s != nil {
		return s.QueryRowContext(t.ctx, args...)
	}
	return t.db.conn.QueryRowContext(t.ctx, query, args...)
}

// A querier is a transaction that reads or writes.
type querier interface {
	query(query string, args ...any) (*sql.Rows, error)
	queryRow(query string, args ...any) *sql.Row
}

// A readTx is a transaction that reads: it sees the database as of its first query.
type readTx struct {
	ctx context.Context
	tx  *sql.Tx
}

func (t readTx) query(query string, args ...any) (*sql.Rows, error) {
	return t.tx.QueryContext(t.ctx, query, args...)
}

func (t readTx) queryRow(query string, args ...any) *sql.Row {
	return t.tx.QueryRowContext(t.ctx, query, args...)
}

// read runs f in a transaction that reads. The error says what was being done.
func (db *database) read(ctx context.Context, what string, f func(readTx) error) error {
	err := func() error {
		sqlTx, err := db.r.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer sqlTx.Rollback()
		return f(readTx{ctx, sqlTx})
	}()
	if db.disturbed() {
		err = errDisturbed
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, db.explain(err))
	}
	return nil
}

const sqlInsertEvent = `
	INSERT INTO outbox (id, created_at, event)
	SELECT ?1, ?2, ?3 WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE id = ?1)`

// eventKey returns the ID of an event as the outbox has it: the bytes of which it is the
// hex, as NewEventID returns it, or a hash of another ID.
func eventKey(id string) []byte {
	const n = 16
	if key, err := hex.DecodeString(id); err == nil && len(key) == n && hex.EncodeToString(key) == id {
		return key
	}
	sum := sha256.Sum256([]byte(id))
	return sum[:n]
}

// event writes an event to the outbox, unless it is there. INSERT OR IGNORE would leave
// a gap in seq, by which pending events are counted.
func (t *tx) event(e ctwatch.Event) error {
	b, err := e.MarshalJSON() // json.Marshal would parse the result again
	if err != nil {
		return fmt.Errorf("writing the event %s: %w", e.Type, err)
	}
	n, err := t.exec(sqlInsertEvent, eventKey(e.ID), ms(t.now), pack.Event(b))
	if err != nil {
		return fmt.Errorf("writing the event %s: %w", e.Type, err)
	}
	t.events += int(n)
	return nil
}

// column scans a row of one column.
func column[T any](r *sql.Rows) (v T, err error) {
	err = r.Scan(&v)
	return v, err
}

// columns reads the rows of a query for one column.
func columns[T any](rows *sql.Rows, err error) ([]T, error) { return collect(rows, err, column[T]) }

// readAll reads all rows of a query in a transaction of its own. The error says what was
// being done.
func readAll[T any](ctx context.Context, db *database, what string, scan func(*sql.Rows) (T, error), query string, args ...any) (out []T, err error) {
	err = db.read(ctx, what, func(t readTx) error {
		rows, err := t.query(query, args...)
		out, err = collect(rows, err, scan)
		return err
	})
	return out, err
}

// orNone returns the error, or nil if a query found no row.
func orNone(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

// collect reads all rows of a query, or returns its error.
func collect[T any](rows *sql.Rows, err error, scan func(*sql.Rows) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}
