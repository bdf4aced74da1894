package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/pins"
	"ctwatch/store"
)

// commandEnv names the database that a child process writes to as a command does,
// and commandName what its keys are called.
const (
	commandEnv  = "CTWATCH_STORE_TEST_COMMAND"
	commandName = "CTWATCH_STORE_TEST_COMMAND_NAME"
	commandKeys = 10
)

// commandMain is the child.
func commandMain() {
	path := os.Getenv(commandEnv)
	if path == "" {
		return
	}
	for i := range commandKeys {
		if err := command(path, fmt.Sprint(os.Getenv(commandName), i)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(0)
}

// command declares a key as a command does that lasts no longer than that.
func command(path, name string) error {
	ctx := context.Background()
	db, err := store.OpenShared(ctx, path, store.Options{Logger: discard()})
	if err != nil {
		return err
	}
	_, err = db.Keys.Approve(ctx, declaration(pin(name), "a.example"))
	return errors.Join(err, db.Close())
}

func shared(t *testing.T, path string) *store.DB {
	t.Helper()
	db, err := store.OpenShared(t.Context(), path, store.Options{Logger: discard()})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	return db
}

// TestSharedWithoutDaemon: commands write without a daemon.
func TestSharedWithoutDaemon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "ctwatch.db")
	must(t, command(path, "key1"))
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the database is %v, %v", fi.Mode(), err)
	}
	if _, err := os.Stat(path + "-wal"); err == nil {
		t.Error("it left its write-ahead log behind")
	}
	must(t, command(path, "key2"))

	var logs bytes.Buffer
	db, err := tryOpen(path, &logs)
	must(t, err)
	defer db.Close()
	if logs.Len() > 0 {
		t.Errorf("a daemon that starts after it logs %s", logs.String())
	}
	for _, k := range []string{"key1", "key2"} {
		if s := state(t, db, pin(k)); s != pins.StateDeclared {
			t.Errorf("%s is %q", k, s)
		}
	}
}

// TestSharedBesideDaemon: commands write beside a daemon.
func TestSharedBesideDaemon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	daemon, err := tryOpen(path, nil)
	must(t, err)
	l := started(t, daemon, 1)
	cmd := shared(t, path)
	approve(t, cmd, declaration(pin("key1"), "a.example"))
	if s := state(t, daemon, pin("key1")); s != pins.StateDeclared {
		t.Errorf("the daemon sees it %q", s)
	}
	record(t, daemon, l, 1, found(l, 1, 0))
	if s := state(t, cmd, pin("key1")); s != pins.StateApproved {
		t.Errorf("the command sees it %q", s)
	}
	must(t, cmd.Keys.Retire(t.Context(), pin("key1"), true, "ada", "leaked"))
	if n := len(eventsOf(t, daemon, ctwatch.PinRetired)); n != 1 {
		t.Errorf("the daemon has %d pending events, want the command's", n)
	}
	must(t, cmd.Close())
	if _, err := tryOpen(path, nil); !errors.Is(err, store.ErrLocked) {
		t.Errorf("after a command, another daemon: error %v, want ErrLocked", err)
	}
	must(t, daemon.Crash())
	var logs bytes.Buffer
	daemon, err = tryOpen(path, &logs)
	must(t, err)
	must(t, daemon.Close())
	if !strings.Contains(logs.String(), "integrity") {
		t.Error("a command took the daemon's mark away: its crash was not noticed")
	}
}

// TestSharedKeepsCrashMark: a command does not hide that a daemon crashed.
func TestSharedKeepsCrashMark(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	daemon, err := tryOpen(path, nil)
	must(t, err)
	must(t, daemon.Crash())
	must(t, command(path, "key1"))
	var logs bytes.Buffer
	daemon, err = tryOpen(path, &logs)
	must(t, err)
	must(t, daemon.Close())
	if !strings.Contains(logs.String(), "integrity") {
		t.Error("the crash was not noticed")
	}
}

