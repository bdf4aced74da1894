package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"ctwatch/ctwatch"
)

// together is how long after the first sender others count as configured with it:
// reading begins while they are registered one by one, and none is to miss what
// another is told.
const together = time.Minute

// Register makes a sender known, and that it is in use. One that is new starts
// after the newest event if there have been others for longer, else at the
// beginning.
func (db *DB) Register(ctx context.Context, sender string) error {
	err := db.write(ctx, "registering a sender", func(t *tx) error {
		_, err := t.exec(`
			INSERT INTO senders (name, registered_at, cursor)
			SELECT ?1, ?2, CASE WHEN EXISTS (SELECT 1 FROM senders WHERE registered_at < ?2 - ?3)
				THEN max((SELECT coalesce(max(seq), 0) FROM outbox), (SELECT max(cursor) FROM senders)) -- the outbox may be pruned
				ELSE 0 END
			WHERE NOT EXISTS (SELECT 1 FROM senders WHERE name = ?1)`,
			sender, ms(t.now), together.Milliseconds())
		return err
	})
	if err == nil {
		db.mu.Lock()
		db.senders[sender] = true
		db.mu.Unlock()
	}
	return err
}

// Pending returns the next events for a sender, at most limit, in the order in
// which they were written.
func (db *DB) Pending(ctx context.Context, sender string, limit int) ([]ctwatch.Queued, error) {
	var out []ctwatch.Queued
	err := db.read(ctx, "reading the outbox for "+sender, func(t readTx) error {
		var cursor int64
		err := t.queryRow(`SELECT cursor FROM senders WHERE name = ?`, sender).Scan(&cursor)
		if errors.Is(err, sql.ErrNoRows) {
			return errNoSender
		} else if err != nil {
			return err
		}
		rows, err := t.query(sqlPending, cursor, limit)
		out, err = collect(rows, err, func(r *sql.Rows) (q ctwatch.Queued, err error) {
			var event string
			if err := r.Scan(&q.Seq, &event); err != nil {
				return q, err
			}
			if err := json.Unmarshal([]byte(event), &q.Event); err != nil {
				return q, fmt.Errorf("event %d: %w", q.Seq, err)
			}
			return q, nil
		})
		return err
	})
	return out, err
}

var errNoSender = errors.New("no such sender is registered")

const (
	sqlPending   = `SELECT seq, event FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?`
	sqlDelivered = `
		UPDATE senders SET cursor = max(cursor, ?2), last_success_at = ?3, last_error = '', attempts = 0
		WHERE name = ?1`
)

// Delivered says that a sender is done with all events up to seq.
func (db *DB) Delivered(ctx context.Context, sender string, seq int64) error {
	return db.write(ctx, "noting a delivery by "+sender, func(t *tx) error {
		return one(t.exec(sqlDelivered, sender, seq, ms(t.now)))
	})
}

// Dead sets an event aside that a sender will never take, and moves past it. The
// event is kept with the reason.
func (db *DB) Dead(ctx context.Context, sender string, seq int64, reason string) error {
	return db.write(ctx, "setting an event aside for "+sender, func(t *tx) error {
		err := one(t.exec(`UPDATE senders SET cursor = max(cursor, ?2) WHERE name = ?1`, sender, seq))
		if err != nil {
			return err
		}
		_, err = t.exec(`
			INSERT INTO dead_letters (sender, seq, event, reason, at) SELECT ?1, seq, event, ?3, ?4 FROM outbox WHERE seq = ?2
			ON CONFLICT DO NOTHING`, sender, seq, text(reason), ms(t.now))
		return err
	})
}

// Failing says why a sender cannot deliver now. The event stays pending.
func (db *DB) Failing(ctx context.Context, sender string, reason string) error {
	return db.write(ctx, "noting a failure of "+sender, func(t *tx) error {
		return one(t.exec(`UPDATE senders SET last_error = ?2, attempts = attempts + 1 WHERE name = ?1`, sender, text(reason)))
	})
}

// one passes an error on, and turns a write that met no sender into one.
func one(rows int64, err error) error {
	if err == nil && rows == 0 {
		err = errNoSender
	}
	return err
}

// A SenderStatus is how the delivery by one sender stands.
type SenderStatus struct {
	Name        string
	Backlog     int64      // events that wait for it
	DeadLetters int64      // events that it will never take
	LastSuccess *time.Time // nil before the first
	LastError   string     // "" when the last try succeeded
	Attempts    int64      // failures noted since the last success
}

// SenderStatus returns how every sender stands that was ever registered, by name.
func (db *DB) SenderStatus(ctx context.Context) ([]SenderStatus, error) {
	var out []SenderStatus
	err := db.read(ctx, "reading the senders", func(t readTx) error {
		// seq has no gaps, so that a difference counts.
		rows, err := t.query(`
			SELECT name, max(0, coalesce((SELECT max(seq) FROM outbox), 0) - cursor),
				(SELECT count(*) FROM dead_letters WHERE sender = name), last_success_at, last_error, attempts
			FROM senders ORDER BY name`)
		out, err = collect(rows, err, func(r *sql.Rows) (s SenderStatus, err error) {
			var success sql.NullInt64
			err = r.Scan(&s.Name, &s.Backlog, &s.DeadLetters, &success, &s.LastError, &s.Attempts)
			s.LastSuccess = timePtr(success)
			return s, err
		})
		return err
	})
	return out, err
}

// pruneStep is how many events one transaction deletes at most.
const pruneStep = 1000

// Prune deletes the events that were written before a time and that every sender
// in use is done with: those registered since the database was opened. While
// there is none, nothing is deleted. It returns how many were.
func (db *DB) Prune(ctx context.Context, before time.Time) (int64, error) {
	db.mu.Lock()
	senders := slices.Collect(maps.Keys(db.senders))
	db.mu.Unlock()

	var total int64
	for {
		var n int64
		err := db.write(ctx, "deleting old events", func(t *tx) (err error) {
			// Events are in the order of time: the first that is young ends it.
			n, err = t.exec(`
				DELETE FROM outbox
				WHERE seq <= (SELECT min(cursor) FROM senders WHERE name IN (SELECT value FROM json_each(?1)))
					AND seq < coalesce((SELECT seq FROM outbox WHERE created_at >= ?2 ORDER BY seq LIMIT 1), 9223372036854775807)
					AND seq < (SELECT min(seq) FROM outbox) + ?3`,
				list(senders), ms(before), pruneStep)
			return err
		})
		total += n
		if err != nil || n < pruneStep {
			return total, err
		}
	}
}
