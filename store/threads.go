package store

import (
	"context"
	"database/sql"
	"errors"
)

// Threads remembers, for one sender, which of its messages is about what. It is
// safe for concurrent use.
type Threads struct {
	db     *database
	sender string
}

// Threads returns the threads of a sender, which need not be registered.
func (db Senders) Threads(sender string) *Threads { return &Threads{db.database, sender} }

// Thread returns what SetThread was last given for a key; ok is false if that never
// was, or more than 400 days ago.
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

// SetThread notes which message, of a channel, is about what a key says.
func (s *Threads) SetThread(ctx context.Context, key, channel, ts string) error {
	return s.db.jot(ctx, "noting a thread of "+s.sender, func(t *tx) error {
		_, err := t.exec(`
			INSERT INTO threads (sender, key, channel, ts, at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET channel = excluded.channel, ts = excluded.ts, at = excluded.at`,
			s.sender, text(key), text(channel), text(ts), ms(t.now))
		return err
	})
}