// TestSharedOfAnotherVersion: a command of another version than the daemon explains what
// to do.
func TestSharedOfAnotherVersion(t *testing.T) {
	t.Parallel() // it waits
	older := func(t *testing.T) string {
		path := filepath.Join(t.TempDir(), "ctwatch.db")
		w, err := sql.Open("sqlite", path)
		must(t, err)
		must(t, store.Migrate(t.Context(), w, store.Migrations()[:2]))
		must(t, w.Close())
		return path
	}
	t.Run("no daemon runs: the schema is brought up to date", func(t *testing.T) {
		path := older(t)
		must(t, command(path, "key1"))
		db, err := tryOpen(path, nil)
		must(t, err)
		must(t, db.Close())
	})
	t.Run("an older daemon runs", func(t *testing.T) {
		path := older(t)
		unlock, err := store.LockDir(filepath.Dir(path))
		must(t, err)
		defer unlock()
		_, err = store.OpenShared(t.Context(), path, store.Options{Logger: discard()})
		if !errors.Is(err, store.ErrVersion) || !strings.Contains(err.Error(), "the running daemon is of another version") {
			t.Errorf("error %v, want ErrVersion with what to do", err)
		}
	})
	t.Run("it is newer", func(t *testing.T) {
		path := older(t)
		w, err := sql.Open("sqlite", path)
		must(t, err)
		_, err = w.Exec("PRAGMA user_version = 99")
		must(t, err)
		must(t, w.Close())
		if _, err := store.OpenShared(t.Context(), path, store.Options{Logger: discard()}); !errors.Is(err, store.ErrVersion) {
			t.Errorf("error %v, want ErrVersion", err)
		}
	})
	t.Run("the wait ends with the context", func(t *testing.T) {
		path := older(t)
		unlock, err := store.LockDir(filepath.Dir(path))
		must(t, err)
		defer unlock()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := store.OpenShared(ctx, path, store.Options{Logger: discard()}); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want context.Canceled", err)
		}
	})
}

// TestReadOnlyDetectsCommand: a command that wrote and ended meanwhile is an error, not
// a wrong answer.
func TestReadOnlyDetectsCommand(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	closed(t, path)
	ro, err := store.OpenReadOnly(t.Context(), path)
	must(t, err)
	defer ro.Close()
	_, err = ro.Keys.List(t.Context(), pins.PinRole{}, 0)
	must(t, err)
	must(t, command(path, "key1"))
	if _, err := ro.Keys.List(t.Context(), pins.PinRole{}, 0); err == nil || !strings.Contains(err.Error(), "try again") {
		t.Errorf("error %v, want one that says to try again", err)
	}
}

// TestManyWriters: a daemon that records as fast as it can, and commands in this process
// and in others, lose nothing, on a database that the first of them creates.
func TestManyWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
			child.Env = append(os.Environ(), commandEnv+"="+path, fmt.Sprintf("%s=child %d key ", commandName, i))
			if out, err := child.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("child %d: %v: %s", i, err, out)
			}
		})
		wg.Go(func() {
			for n := range commandKeys {
				if err := command(path, fmt.Sprintf("local %d key %d", i, n)); err != nil {
					t.Errorf("local %d: %v", i, err)
				}
			}
		})
	}
	defer wg.Wait()
	daemon, err := tryOpen(path, nil)
	must(t, err)
	defer daemon.Close()
	l := started(t, daemon, 1)
	const entries = 100
	for i := range uint64(entries) {
		record(t, daemon, l, i+1, found(l, int(i), i))
	}
	wg.Wait()

	for i := range 3 {
		for n := range commandKeys {
			for _, who := range []string{"child", "local"} {
				if s := state(t, daemon, pin(fmt.Sprintf("%s %d key %d", who, i, n))); s != pins.StateDeclared {
					t.Errorf("key %d of %s %d is %q", n, who, i, s)
				}
			}
		}
	}
	if n := len(eventsOf(t, daemon, ctwatch.CertificateIssued)); n != entries {
		t.Errorf("%d certificates were reported, want %d", n, entries)
	}
}
