package store_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/store"
)

// pages returns the size of a file in pages of 4 KiB.
func pages(t testing.TB, path string) int64 {
	t.Helper()
	fi, err := os.Stat(path)
	must(t, err)
	return fi.Size() >> 12
}

// TestFileShrinks: pruning makes the file of a database smaller, in small transactions, and
// leaves a reserve.
func TestFileShrinks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	db := openAt(t, path, newClock())
	for _, q := range []string{
		`CREATE TABLE test (x)`,
		`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) INSERT INTO test SELECT zeroblob(4000) FROM n`,
		`DELETE FROM test WHERE rowid % 10 <> 0`, // free pages between used ones
		`PRAGMA wal_checkpoint(TRUNCATE)`,
	} {
		_, err := db.Writer().Exec(q)
		must(t, err)
	}
	before := pages(t, path)
	commits := db.Commits()
	_, err := db.Outbox.Prune(t.Context(), epoch)
	must(t, err)
	if n := db.Commits() - commits; n < 10 {
		t.Errorf("%d transactions", n)
	}
	must(t, db.Close())
	if after := pages(t, path); after > before-4500 || after < 4<<10 {
		t.Errorf("%d pages, and then %d", before, after)
	}
	db = openAt(t, path, newClock())
	var sum int64
	must(t, db.Reader().QueryRow(`SELECT sum(length(x)) FROM test`).Scan(&sum))
	if sum != 4000*1000 {
		t.Errorf("%d bytes are left", sum)
	}
}

// TestOldFileShrinks: a database of an older version, much of which is free after its
// migration, is rewritten, and can shrink from then on; one that is full is left alone.
func TestOldFileShrinks(t *testing.T) {
	for _, free := range []bool{true, false} {
		path := filepath.Join(t.TempDir(), "ctwatch.db")
		w, err := sql.Open("sqlite", path)
		must(t, err)
		w.SetMaxOpenConns(1)
		must(t, store.Migrate(t.Context(), w, store.Migrations()[:11]))
		_, err = w.Exec(`CREATE TABLE test (x); INSERT INTO test VALUES (zeroblob(4000000)), (zeroblob(4000000))`)
		must(t, err)
		if free {
			_, err = w.Exec(`DELETE FROM test WHERE rowid = 1`)
			must(t, err)
		}
		must(t, w.Close())
		before := pages(t, path)

		// Interrupted, it is done at the next start.
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := store.Open(ctx, path, store.Options{Logger: discard()}); err == nil {
			t.Error("opened though it was interrupted")
		}
		said := 0
		db, err := store.Open(t.Context(), path, store.Options{Logger: discard(), Now: newClock().Now, Progress: func(p store.Progress) {
			if p == (store.Progress{What: "making the file smaller"}) {
				said++
			}
		}})
		must(t, err)
		if said > 0 != free {
			t.Errorf("free %v: it said %d times that it rewrites the file", free, said)
		}
		t.Cleanup(func() {
			checkLists(t, db.Reader())
			must(t, db.Close())
		})
		var mode, size int64
		must(t, db.Reader().QueryRow(`SELECT auto_vacuum, (SELECT sum(length(x)) FROM test) FROM pragma_auto_vacuum`).Scan(&mode, &size))
		after := pages(t, path)
		if free && (mode != 2 || after > before-900 || size != 4_000_000) || !free && (mode != 0 || after < before || size != 8_000_000) {
			t.Errorf("free %v: %d pages, and then %d with auto_vacuum %d and %d bytes", free, before, after, mode, size)
		}
	}
}

// TestLongListKeepsLogShort: a client that reads a list slowly, while much is recorded, does
// not let the write-ahead log grow.
func TestLongListKeepsLogShort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	db := openAt(t, path, newClock())
	l := started(t, db, 1)
	var fs []ctwatch.Found
	for i := range 600 { // several steps of a list
		fs = append(fs, found(l, i, uint64(i)))
	}
	record(t, db, l, 600, fs...)
	_, err := db.Writer().Exec(`CREATE TABLE test (x)`)
	must(t, err)
	var largest int64
	n := 0
	for _, err := range db.Certificates.List(t.Context(), store.Filter{}) {
		must(t, err)
		_, err := db.Writer().Exec(`INSERT INTO test VALUES (zeroblob(50000))`)
		must(t, err)
		largest = max(largest, pages(t, path+"-wal"))
		n++
	}
	if written := int64(n) * 50_000 >> 12; n != 600 || largest > written/4 {
		t.Errorf("after %d certificates and %d pages, the log had %d pages", n, written, largest)
	}
}
