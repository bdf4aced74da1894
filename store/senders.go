package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"ctwatch/ctwatch"
)

// Senders keeps the state of delivery by each sender, and what senders have to remember.
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

// keepWarnings is how long a warning is shown.
const keepWarnings = 90 * 24 * time.Hour

// AddWarning records a problem of a sender's service, for people to see, until
// ResolveWarning removes it or 90 days have passed since it was last recorded.
func (db Senders) AddWarning(ctx context.Context, sender, code, msg string) error {
	return db.writeUrgent(ctx, "recording a warning about "+sender, func(t *tx) error {
		_, err := t.exec(`
			INSERT INTO sender_warnings (sender, code, text, since, at, times) VALUES (?1, ?2, ?3, ?4, ?4, 1)
			ON CONFLICT DO UPDATE SET text = ?3, at = ?4, times = times + 1`, sender, code, text(msg), ms(t.now))
		return err
	})
}

// ResolveWarning removes a warning.
func (db Senders) ResolveWarning(ctx context.Context, sender, code string) error {
	return db.writeUrgent(ctx, "resolving a warning about "+sender, func(t *tx) error {
		_, err := t.exec(`DELETE FROM sender_warnings WHERE sender = ? AND code = ?`, sender, code)
		return err
	})
}

// addWarnings adds their warnings to senders, by code.
func (db Senders) addWarnings(t readTx, senders []ctwatch.SenderStatus) error {
	type warning struct {
		sender string
		ctwatch.SenderWarning
	}
	rows, err := t.query(`SELECT sender, code, text, since, at, times FROM sender_warnings WHERE at > ? ORDER BY sender, code`, ms(db.now().Add(-keepWarnings)))
	all, err := collect(rows, err, func(r *sql.Rows) (w warning, err error) {
		var since, at int64
		err = r.Scan(&w.sender, &w.Code, &w.Text, &since, &at, &w.Times)
		w.Since, w.Last = fromMS(since), fromMS(at)
		return w, err
	})
	for _, w := range all {
		if i := slices.IndexFunc(senders, func(s ctwatch.SenderStatus) bool { return s.Name == w.sender }); i >= 0 {
			senders[i].Warnings = append(senders[i].Warnings, w.SenderWarning)
		}
	}
	return err
}

// SetNote stores a note of a sender's own, in place of the last.
func (db Senders) SetNote(ctx context.Context, sender, note string) error {
	return db.writeUrgent(ctx, "storing a note of "+sender, func(t *tx) error {
		_, err := t.exec(`INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)`, "note "+sender, text(note))
		return err
	})
}

// Note returns the note of a sender; "" if there is none.
func (db Senders) Note(ctx context.Context, sender string) (note string, err error) {
	err = db.read(ctx, "reading the note of "+sender, func(t readTx) error {
		err := t.queryRow(`SELECT value FROM meta WHERE key = ?`, "note "+sender).Scan(&note)
		return orNone(err)
	})
	return note, err
}

// Secret returns a secret of 32 bytes for a purpose. It is created when it is first
// used, and lasts as long as the database.
func (db Senders) Secret(ctx context.Context, purpose string) ([]byte, error) {
	var secret []byte
	err := db.write(ctx, "reading the secret for "+purpose, func(t *tx) error {
		key := "secret " + purpose
		var value string
		err := t.queryRow(`SELECT value FROM meta WHERE key = ?`, key).Scan(&value)
		if errors.Is(err, sql.ErrNoRows) {
			fresh := make([]byte, 32)
			rand.Read(fresh) // never fails
			value = hex.EncodeToString(fresh)
			_, err = t.exec(`INSERT INTO meta (key, value) VALUES (?, ?)`, key, value)
		}
		if err != nil {
			return err
		}
		if secret, err = hex.DecodeString(value); err != nil { // err may show it
			return fmt.Errorf("the secret for %s in the database is damaged", ctwatch.Printable(purpose, 40))
		}
		return nil
	})
	return secret, err
}

// A Threads remembers which messages of one sender are about what. It is safe for
// concurrent use.
type Threads struct {
	db     *database
	sender string
}

// Threads returns the threads of a sender, which need not be registered.
func (db Senders) Threads(sender string) *Threads { return &Threads{db.database, sender} }

// Thread returns what SetThread was last given for a key; ok is false if that never
// happened, or more than 400 days ago.
func (s *Threads) Thread(ctx context.Context, key string) (channel, ts string, ok bool, err error) {
	err = s.db.read(ctx, "looking for a thread of "+s.sender, func(t readTx) error {
		err := t.queryRow(`SELECT channel, ts FROM threads WHERE sender = ? AND key = ? AND at >= ?`,
			s.sender, key, ms(s.db.now().Add(-keepThreads))).Scan(&channel, &ts)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		ok = err == nil
		return err
	})
	return channel, ts, ok, err
}

// SetThread records which message, in a channel, is about a key.
func (s *Threads) SetThread(ctx context.Context, key, channel, ts string) error {
	return s.db.writeUrgent(ctx, "storing a thread of "+s.sender, func(t *tx) error {
		_, err := t.exec(`
			INSERT INTO threads (sender, key, channel, ts, at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET channel = excluded.channel, ts = excluded.ts, at = excluded.at`,
			s.sender, text(key), text(channel), text(ts), ms(t.now))
		return err
	})
}
