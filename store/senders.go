package store

import (
	"context"
	"database/sql"

	"ctwatch/ctwatch"
)

// Senders keeps how delivery by each sender stands, and what senders have to remember.
type Senders struct{ *database }

// List returns the state of every registered sender, with its warnings, by name.
func (db Senders) List(ctx context.Context) ([]ctwatch.SenderStatus, error) {
	var out []ctwatch.SenderStatus
	err := db.read(ctx, "reading the senders", func(t readTx) error {
		// seq has no gaps, so that a difference counts.
		rows, err := t.query(`
			SELECT name, registered_at,
				max(0, coalesce((SELECT max(seq) FROM outbox), 0) - cursor) + (SELECT count(*) FROM redeliveries WHERE sender = name),
				(SELECT created_at FROM outbox WHERE seq > cursor ORDER BY seq LIMIT 1),
				(SELECT at FROM redeliveries WHERE sender = name ORDER BY n LIMIT 1),
				(SELECT count(*) FROM dead_letters WHERE sender = name), last_success_at, last_error, attempts
			FROM senders ORDER BY name`)
		out, err = collect(rows, err, func(r *sql.Rows) (s ctwatch.SenderStatus, err error) {
			var registered int64
			var written, again, success sql.NullInt64
			err = r.Scan(&s.Name, &registered, &s.Backlog, &written, &again, &s.DeadLetters, &success, &s.LastError, &s.Attempts)
			if !written.Valid || again.Valid && again.Int64 < written.Int64 {
				written = again
			}
			s.RegisteredAt, s.OldestPending, s.LastSuccess = fromMS(registered), timePtr(written), timePtr(success)
			s.Warnings = []ctwatch.SenderWarning{}
			return s, err
		})
		if err != nil {
			return err
		}
		return db.addWarnings(t, out)
	})
	return out, err
}
