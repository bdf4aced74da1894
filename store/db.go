package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// driverName is the driver of package database/sql: sqlite. Only tests set another, which
// records what statements there are.
var driverName = "sqlite"

// readers is the number of connections that read.
const readers = 4

// How long a connection waits for others to finish. Writers wait longer, so that a
// command and a daemon do not end each other.
const (
	readerPatience = 5 * time.Second
	writerPatience = 30 * time.Second
)

// Options are what a database is opened with.
type Options struct {
	Logger *slog.Logger     // required
	Now    func() time.Time // optional, time.Now by default

	// Judge gives a certificate its verdict: when it is found, and again when more
	// becomes known about its key. Optional: without it only people give verdicts.
	Judge ctwatch.Judge

	// Learner finds issuing keys in the chains of what is recorded. Optional: without it
	// none are learned.
	Learner ctwatch.IssuerLearner

	// Pinned returns an app that pins a host covered by a certificate's name, and that
	// host as the app has it. Optional.
	Pinned func(name string) (app, host string, ok bool)

	// OnEvents is called after each commit that may give senders something to do, by
	// the goroutine that committed: it must not block. Optional.
	OnEvents func()

	// Progress is called after each transaction while rows of an older database are
	// migrated, by the goroutine that opens it, and in Issuers.RejudgeAll, by the one that
	// calls it. Optional.
	Progress func(Progress)

	MustExist bool // OpenShared does not create the database
}

// A DB is an open database. Its methods open and close; its fields hold the rest, by
// subject. All methods may be called concurrently, and each is one transaction.
//
// An error of a database that was opened to write means that nothing can be recorded any
// more, except errors of a context, of invalid arguments, and those with a sentinel.
type DB struct {
	*database

	Logs         Logs         // what following logs yields
	Certificates Certificates // what was found, and its verdicts
	Keys         Keys         // which keys are trusted, for which hosts
	Issuers      Issuers      // keys and certificates of CAs
	Endpoints    Endpoints    // what servers serve
	Apps         Apps         // what released versions of apps ship
	Plans        Plans        // what plans rest on, and the conditions that they find
	Documents    Documents    // signed pin documents
	Outbox       Outbox       // events, and how far each sender is
	Senders      Senders      // status, warnings and memory of senders
}

// A database is what all subjects share.
type database struct {
	path     string
	log      *slog.Logger
	now      func() time.Time
	onEvents func()
	progress func(Progress)
	rules    ctwatch.Judge // nil: only people give verdicts
	learner  ctwatch.IssuerLearner
	pinned   func(name string) (app, host string, ok bool)

	w      *sql.DB              // one connection; nil when opened to read
	conn   *sql.Conn            // that one, from prepare on
	turns  turns                // for conn
	hot    map[string]*sql.Stmt // statements of conn, by their text
	r      *sql.DB
	lock   *dirLock
	shared bool // opened beside a daemon: see OpenShared

	// still is the file's state when it was opened as one that no process changes:
	// see OpenReadOnly.
	still fs.FileInfo

	temp string // the directory of a private copy, removed with it; "" for none

	// suspect is set by an error that may mean a damaged file: it is checked at the
	// next start, as after a crash.
	suspect atomic.Bool

	pruneStep   int64 // see Outbox.Prune
	advanceStep int64 // see Logs.Advance
	rejudgeStep int   // see Issuers.RejudgeAll

	statements atomic.Int64 // that transactions have run

	commits atomic.Int64 // see Commits
	longLog bool         // ShortenLog has failed; within a turn
	heads   newestHeads
	rereads rereads

	relevance relevance // of changes, for the planner

	mu      sync.Mutex
	settled map[int64]pins.Key // by keys.seq: see settleInMemory
	senders map[string]bool    // registered through this DB
	closed  bool
}

