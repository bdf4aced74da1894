package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
)

// OpenReadOnly opens the database at path to read only, whether or not a daemon has it
// open, also if the directory cannot be written. It creates and changes no file there.
// It fails with ErrMissing if there is no database, and with ErrVersion if its schema is
// not this program's.
func OpenReadOnly(ctx context.Context, path string) (*DB, error) {
	return openReadOnly(ctx, path, Options{Logger: slog.New(slog.DiscardHandler)})
}

func openReadOnly(ctx context.Context, path string, o Options) (_ *DB, err error) {
	db := newDB(path, o)
	defer func() {
		if err != nil {
			db.release()
		}
	}()
	fi, err := db.stat()
	if err != nil {
		return nil, err
	}
	from, extra := path, url.Values(nil)
	switch {
	case db.quiet():
		// No process has it open, and none crashed while it wrote. SQLite would create a
		// write-ahead log even to read, which fails in a directory of another user, or
		// leaves a file that the user cannot remove. With "immutable" it creates none;
		// read checks that the file really does not change.
		db.still = fi
		extra = url.Values{"immutable": {"1"}}
	case db.leftover():
		if from, err = db.copyLeftover(fi); err != nil {
			return nil, fmt.Errorf("opening the database %s: %w", path, err)
		}
	}
	if db.r, err = sql.Open(driverName, readerDSN(from, extra)); err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", path, err)
	}
	db.r.SetMaxOpenConns(readers)
	if err := checkVersion(ctx, db.r, migrations()); err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", path, db.explain(err))
	}
	return db, nil
}

// stat returns the state of the file, or an error that says what to do.
func (db *database) stat() (fs.FileInfo, error) {
	fi, err := os.Stat(db.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w at %s: name another data directory with --data or data_dir, or start \"ctwatch run\", which creates it", ErrMissing, db.path)
	case err != nil:
		return nil, fmt.Errorf("opening the database: %w: %w", ErrDisk, err)
	}
	return fi, wantFile(db.path, fi)
}

// walSize returns the size of the write-ahead log; ok is false if there is none.
func (db *database) walSize() (size int64, ok bool) {
	fi, err := os.Stat(db.path + "-wal")
	if err != nil {
		return 0, false
	}
	return fi.Size(), true
}

// indexed reports whether the index of a write-ahead log exists: a process creates it
// when it opens the database, and it remains after a crash.
func (db *database) indexed() bool {
	_, err := os.Stat(db.path + "-shm")
	return err == nil
}

// quiet reports whether the file alone is the database, and no process has it open.
func (db *database) quiet() bool {
	size, ok := db.walSize()
	return !ok || size == 0 && !db.indexed()
}

// leftover reports whether there is a write-ahead log that no process has open, as in a
// copy of the directory: it may hold part of the database, and SQLite reads it only
// where it can create its index.
func (db *database) leftover() bool {
	size, _ := db.walSize()
	return size > 0 && !db.indexed()
}

// copyLeftover copies the file and its write-ahead log into a new temporary directory,
// where SQLite can create the index, and returns the copy's path.
func (db *database) copyLeftover(before fs.FileInfo) (string, error) {
	wal, _ := db.walSize()
	var err error
	if db.temp, err = makeTemp(); err != nil {
		return "", err
	}
	to := filepath.Join(db.temp, filename)
	for _, suffix := range []string{"", "-wal"} {
		if err := copyFile(to+suffix, db.path+suffix); err != nil {
			return "", fmt.Errorf("copying it with its write-ahead log: %w", err)
		}
	}
	after, err := os.Stat(db.path)
	if err != nil {
		return "", err
	}
	if now, _ := db.walSize(); db.indexed() || now != wal || !sameFile(before, after) {
		return "", errDisturbed
	}
	return to, nil
}

// filename is the name of a database in a temporary directory.
const filename = "ctwatch.db"

func makeTemp() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "ctwatch-*"); err != nil {
		return "", fmt.Errorf("making a temporary copy: %w", err)
	}
	return dir, nil
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func sameFile(a, b fs.FileInfo) bool {
	return a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// errDisturbed means that a file that no process was to change was changed.
var errDisturbed = errors.New("the database was written while it was read without the daemon: try again")

// disturbed reports whether a database that was opened as an unchanging file has
// changed.
func (db *database) disturbed() bool {
	if db.still == nil {
		return false
	}
	fi, err := os.Stat(db.path)
	return err != nil || !db.quiet() || !sameFile(fi, db.still)
}

// OpenPrivate opens the database at path for a command that only reads, but reads the
// state after apply, such as after applying the trust of a configuration. Nothing at
// path is created or changed: if apply has something to write, it is called again on a
// temporary copy, which Close removes. It fails as OpenReadOnly does.
func OpenPrivate(ctx context.Context, path string, o Options, apply func(*DB) error) (*DB, error) {
	db, err := openReadOnly(ctx, path, o)
	if err != nil {
		return nil, err
	}
	if err = apply(db); err == nil {
		return db, nil
	}
	defer db.release()
	if !errors.Is(err, ErrReadOnly) {
		return nil, err
	}
	return openTemp(ctx, o, apply, func(to string) error {
		_, err := db.r.ExecContext(ctx, `VACUUM INTO ?`, to)
		if db.disturbed() {
			err = errDisturbed
		}
		if err != nil {
			return fmt.Errorf("copying the database %s to a temporary directory: %w", path, db.explain(err))
		}
		return nil
	})
}

// OpenEmpty opens an empty database in a temporary directory, which Close removes, and
// calls apply.
func OpenEmpty(ctx context.Context, o Options, apply func(*DB) error) (*DB, error) {
	return openTemp(ctx, o, apply, func(string) error { return nil })
}

// openTemp opens a database in a new temporary directory; fill may put one there first.
func openTemp(ctx context.Context, o Options, apply func(*DB) error, fill func(path string) error) (_ *DB, err error) {
	dir, err := makeTemp()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
		}
	}()
	path := filepath.Join(dir, filename)
	if err := fill(path); err != nil {
		return nil, err
	}
	o.MustExist = false
	db, err := OpenShared(ctx, path, o)
	if err != nil {
		return nil, err
	}
	db.temp = dir
	if err := apply(db); err != nil {
		return nil, errors.Join(err, db.release())
	}
	return db, nil
}
