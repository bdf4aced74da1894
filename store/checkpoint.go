package store

import (
	"context"
	"fmt"
	"time"
)

// maxLog is the size of the write-ahead log, in bytes, above which ShortenLog acts. SQLite
// alone keeps it at some 4 MiB while no reader hinders it.
const maxLog = 16 << 20

// shortenPatience is how long ShortenLog waits for readers, and all that writes with it.
const shortenPatience = 250 * time.Millisecond

// LogBytes returns the size of the write-ahead log.
func (db *DB) LogBytes() int64 {
	size, _ := db.walSize()
	return size
}

// ShortenLog moves the write-ahead log into the database and empties it, if it is large.
// SQLite does so after a commit, but never waits for readers: while one begins before the
// other ends, however short each is, the log only grows. ShortenLog waits for those that
// read at the moment, and new ones do not hinder it.
//
// A reader that takes longer, such as a command that lists everything, makes it fail: then
// the log stays as it is, which is logged once, and the next call tries again.
func (db *DB) ShortenLog(ctx context.Context) error {
	if size, ok := db.walSize(); !ok || size <= maxLog || db.w == nil {
		return nil
	}
	if err := db.turns.take(ctx, false); err != nil {
		return err
	}
	defer db.turns.give()
	err := db.shortenLog(context.WithoutCancel(ctx))
	if err != nil {
		return fmt.Errorf("emptying the write-ahead log: %w", db.explain(err))
	}
	return nil
}

func (db *DB) shortenLog(ctx context.Context) (err error) {
	patience := func(d time.Duration) error {
		_, err := db.conn.ExecContext(ctx, fmt.Sprintf(`PRAGMA busy_timeout = %d`, d.Milliseconds()))
		return err
	}
	if err := patience(shortenPatience); err != nil {
		return err
	}
	var busy, frames, moved int64
	err = db.conn.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &frames, &moved)
	if err := patience(writerPatience); err != nil {
		return err
	}
	if err != nil {
		return err
	}
	size, _ := db.walSize()
	switch {
	case busy == 0 && db.longLog:
		db.log.InfoContext(ctx, "the write-ahead log is short again", "path", db.path)
	case busy != 0 && !db.longLog:
		db.log.WarnContext(ctx, "the write-ahead log of the database cannot be emptied, and grows until what reads the database for long has ended",
			"path", db.path, "bytes", size)
	}
	db.longLog = busy != 0
	return nil
}
