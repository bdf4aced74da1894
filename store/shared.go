package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// sharedWait is how long a command waits while another process migrates the database.
const sharedWait = 3 * time.Second

// OpenShared opens the database at path to read and write for a command, beside a daemon
// that may have it open. It creates it if it is missing, or fails with ErrMissing if
// o.MustExist is set. It locks the directory only while it migrates the schema. Its
// events are sent by the daemon, or by the next one.
//
// It fails with ErrVersion if the schema is not this program's and a running daemon
// prevents the migration, or if it is newer.
func OpenShared(ctx context.Context, path string, o Options) (_ *DB, err error) {
	db := newDB(path, o)
	db.shared = true
	if o.MustExist {
		if _, err := db.stat(); err != nil {
			return nil, err
		}
	}
	defer func() {
		if err != nil {
			db.release()
		}
	}()
	if err := db.prepareShared(ctx, o.Progress); err != nil {
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

// prepareShared makes sure that the database has this program's schema.
func (db *database) prepareShared(ctx context.Context, progress func(Progress)) error {
	deadline := time.NewTimer(sharedWait)
	defer deadline.Stop()
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	want := len(migrations())
	for {
		// An empty file is left to the process that holds the directory, which creates
		// the schema.
		var v version
		fi, err := os.Stat(db.path)
		switch {
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("%w: %w", ErrDisk, err)
		case err == nil && !fi.Mode().IsRegular():
			return wantFile(db.path, fi)
		case err == nil && fi.Size() > 0:
			if err := db.openWriter(); err != nil {
				return err
			}
			if v, err = versionOf(ctx, db.w, want); err != nil || v == (version{schema: want}) {
				return err
			}
		}
		err = db.migrateAlone(ctx, progress)
		if !errors.Is(err, ErrLocked) {
			return err
		}
		// A daemon of another version, or a command that is migrating, too.
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline.C:
			if v.filling {
				return fmt.Errorf("%w: it is being migrated to version %d: try again when that is done (%w)", ErrVersion, v.schema, err)
			}
			return fmt.Errorf("%w: its schema has version %d and this command wants version %d, and the running daemon is of another version: stop it, or restart it with this one (%w)",
				ErrVersion, v.schema, want, err)
		}
	}
}

// migrateAlone migrates the schema while it holds the directory, or fails with
// ErrLocked.
func (db *database) migrateAlone(ctx context.Context, progress func(Progress)) error {
	lock, err := lockDir(filepath.Dir(db.path))
	if err != nil {
		return err
	}
	if err = createFile(db.path); err == nil {
		err = db.openWriter()
	}
	if err == nil {
		err = db.migrate(ctx, progress)
	}
	return errors.Join(err, lock.unlock())
}
