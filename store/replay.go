package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"ctwatch/ctwatch"
)

// A Replay selects which events a sender gets again. The zero Replay selects its dead
// letters.
type Replay struct {
	// Since selects all events that were written then or later and are still kept,
	// delivered or not, and also from before the sender was registered. Those that are
	// pending anyway are not doubled.
	Since time.Time
	// Seq selects one dead letter.
	Seq int64
}

// redelivered is added to the number of a redelivery to make its seq: a negative one,
// unlike that of any event in the outbox.
const redelivered = -1 << 62

// Replay makes events pending for a sender again, and returns how many. The sender gets
// them in the order they were written, before all others, and each stops being its dead
// letter until it fails again. Other senders get none.
//
// It fails with ErrNoSender, and with ctwatch.ErrNotFound if there is no dead letter with the
// Seq.
func (db Outbox) Replay(ctx context.Context, sender string, r Replay) (n int64, err error) {
	what := "putting events before " + sender + " again"
	if r.Seq != 0 && !r.Since.IsZero() {
		return 0, fmt.Errorf("%s: either one dead letter or all events since a time", what)
	}
	err = db.write(ctx, what, func(t *tx) error {
		cursor, err := cursorOf(t, sender)
		if err != nil {
			return err
		}
		const none = -1 // nothing but dead letters
		first, last := int64(0), int64(maxSeq)
		switch {
		case r.Seq != 0:
			first, last, cursor = r.Seq, r.Seq, none
		case !r.Since.IsZero():
			err := t.queryRow(`SELECT coalesce((SELECT seq FROM outbox WHERE created_at >= ? ORDER BY seq LIMIT 1), ?)`, ms(r.Since), last).Scan(&first)
			if err != nil {
				return err
			}
		default:
			cursor = none
		}
		if n, err = t.exec(sqlReplay, sender, first, last, min(last, cursor), ms(t.now)); err != nil {
			return err
		}
		if n == 0 && r.Seq != 0 {
			return fmt.Errorf("dead letter %d: %w", r.Seq, ctwatch.ErrNotFound)
		}
		if _, err := t.exec(`DELETE FROM dead_letters WHERE sender = ? AND seq BETWEEN ? AND ?`, sender, first, last); err != nil {
			return err
		}
		// A change of the revision wakes up a daemon in another process.
		t.events, t.changed = t.events+int(n), n > 0
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

const (
	sqlReplay = `
		INSERT INTO redeliveries (sender, seq, event, at)
		SELECT ?1, seq, event, ?5 FROM (
			SELECT d.seq, coalesce(d.event, o.event) AS event FROM dead_letters d LEFT JOIN outbox o ON o.seq = d.seq
			WHERE d.sender = ?1 AND d.seq BETWEEN ?2 AND ?3
			UNION ALL
			SELECT seq, NULL FROM outbox o WHERE seq BETWEEN ?2 AND ?4
				AND NOT EXISTS (SELECT 1 FROM dead_letters d WHERE d.sender = ?1 AND d.seq = o.seq))
		WHERE true ORDER BY seq
		ON CONFLICT DO NOTHING`
	sqlRedeliveries = `
		SELECT r.n + ?3, coalesce(r.event, o.event) FROM redeliveries r LEFT JOIN outbox o ON o.seq = r.seq
		WHERE r.sender = ?1 AND (r.event IS NOT NULL OR o.seq IS NOT NULL) ORDER BY r.n LIMIT ?2`
	sqlRedelivered = `DELETE FROM redeliveries WHERE sender = ? AND n <= ?`
)

// doneAgain records that a sender is done with replayed events, up to a seq that Pending
// returned.
func (t *tx) doneAgain(sender string, seq int64) error {
	if _, err := t.exec(sqlRedelivered, sender, seq-redelivered); err != nil {
		return err
	}
	var more bool
	if err := t.queryRow(`SELECT EXISTS (SELECT 1 FROM redeliveries WHERE sender = ?)`, sender).Scan(&more); err != nil || more {
		return err
	}
	// Until now Pending did not return what waits in the outbox.
	t.events++
	return nil
}

// A DeadLetter is an event that a sender can never deliver.
type DeadLetter struct {
	Seq    int64
	Event  ctwatch.Event
	Reason string
	At     time.Time // when it was set aside
}

// DeadLetters returns the latest dead letters of a sender, newest first: at most limit,
// or all if it is 0. It fails with ErrNoSender.
func (db Outbox) DeadLetters(ctx context.Context, sender string, limit int) ([]DeadLetter, error) {
	if limit <= 0 {
		limit = -1 // no limit, for SQLite
	}
	var out []DeadLetter
	err := db.read(ctx, "reading the dead letters of "+sender, func(t readTx) error {
		if _, err := cursorOf(t, sender); err != nil {
			return err
		}
		rows, err := t.query(`
			SELECT d.seq, coalesce(d.event, o.event), d.reason, d.at FROM dead_letters d LEFT JOIN outbox o ON o.seq = d.seq
			WHERE d.sender = ? ORDER BY d.at DESC, d.seq DESC LIMIT ?`, sender, limit)
		out, err = collect(rows, err, func(r *sql.Rows) (d DeadLetter, err error) {
			var event []byte
			var at int64
			if err := r.Scan(&d.Seq, &event, &d.Reason, &at); err != nil {
				return d, err
			}
			d.At = fromMS(at)
			d.Event, _, err = unpackEvent(d.Seq, event)
			return d, err
		})
		return err
	})
	return out, err
}

// cursorOf returns the cursor of a sender.
func cursorOf(q querier, sender string) (cursor int64, err error) {
	err = q.queryRow(`SELECT cursor FROM senders WHERE name = ?`, sender).Scan(&cursor)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNoSender
	}
	return cursor, err
}