// Open opens the database at path to read and write. It creates missing files and
// directories, locks the directory for this process, and migrates an older database, which
// may take minutes (Options.Progress) and can be interrupted. If the last process did not close the database, its integrity is checked first, which ctx
// interrupts.
//
// It fails with ErrLocked if another process holds the directory, with ErrVersion if a
// newer ctwatch wrote the database, and with ErrCorrupt if it is damaged.
func Open(ctx context.Context, path string, o Options) (_ *DB, err error) {
	db := newDB(path, o)
	defer func() {
		if err != nil {
			db.release()
		}
	}()
	if db.lock, err = waitForDir(ctx, filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := createFile(path); err != nil {
		return nil, err
	}
	if err := db.openWriter(); err != nil {
		return nil, err
	}
	if err := db.migrate(ctx, o.Progress); err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", path, db.explain(err))
	}
	if err := db.begin(ctx); err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", path, db.explain(err))
	}
	if err := db.openReaders(); err != nil {
		return nil, err
	}
	return db, nil
}

func newDB(path string, o Options) *DB {
	db := &database{path: path, log: o.Logger, now: o.Now, onEvents: o.OnEvents, progress: o.Progress, rules: o.Judge, learner: o.Learner, pinned: o.Pinned, pruneStep: pruneStep, advanceStep: advanceStep, rejudgeStep: rejudgeStep, senders: make(map[string]bool)}
	db.heads.init()
	db.rereads.next = make(map[ctwatch.LogID]nextReread)
	if db.now == nil {
		db.now = time.Now
	}
	if db.onEvents == nil {
		db.onEvents = func() {}
	}
	if db.progress == nil {
		db.progress = func(Progress) {}
	}
	return &DB{
		db, Logs{db}, Certificates{db}, Keys{db}, Issuers{db}, Endpoints{db}, Apps{db}, Plans{db}, Documents{db}, Outbox{db}, Senders{db},
	}
}

// createFile creates an empty database if there is none. SQLite gives its own files the
// same permissions. The caller holds the directory. A file that exists is not opened:
// closing it would drop SQLite's locks of this process
// (https://www.sqlite.org/howtocorrupt.html §2.2).
func createFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("opening the database: %w: %w", ErrDisk, err)
		}
		return wantFile(path, info)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return fmt.Errorf("creating the database: %w: %w", ErrDisk, err)
	}
	return nil
}

// wantFile fails if something other than a regular file is in place of the database.
// SQLite only reports that it cannot open a directory, and reading a pipe never ends.
func wantFile(path string, info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return fmt.Errorf("%w: %s is a directory, not a database file: move it away, or name another data directory with --data or data_dir", ErrDisk, path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w: %s is not a regular file: move it away, or name another data directory with --data or data_dir", ErrDisk, path)
	}
	return nil
}

// openWriter opens the connection that writes, unless it is open.
func (db *database) openWriter() (err error) {
	if db.w != nil {
		return nil
	}
	if db.w, err = sql.Open(driverName, writerDSN(db.path)); err != nil {
		return fmt.Errorf("opening the database %s: %w", db.path, err)
	}
	db.w.SetMaxOpenConns(1)
	return nil
}

// openReaders opens the connections that read.
func (db *database) openReaders() (err error) {
	if db.r, err = sql.Open(driverName, readerDSN(db.path, nil)); err != nil {
		return fmt.Errorf("opening the database %s: %w", db.path, err)
	}
	db.r.SetMaxOpenConns(readers)
	db.r.SetMaxIdleConns(readers)
	return nil
}

func writerDSN(path string) string {
	return dsn(path, writerPatience, url.Values{
		"_txlock":       {"immediate"},
		"_auto_vacuum":  {"INCREMENTAL"}, // of a database that is new, or rewritten
		"_journal_mode": {"WAL"},
		"_synchronous":  {"NORMAL"},
		"_foreign_keys": {"on"},
		// While a reader is open the write-ahead log grows; it shrinks afterwards.
		"_pragma": {"journal_size_limit(67108864)"},
	})
}

func readerDSN(path string, extra url.Values) string {
	v := url.Values{"mode": {"ro"}}
	for k := range extra {
		v.Set(k, extra.Get(k))
	}
	return dsn(path, readerPatience, v)
}

