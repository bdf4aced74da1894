package store_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/store"
)

// TestBackfillResumes: a migration that is ended after any of its transactions continues
// there, works on each row once, and comes before the next migration. Until it is done,
// nothing reads, and a program that does not know it refuses.
func TestBackfillResumes(t *testing.T) {
	steps := store.Statements(
		`CREATE TABLE a (id INTEGER PRIMARY KEY) STRICT; CREATE TABLE b (id INTEGER PRIMARY KEY, n INTEGER NOT NULL) STRICT;
			CREATE TABLE none (id INTEGER PRIMARY KEY) STRICT; INSERT INTO a VALUES (3), (4), (5), (9), (10), (20), (21)`,
		`CREATE TABLE c (n INTEGER NOT NULL) STRICT`,
		`INSERT INTO c SELECT n FROM b`,
	)
	type exec = func(query string, args ...any) (int64, error)
	move := func(do exec, after, upto int64) error {
		if _, err := do(`INSERT INTO b SELECT id, 1 FROM a WHERE id > ? AND id <= ?`, after, upto); err != nil {
			return err
		}
		_, err := do(`DELETE FROM a WHERE id > ? AND id <= ?`, after, upto)
		return err
	}
	double := func(do exec, after, upto int64) error {
		_, err := do(`UPDATE b SET n = n * 2 WHERE id > ? AND id <= ?`, after, upto)
		return err
	}
	steps[1] = store.WithBackfill(steps[1], "moving", "a", 3, move, `DROP TABLE a`)
	steps[1] = store.WithBackfill(steps[1], "nothing", "none", 3, move, "")
	steps[1] = store.WithBackfill(steps[1], "doubling", "b", 4, double, "")

	path := filepath.Join(t.TempDir(), "x.db")
	var seen []store.Progress
	for done := false; !done; {
		w, err := sql.Open("sqlite", path)
		must(t, err)
		w.SetMaxOpenConns(1)
		ctx, kill := context.WithCancel(t.Context())
		err = store.MigrateWith(ctx, w, steps, func(p store.Progress) {
			seen = append(seen, p)
			kill()
		})
		kill()
		if done = err == nil; !done {
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			if err := store.CheckVersion(t.Context(), w, steps[:2]); !errors.Is(err, store.ErrVersion) || !strings.Contains(err.Error(), "wait for the ctwatch that runs, or start `ctwatch run` once") {
				t.Errorf("opened to read in the middle: %v", err)
			}
			if err := store.Migrate(t.Context(), w, steps[:1]); !errors.Is(err, store.ErrVersion) {
				t.Errorf("opened by an older program in the middle: %v", err)
			}
		}
		must(t, w.Close())
	}
	want := []store.Progress{
		{What: "moving", Step: 1, Steps: 3, Done: 3, Total: 19},
		{What: "moving", Step: 1, Steps: 3, Done: 18, Total: 19},
		{What: "moving", Step: 1, Steps: 3, Done: 19, Total: 19},
		{What: "doubling", Step: 3, Steps: 3, Done: 7, Total: 19},
		{What: "doubling", Step: 3, Steps: 3, Done: 19, Total: 19},
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	w, err := sql.Open("sqlite", path)
	must(t, err)
	defer w.Close()
	must(t, store.CheckVersion(t.Context(), w, steps))
	var rows, twice, left int
	must(t, w.QueryRow(`SELECT count(*), count(*) FILTER (WHERE n = 2), (SELECT count(*) FROM sqlite_schema WHERE name = 'backfill') FROM c`).Scan(&rows, &twice, &left))
	if rows != 7 || twice != 7 || left != 0 {
		t.Errorf("%d rows, %d doubled once, %d cursors left; want 7, 7, 0", rows, twice, left)
	}
}

// TestFailedBackfillWritesNothing: what a step wrote before it failed is not kept.
func TestFailedBackfillWritesNothing(t *testing.T) {
	w, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "x.db"))
	must(t, err)
	defer w.Close()
	w.SetMaxOpenConns(1)
	broken := errors.New("broken")
	steps := store.Statements(`CREATE TABLE a (id INTEGER PRIMARY KEY, n INTEGER) STRICT; INSERT INTO a VALUES (1, 0)`)
	steps[0] = store.WithBackfill(steps[0], "failing", "a", 10, func(do func(string, ...any) (int64, error), _, _ int64) error {
		if n, err := do(`UPDATE a SET n = 1`); n != 1 || err != nil {
			t.Errorf("%d rows, %v", n, err)
		}
		return broken
	}, "")
	if err := store.Migrate(t.Context(), w, steps); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
	var n int
	must(t, w.QueryRow(`SELECT n FROM a`).Scan(&n))
	if n != 0 {
		t.Error("a failed step wrote")
	}
}

// TestUnfinishedMigration: only who writes, and has the directory, opens a database whose
// migration is not done.
func TestUnfinishedMigration(t *testing.T) {
	t.Parallel() // it waits
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	prepare(t, path)
	w, err := sql.Open("sqlite", path)
	must(t, err)
	_, err = w.Exec(`CREATE TABLE backfill (done INTEGER NOT NULL, after INTEGER NOT NULL, first INTEGER) STRICT; INSERT INTO backfill (done, after) VALUES (?, 0)`, store.Backfills())
	must(t, err)
	must(t, w.Close())

	if _, err := store.OpenReadOnly(t.Context(), path); !errors.Is(err, store.ErrVersion) || !strings.Contains(err.Error(), "wait for the ctwatch that runs, or start `ctwatch run` once") {
		t.Errorf("to read: %v", err)
	}
	unlock, err := store.LockDir(filepath.Dir(path))
	must(t, err)
	if _, err := store.OpenShared(t.Context(), path, store.Options{Logger: discard()}); !errors.Is(err, store.ErrVersion) || !strings.Contains(err.Error(), "it is being migrated") {
		t.Errorf("beside the daemon that migrates it: %v", err)
	}
	must(t, unlock())
	db, err := store.OpenShared(t.Context(), path, store.Options{Logger: discard()})
	must(t, err)
	must(t, db.Close())
	db, err = store.OpenReadOnly(t.Context(), path)
	must(t, err)
	if _, err := db.Certificates.Get(t.Context(), "00000000"); !errors.Is(err, ctwatch.ErrNotFound) {
		t.Error(err)
	}
	must(t, db.Close())
}
