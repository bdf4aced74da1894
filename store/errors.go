package store

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Errors that a caller, or the person in front of it, can do something about. All
// others are faults of the program.
var (
	// ErrDisk says that the file system does not do what is asked of it.
	ErrDisk = errors.New("the data directory cannot be used")
	// ErrCorrupt says that the database is damaged.
	ErrCorrupt = errors.New("the database is damaged; restore a backup, or move the file away (with its -wal and -shm) and start anew")
	// ErrVersion says that the database's schema is not this program's.
	ErrVersion = errors.New("unsuitable database")
	// ErrLocked says that another process uses the data directory.
	ErrLocked = errors.New("another ctwatch runs on this data directory")
	// ErrMissing says that there is no database.
	ErrMissing = errors.New("there is no database")
	// ErrReadOnly says that a database that was opened to read only would be written.
	ErrReadOnly = errors.New("the database is open to read only")
	// ErrNotFound says that there is no such certificate, key or app's version.
	ErrNotFound = errors.New("not found")
	// ErrAmbiguous says that several certificates have an ID that begins so.
	ErrAmbiguous = errors.New("ambiguous: give more digits")
	// ErrNoSender says that no sender of that name was ever registered.
	ErrNoSender = errors.New("no such sender is registered")
	// ErrState says that the state of a key does not allow what was asked.
	ErrState = errors.New("the key's state forbids it")
	// ErrUnexpected says that a key has a certificate which should not exist, and that a
	// person who approves it has to mean that.
	ErrUnexpected = errors.New("it should not exist, so its key cannot be approved")
)

// explain adds to an error of SQLite what to do about it, and takes note of one
// that puts the file in doubt.
func (db *database) explain(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff { // the primary result code
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: the disk is full; make room on it and start again: %w", ErrDisk, err)
	case sqlite3.SQLITE_IOERR:
		db.suspect.Store(true)
		return fmt.Errorf("%w: the disk fails; look into the system's log, then start again: %w", ErrDisk, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("%w: the database cannot be opened or written; check the owner and the permissions of %s and of its directory: %w", ErrDisk, db.path, err)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		db.suspect.Store(true)
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	case sqlite3.SQLITE_BUSY:
		return fmt.Errorf("another program holds %s for too long; end it and start again: %w", db.path, err)
	}
	return err
}
