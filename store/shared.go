package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	// sharedWait is how long a command waits for whoever brings the database up to
	// date just now.
	sharedWait = 5 * time.Second
	sharedPoll = 20 * time.Millisecond
)

// OpenShared opens the database at path to read and write for a command, beside a
// daemon that may have it open. It creates it if it is missing. It does not hold
// the directory: only to bring the schema up to date it takes it, for as long as
// that takes. The events that it writes the daemon tells, or the next one.
//
// It fails with ErrVersion if the schema is not this program's and a running daemon
// keeps it from being so, or if it is newer.
func OpenShared(ctx context.Context, path string, o Options) (_ *DB, err error) {
	db := newDB(path, o)
	db.shared = true
	defer func() {
		if err != nil {
			db.release()
		}
	}()
	if err := createFile(path); err != nil {
		return nil, err
	}
	if err := db.prepareShared(ctx); err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", path, db.explain(err))
	}
	if err := db.prepare(ctx); err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", path, db.explain(err))
	}
	if err := db.openReaders(); err != nil {
		return nil, err
	}
	return db, nil
}

// prepareShared sees to it that the database has this program's schema.
func (db *DB) prepareShared(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sharedWait)
	defer cancel()
	tick := time.NewTicker(sharedPoll)
	defer tick.Stop()
	for {
		// Nothing is asked of an empty file: the first who opens it makes it a
		// database, and two would be in each other's way.
		fi, err := os.Stat(db.path)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrDisk, err)
		}
		var stale error
		if fi.Size() > 0 {
			if err := db.openWriter(); err != nil {
				return err
			}
			if stale = checkVersion(ctx, db.w, migrations()); stale == nil || !errors.Is(stale, ErrVersion) {
				return stale
			}
		}
		err = db.migrateAlone(ctx)
		if !errors.Is(err, ErrLocked) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) && stale != nil {
				return fmt.Errorf("%w: the ctwatch that runs on it is of another version than this command: use the same, or stop it first (%w)", stale, err)
			}
			return errors.Join(ctx.Err(), err)
		}
	}
}

// migrateAlone brings the schema up to date while it holds the directory, or fails
// with ErrLocked.
func (db *DB) migrateAlone(ctx context.Context) error {
	lock, err := lockDir(filepath.Dir(db.path))
	if err != nil {
		return err
	}
	if err = db.openWriter(); err == nil {
		err = migrate(ctx, db.w, migrations())
	}
	return errors.Join(err, lock.unlock())
}
