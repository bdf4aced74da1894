package store

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Errors that a caller or a user can handle. All others are bugs.
var (
	// ErrDisk means that the file system fails or denies access.
	ErrDisk = errors.New("the data directory cannot be used")
	// ErrCorrupt means that the database is damaged.
	ErrCorrupt = errors.New("the database is damaged; restore a backup, or move the file away (with its -wal and -shm) and start again")
	// ErrVersion means that the database has another schema than this program.
	ErrVersion = errors.New("unsuitable database")
	// ErrLocked means that another process uses the data directory.
	ErrLocked = errors.New("another ctwatch runs on this data directory")
	// ErrMissing means that there is no database.
	ErrMissing = errors.New("there is no database")
	// ErrReadOnly means that a database that was opened to read would be written.
	ErrReadOnly = errors.New("the database is open to read only")
	// ErrNoSender means that no sender of that name was ever registered.
	ErrNoSender = errors.New("no such sender is registered")
)

// explain adds to an error of SQLite what to do about it, and notes if the file may be
// damaged.
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
		return fmt.Errorf("another program has locked %s for too long; end it and start again: %w", db.path, err)
	}
	return err
}
