package store

import (
	"context"
	"database/sql"
	"slices"
	"sync"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

const (
	// sqlBump counts a change of what plans depend on, in the transaction that makes it.
	sqlBump     = `UPDATE meta SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT) WHERE key = 'revision' RETURNING CAST(value AS INTEGER)`
	sqlRevision = `SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'revision'`
)

// Revision returns a number that grows with every change of what plans depend on:
// certificates, keys, grants, what apps ship and what servers serve. It does not grow
// with time.
func (db Plans) Revision(ctx context.Context) (n int64, err error) {
	err = db.read(ctx, "reading the revision", func(t readTx) (err error) {
		n, err = loadRevision(t)
		return err
	})
	return n, err
}

func loadRevision(q querier) (n int64, err error) {
	err = q.queryRow(sqlRevision).Scan(&n)
	return n, err
}

// A relevance decides which changes may concern the facts that a planner waits for: a log
// may show thousands of certificates a second that concern no app.
type relevance struct {
	mu       sync.Mutex
	interest *pins.Interest // nil: everything concerns
	quiet    int64          // the revision up to which no change did
}

// Watch has Concerns look for changes since facts were read that may concern them.
func (db Plans) Watch(in *pins.Interest) {
	r := &db.relevance
	r.mu.Lock()
	defer r.mu.Unlock()
	r.interest, r.quiet = in, in.Revision
}

// Concerns reports whether one of the changes up to a revision may concern the facts that Watch was
// called for. Changes by other processes always may.
func (db Plans) Concerns(revision int64) bool {
	r := &db.relevance
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.interest == nil || revision > r.quiet
}

func (r *relevance) watched() *pins.Interest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.interest
}

// pass records that a revision, which is about to be committed, concerns nothing of an
// interest. undo is for one that was not committed.
func (r *relevance) pass(revision int64, in *pins.Interest) (undo func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if in == nil || in != r.interest || revision != r.quiet+1 {
		return func() {}
	}
	r.quiet = revision
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.quiet = min(r.quiet, revision-1)
	}
}

// change notes a change of what plans depend on.
func (t *tx) change(ofInterest bool) {
	if ofInterest || t.interest == nil {
		t.changed = true
	} else {
		t.passed = true
	}
}

func (t *tx) changeCertificate(c *ctwatch.Certificate) {
	t.change(t.interest == nil || t.interest.Certificate(c.ID.String(), certifiedNames(c.Names), c.Key.Pin))
}

// changeKey notes that a key, which was in a state, has moved. All moves are of interest but
// those of a key that becomes known or trusted, which logs and rules bring about without
// end.
func (t *tx) changeKey(k *keyRow, from pins.State) {
	routine := slices.Contains(newKeys, from) && (k.State == pins.StateApproved || slices.Contains(newKeys, k.State))
	t.change(t.interest == nil || !routine || t.interest.Key(k.Pin))
}

// newKeys are the states of keys that are not in use.
var newKeys = []pins.State{pins.StateUnknown, pins.StateSeen, pins.StateDeclared}

func (t *tx) changeGrants(k *keyRow, added []pins.Pattern) {
	t.change(t.interest == nil || t.interest.Key(k.Pin) || slices.ContainsFunc(added, t.interest.Grant))
}

// bump counts the transaction's change before it is committed. undo is for a commit that
// fails.
func (t *tx) bump() (undo func(), err error) {
	undo = func() {}
	if !t.changed && !t.passed {
		return undo, nil
	}
	var n int64
	if err := t.queryRow(sqlBump).Scan(&n); err != nil {
		return undo, err
	}
	if !t.changed {
		undo = t.db.relevance.pass(n, t.interest)
	}
	return undo, nil
}

// NewNames returns the names of certificates that were found after the one with a number, and
// that have not ended, with the number of the last. A negative number returns no names.
func (db Plans) NewNames(ctx context.Context, after int64) (names []pins.Pattern, last int64, err error) {
	last = after
	for more := true; more && err == nil; {
		err = db.read(ctx, "reading the names of new certificates", func(t readTx) error {
			if more = false; after < 0 {
				return t.queryRow(`SELECT coalesce(max(seq), 0) FROM certificates`).Scan(&last)
			}
			rows, err := t.query(sqlNewNames, last, namesStep)
			n := 0
			_, err = collect(rows, err, func(r *sql.Rows) (_ struct{}, err error) {
				var list []string
				var notAfter sql.NullInt64
				if err := r.Scan(&last, listOf{&list}, &notAfter); err != nil {
					return struct{}{}, err
				}
				if n++; !notAfter.Valid || notAfter.Int64 > ms(db.now()) {
					names = append(names, certifiedNames(list)...)
				}
				return struct{}{}, nil
			})
			more = n == namesStep
			return err
		})
	}
	return names, last, err
}

// namesStep is how many certificates NewNames reads in one transaction.
const namesStep = 1000

const sqlNewNames = `SELECT seq, names, not_after FROM certificates WHERE seq > ? ORDER BY seq LIMIT ?`
