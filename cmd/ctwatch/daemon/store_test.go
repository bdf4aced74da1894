package daemon

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/store"
)

// TestKeepStoreTidies: every ten seconds the daemon stores the tree heads that could wait,
// in one transaction, and empties a write-ahead log that readers let grow.
func TestKeepStoreTidies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "ctwatch.db")
		db, err := store.Open(t.Context(), path, store.Options{Logger: slog.New(slog.DiscardHandler), Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		head := ctwatch.Head{Root: sha256.Sum256(nil), Timestamp: time.Now(), Raw: []byte("signed")}
		var logs []ctwatch.Log
		for _, key := range []string{"a", "b", "c"} {
			l := ctwatch.Log{ID: ctwatch.LogIDOf([]byte(key)), Name: key, Key: []byte(key)}
			logs = append(logs, l)
			if _, err := db.Logs.Follow(t.Context(), l); err != nil {
				t.Fatal(err)
			}
			if err := db.Logs.Start(t.Context(), l.ID, ctwatch.Tree{}, head, ""); err != nil {
				t.Fatal(err)
			}
			if err := db.Logs.AddHead(t.Context(), l.ID, head); err != nil {
				t.Fatal(err)
			}
		}
		fillLog(t, path)
		before := db.Commits()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- (&Daemon{db: db}).keepStore(ctx) }()
		for range 9 {
			time.Sleep(time.Second)
			for _, l := range logs {
				head.Timestamp = time.Now()
				if err := db.Logs.AddHead(t.Context(), l.ID, head); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n := db.Commits() - before; n != 0 || db.LogBytes() < 20<<20 {
			t.Errorf("after 9 s: %d transactions, and a write-ahead log of %d MiB", n, db.LogBytes()>>20)
		}
		before = db.Commits()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := db.Commits() - before; n != 1 || db.LogBytes() != 0 {
			t.Errorf("after 11 s: %d transactions, and a write-ahead log of %d bytes", n, db.LogBytes())
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// fillLog writes 20 MiB to the write-ahead log of a database while a reader is in the way.
func fillLog(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	reader, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Rollback()
	var n int
	if err := reader.QueryRow(`SELECT count(*) FROM logs`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`CREATE TABLE test (x); INSERT INTO test VALUES (zeroblob(20 << 20))`); err != nil {
		t.Fatal(err)
	}
}
