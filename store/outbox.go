package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/store/pack"
)

// Outbox holds the events that wait for senders. It is a notify.Outbox.
type Outbox struct{ *database }

// together is how long after the first sender others count as configured with it:
// reading starts while they are registered individually, and all must get the same events.
const together = time.Minute

// Register adds a sender and marks it as in use. A new sender starts after the newest
// event if there have been others for longer, else at the beginning.
func (db Outbox) Register(ctx context.Context, sender string) error {
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

// Unregister marks a sender as not in use, as when it is removed from the configuration:
// Prune does not wait for it. Its cursor stays.
func (db Outbox) Unregister(sender string) {
	db.mu.Lock()
	defer db.mu.Unlock()
	delete(db.senders, sender)
}

// Pending returns the next events for a sender, at most limit, in the order they were
// written: first those that are replayed, if there are any, and after them those after
// its cursor. The two never come together. It fails with ErrNoSender.
func (db Outbox) Pending(ctx context.Context, sender string, limit int) ([]ctwatch.Queued, error) {
	var out []ctwatch.Queued
	err := db.read(ctx, "reading the outbox for "+sender, func(t readTx) error {
		cursor, err := cursorOf(t, sender)
		if err != nil {
			return err
		}
		rows, err := t.query(sqlRedeliveries, sender, limit, redelivered)
		if out, err = collect(rows, err, scanQueued); err != nil || len(out) > 0 {
			return err
		}
		rows, err = t.query(sqlPending, cursor, limit)
		out, err = collect(rows, err, scanQueued)
		return err
	})
	return out, err
}

func scanQueued(r *sql.Rows) (q ctwatch.Queued, err error) {
	var packed []byte
	if err := r.Scan(&q.Seq, &packed); err != nil {
		return q, err
	}
	q.Event, q.JSON, err = unpackEvent(q.Seq, packed)
	return q, err
}

// unpackEvent decodes an event as the outbox has it. It returns its JSON, too.
func unpackEvent(seq int64, packed []byte) (e ctwatch.Event, text []byte, err error) {
	if text, err = pack.EventJSON(packed); err == nil {
		err = e.UnmarshalJSON(text) // json.Unmarshal would parse it twice
	}
	if err != nil {
		err = fmt.Errorf("event %d: %w", seq, err)
	}
	return e, text, err
}

// maxSeq is greater than the seq of any event.
const maxSeq = math.MaxInt64

const (
	sqlPending   = `SELECT seq, event FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?`
	sqlDelivered = `
		UPDATE senders SET cursor = max(cursor, ?2), last_success_at = ?3, last_error = '', attempts = 0
		WHERE name = ?1`
	sqlPassed = `UPDATE senders SET cursor = max(cursor, ?2) WHERE name = ?1`
)

// SetDelivered moves a sender past all events up to seq, which Pending returned: it
// delivered that one.
func (db Outbox) SetDelivered(ctx context.Context, sender string, seq int64) error {
	return db.writeUrgent(ctx, "recording a delivery by "+sender, func(t *tx) error {
		if err := one(t.exec(sqlDelivered, sender, seq, ms(t.now))); err != nil || seq >= 0 {
			return err
		}
		return t.doneAgain(sender, seq)
	})
}

// SkipTo moves a sender past all events up to seq, which Pending returned: it wants none
// since the last that it delivered.
func (db Outbox) SkipTo(ctx context.Context, sender string, seq int64) error {
	return db.writeUrgent(ctx, "skipping events for "+sender, func(t *tx) error {
		if err := one(t.exec(sqlPassed, sender, seq)); err != nil || seq >= 0 {
			return err
		}
		return t.doneAgain(sender, seq)
	})
}

const (
	sqlDead = `
		INSERT INTO dead_letters (sender, seq, reason, at) SELECT ?1, seq, ?3, ?4 FROM outbox WHERE seq = ?2
		ON CONFLICT DO NOTHING`
	sqlDeadAgain = `
		INSERT INTO dead_letters (sender, seq, event, reason, at)
		SELECT r.sender, r.seq, CASE WHEN o.seq IS NULL THEN r.event END, ?3, ?4 FROM redeliveries r LEFT JOIN outbox o ON o.seq = r.seq
		WHERE r.sender = ?1 AND r.n = ?2 AND (r.event IS NOT NULL OR o.seq IS NOT NULL)
		ON CONFLICT DO NOTHING`
)

// SetDeadLetter stores an event that a sender can never deliver as a dead letter, with
// the reason, and moves the sender past it.
func (db Outbox) SetDeadLetter(ctx context.Context, sender string, seq int64, reason string) error {
	return db.writeUrgent(ctx, "storing a dead letter of "+sender, func(t *tx) error {
		err := one(t.exec(sqlPassed, sender, seq))
		if err != nil {
			return err
		}
		if seq >= 0 {
			_, err = t.exec(sqlDead, sender, seq, text(reason), ms(t.now))
			return err
		}
		if _, err := t.exec(sqlDeadAgain, sender, seq-redelivered, text(reason), ms(t.now)); err != nil {
			return err
		}
		return t.doneAgain(sender, seq)
	})
}

// SetFailing records why a sender cannot deliver now. The event stays pending.
func (db Outbox) SetFailing(ctx context.Context, sender string, reason string) error {
	return db.writeUrgent(ctx, "recording a failure of "+sender, func(t *tx) error {
		return one(t.exec(`UPDATE senders SET last_error = ?2, attempts = attempts + 1 WHERE name = ?1`, sender, text(reason)))
	})
}

// one turns a write that matched no sender into ErrNoSender.
func one(rows int64, err error) error {
	if err == nil && rows == 0 {
		err = ErrNoSender
	}
	return err
}

// Add writes an event about the daemon itself to the outbox, once for its ID.
func (db Outbox) Add(ctx context.Context, e ctwatch.Event) error {
	return db.write(ctx, "writing the event "+string(e.Type), func(t *tx) error { return t.event(e) })
}

// pruneStep is how many rows one transaction deletes at most.
const pruneStep = 1000

// keepThreads is how long threads are kept. By then the certificate has expired
// (CA/Browser Forum Baseline Requirements §6.3.2).
const keepThreads = 400 * 24 * time.Hour

// Prune deletes events that were written before a time and that every sender in use has
// passed: those registered since the database was opened, and not unregistered. Without
// any it deletes nothing. It returns how many were deleted. It deletes old threads, too,
// and makes the file smaller where much of it is free.
func (db Outbox) Prune(ctx context.Context, before time.Time) (int64, error) {
	db.mu.Lock()
	senders := list(slices.Collect(maps.Keys(db.senders)))
	db.mu.Unlock()
	const what = "deleting old events"

	n, err := db.inSteps(ctx, what, func(t *tx) (n int64, err error) {
		// Events are in order of time: the first that is too young ends it. Some of those
		// that are replayed are only in the outbox.
		var last sql.NullInt64
		err = t.queryRow(`
			SELECT max(seq) FROM outbox
			WHERE seq <= (SELECT min(cursor) FROM senders WHERE name IN (SELECT value FROM json_each(?1)))
				AND seq < coalesce((SELECT seq FROM outbox WHERE created_at >= ?2 ORDER BY seq LIMIT 1), ?4)
				AND seq < coalesce((SELECT min(seq) FROM redeliveries WHERE event IS NULL AND sender IN (SELECT value FROM json_each(?1))), ?4)
				AND seq < (SELECT min(seq) FROM outbox) + ?3`,
			senders, ms(before), db.pruneStep, int64(maxSeq)).Scan(&last)
		if err != nil || !last.Valid {
			return 0, err
		}
		// Dead letters stay.
		_, err = t.exec(`
			UPDATE dead_letters SET event = (SELECT o.event FROM outbox o WHERE o.seq = dead_letters.seq)
			WHERE event IS NULL AND seq <= ?`, last)
		if err != nil {
			return 0, err
		}
		if n, err = t.exec(`DELETE FROM outbox WHERE seq <= ?`, last); err != nil {
			return 0, err
		}
		// Of senders that are not in use.
		_, err = t.exec(`DELETE FROM redeliveries WHERE event IS NULL AND seq < coalesce((SELECT min(seq) FROM outbox), ?)`, int64(maxSeq))
		return n, err
	})
	if err != nil {
		return n, err
	}
	_, err = db.inSteps(ctx, "deleting old threads", func(t *tx) (int64, error) {
		return t.exec(`
			DELETE FROM threads WHERE (sender, key) IN (SELECT sender, key FROM threads WHERE at < ? ORDER BY at LIMIT ?)`,
			ms(t.now.Add(-keepThreads)), db.pruneStep)
	})
	if err != nil {
		return n, err
	}
	return n, db.shrink(ctx)
}

// inSteps runs f in transactions of its own until it deletes less than a step. It
// returns how many rows were deleted.
func (db *database) inSteps(ctx context.Context, what string, f func(*tx) (int64, error)) (total int64, err error) {
	for {
		var n int64
		err := db.write(ctx, what, func(t *tx) (err error) {
			n, err = f(t)
			return err
		})
		if err != nil {
			return total, err
		}
		if total += n; n < db.pruneStep {
			return total, nil
		}
	}
}
