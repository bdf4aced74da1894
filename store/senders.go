package store

import (
	"context"
	"database/sql"
	"time"
)

// Senders keeps how delivery by each sender stands, and what senders have to remember.
type Senders struct{ *database }

// A SenderStatus is how the delivery by one sender stands.
type SenderStatus struct {
	Name          string
	RegisteredAt  time.Time
	Backlog       int64      // events that wait for it, also those put before it again
	OldestPending *time.Time // when the first of them was written, or put before it again; nil: none waits
	DeadLetters   int64      // events that it will never take
	LastSuccess   *time.Time // nil before the first
	LastError     string     // "" when the last try succeeded
	Attempts      int64      // failures noted since the last success
}

// List returns how every sender stands that was ever registered, by name.
func (db Senders) List(ctx context.Context) ([]SenderStatus, error) {
	var out []SenderStatus
	err := db.read(ctx, "reading the senders", func(t readTx) error {
		// seq has no gaps, so that a difference counts.
		rows, err := t.query(`
			SELECT name, registered_at,
				max(0, coalesce((SELECT max(seq) FROM outbox), 0) - cursor) + (SELECT count(*) FROM redeliveries WHERE sender = name),
				(SELECT created_at FROM outbox WHERE seq > cursor ORDER BY seq LIMIT 1),
				(SELECT at FROM redeliveries WHERE sender = name ORDER BY n LIMIT 1),
				(SELECT count(*) FROM dead_letters WHERE sender = name), last_success_at, last_error, attempts
			FROM senders ORDER BY name`)
		out, err = collect(rows, err, func(r *sql.Rows) (s SenderStatus, err error) {
			var registered int64
			var written, again, success sql.NullInt64
			err = r.Scan(&s.Name, &registered, &s.Backlog, &written, &again, &s.DeadLetters, &success, &s.LastError, &s.Attempts)
			if !written.Valid || again.Valid && again.Int64 < written.Int64 {
				written = again
			}
			s.RegisteredAt, s.OldestPending, s.LastSuccess = fromMS(registered), timePtr(written), timePtr(success)
			return s, err
		})
		return err
	})
	return out, err
}