func dsn(path string, patience time.Duration, v url.Values) string {
	v.Set("_busy_timeout", strconv.FormatInt(patience.Milliseconds(), 10))
	v.Set("_dqs", "0")
	v.Set("_defensive", "1")
	// Without the scheme the driver ignores mode=ro.
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: v.Encode()}
	return u.String()
}

// begin checks the database after a crash, marks it as open, and prepares statements.
func (db *database) begin(ctx context.Context) error {
	var open bool
	if err := db.w.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM meta WHERE key = 'open')`).Scan(&open); err != nil {
		return err
	}
	if open {
		db.log.WarnContext(ctx, "ctwatch was not stopped cleanly the last time: checking the integrity of the database", "path", db.path)
		start := time.Now()
		if err := checkIntegrity(ctx, db.w); err != nil {
			return err
		}
		db.log.InfoContext(ctx, "the database is sound", "took", time.Since(start).Round(time.Millisecond).String())
	}
	if _, err := db.w.ExecContext(ctx, `INSERT OR REPLACE INTO meta (key, value) VALUES ('open', ?)`, fmt.Sprint(os.Getpid())); err != nil {
		return err
	}
	return db.prepare(ctx)
}

// prepare takes the connection that writes, and compiles the statements that are run
// often.
func (db *database) prepare(ctx context.Context) (err error) {
	if db.conn, err = db.w.Conn(ctx); err != nil {
		return err
	}
	db.hot = make(map[string]*sql.Stmt)
	for _, q := range hotStatements {
		s, err := db.conn.PrepareContext(ctx, q)
		if err != nil {
			return fmt.Errorf("preparing %q: %w", q, err)
		}
		db.hot[q] = s
	}
	return nil
}

// Commits returns how many transactions that write were committed since the database was
// opened.
func (db *DB) Commits() int64 { return db.commits.Load() }

// checkIntegrity reads the whole database. It fails with ErrCorrupt and what is wrong.
func checkIntegrity(ctx context.Context, w *sql.DB) error {
	found, err := columns[string](w.QueryContext(ctx, `PRAGMA integrity_check(3)`))
	if err != nil {
		return fmt.Errorf("checking its integrity: %w", err)
	}
	if len(found) == 1 && found[0] == "ok" {
		return nil
	}
	return fmt.Errorf("%w: integrity check: %q", ErrCorrupt, found)
}

// Close closes the database cleanly. It does not wait for readers in other processes.
// Closing twice does nothing.
func (db *DB) Close() error {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return nil
	}
	db.closed = true
	db.mu.Unlock()

	ctx := context.Background()
	err := db.Logs.SaveHeads(ctx)
	if err := db.turns.take(ctx, true); err != nil { // after the transaction under way
		return err
	}
	defer db.turns.give()
	if db.conn == nil || db.shared || db.suspect.Load() {
		return db.release()
	}
	if err == nil {
		_, err = db.conn.ExecContext(ctx, `DELETE FROM meta WHERE key = 'open'`)
	}
	if err == nil {
		// A reader in another process keeps the log from being truncated. That is no
		// error: the log holds all that was committed.
		_, err = db.conn.ExecContext(ctx, `PRAGMA busy_timeout = 200; PRAGMA wal_checkpoint(TRUNCATE)`)
	}
	if err != nil {
		err = db.explain(err)
	}
	if err := errors.Join(err, db.release()); err != nil {
		return fmt.Errorf("closing the database %s: %w", db.path, err)
	}
	return nil
}

// release closes what is open, the lock last.
func (db *database) release() error {
	var errs []error
	if db.r != nil {
		errs = append(errs, db.r.Close())
	}
	for _, s := range db.hot {
		errs = append(errs, s.Close())
	}
	if db.conn != nil {
		errs = append(errs, db.conn.Close())
	}
	if db.w != nil {
		errs = append(errs, db.w.Close())
	}
	if db.lock != nil {
		errs = append(errs, db.lock.unlock())
	}
	if db.temp != "" {
		errs = append(errs, os.RemoveAll(db.temp))
	}
	return errors.Join(errs...)
}
