package store_test

import (
	"context"
	"database/sql"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ctwatch/store"
)

// TestShortReadersCannotGrowLog: readers that overlap, however short each is, let the
// write-ahead log grow. ShortenLog empties it as soon as none is in its way, says once that
// one is, and neither reading nor writing fails meanwhile.
func TestShortReadersCannotGrowLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	var log strings.Builder
	db, err := store.Open(t.Context(), path, store.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	must(t, err)
	defer db.Close()
	size := func() int64 {
		info, err := os.Stat(path + "-wal")
		must(t, err)
		return info.Size() >> 20
	}
	read := func() *sql.Tx {
		tx, err := db.Reader().BeginTx(context.Background(), nil)
		must(t, err)
		var n int
		must(t, tx.QueryRow(`SELECT count(*) FROM logs`).Scan(&n))
		return tx
	}
	_, err = db.Writer().Exec(`CREATE TABLE test (x)`)
	must(t, err)
	reader := read()
	for range 40 {
		_, err := db.Writer().Exec(`INSERT INTO test VALUES (zeroblob(1 << 20))`)
		must(t, err)
		next := read()
		must(t, reader.Rollback())
		reader = next
	}
	grown := size()
	if grown < 40 {
		t.Fatalf("the write-ahead log has %d MiB: no reader was in the way", grown)
	}
	must(t, db.ShortenLog(t.Context()))
	must(t, db.ShortenLog(t.Context()))
	if n := strings.Count(log.String(), "cannot be emptied"); n != 1 || size() != grown {
		t.Errorf("with a reader: %d MiB, %d warnings, want one and %d MiB\n%s", size(), n, grown, &log)
	}
	must(t, db.Outbox.Register(t.Context(), "test"))
	must(t, reader.Rollback())
	must(t, db.ShortenLog(t.Context()))
	if size() != 0 || !strings.Contains(log.String(), "short again") {
		t.Errorf("without a reader: %d MiB\n%s", size(), &log)
	}
	must(t, db.Outbox.Register(t.Context(), "another"))
}

// TestShortLogStays: a write-ahead log of usual size is left to SQLite.
func TestShortLogStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	db := openAt(t, path, newClock())
	must(t, db.Outbox.Register(t.Context(), "test"))
	before, err := os.Stat(path + "-wal")
	must(t, err)
	must(t, db.ShortenLog(t.Context()))
	after, err := os.Stat(path + "-wal")
	must(t, err)
	if before.Size() == 0 || after.Size() != before.Size() {
		t.Errorf("%d bytes, and then %d", before.Size(), after.Size())
	}
}
