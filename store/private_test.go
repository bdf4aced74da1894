package store_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"ctwatch/pins"
	"ctwatch/store"
)

// private opens a database as a command does that only reads, by a configuration that
// trusts a key.
func private(t *testing.T, path, key string) (*store.DB, error) {
	t.Helper()
	return store.OpenPrivate(t.Context(), path, store.Options{Logger: discard()}, trusting(t.Context(), key))
}

func trusting(ctx context.Context, key string) func(*store.DB) error {
	grant := pins.PolicyGrant{Pin: pin(key), Role: pins.RoleLeaf, Pattern: pins.Pattern{Name: "a.example"}, Reason: "a test"}
	return func(db *store.DB) error { return db.Keys.SyncPolicy(ctx, []pins.PolicyGrant{grant}) }
}

// TestPrivateWritesNothing: what a command applies to see its effect is seen by that
// command alone, and no file of it remains.
func TestPrivateWritesNothing(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	db, err := tryOpen(path, nil)
	must(t, err)
	approve(t, db, declaration(pin("key1"), "a.example"))
	check := func(t *testing.T, what string) {
		t.Helper()
		before, err := os.ReadDir(filepath.Dir(path))
		must(t, err)
		p, err := private(t, path, "key2")
		must(t, err)
		for _, key := range []string{"key1", "key2"} {
			if s := state(t, p, pin(key)); s != pins.StateDeclared {
				t.Errorf("%s: %s is %q", what, key, s)
			}
		}
		must(t, p.Close())
		ro, err := store.OpenReadOnly(t.Context(), path)
		must(t, err)
		if s := state(t, ro, pin("key2")); s != pins.StateUnknown {
			t.Errorf("%s: the configuration's key was written: it is %q", what, s)
		}
		must(t, ro.Close())
		after, err := os.ReadDir(filepath.Dir(path))
		must(t, err)
		if len(after) != len(before) {
			t.Errorf("%s: files were %v, now %v", what, before, after)
		}
		if left, _ := os.ReadDir(temp); len(left) > 0 {
			t.Errorf("%s: it left %v", what, left)
		}
	}
	check(t, "beside a daemon")
	must(t, db.Close())
	check(t, "without one")
}

// TestPrivateCopiesOnlyToWrite: a database that is in line with the configuration is not
// copied, however large it is.
func TestPrivateCopiesOnlyToWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	db, err := tryOpen(path, nil)
	must(t, err)
	must(t, trusting(t.Context(), "key1")(db))
	must(t, db.Close())
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "absent"))
	p, err := private(t, path, "key1")
	must(t, err)
	if s := state(t, p, pin("key1")); s != pins.StateDeclared {
		t.Errorf("it is %q", s)
	}
	must(t, p.Close())
	if _, err := private(t, path, "key2"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a place for a copy: error %v", err)
	}
}

// TestPrivateSettlesInMemory: that keys have to be settled copies no database.
func TestPrivateSettlesInMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	db, err := tryOpen(path, nil)
	must(t, err)
	approve(t, db, declaration(pin("key1"), "a.example"))
	must(t, db.Close())
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "absent"))
	shipped := map[pins.Pin][]pins.AppVersion{pin("key1"): {{Name: "shop", Version: "1"}}}
	moved := 0
	p, err := store.OpenPrivate(t.Context(), path, store.Options{Logger: discard()}, func(db *store.DB) (err error) {
		moved, err = db.Plans.SettleKeys(t.Context(), shipped)
		return err
	})
	must(t, err)
	f, _, err := p.Plans.Facts(t.Context(), pins.Scope{Pins: []pins.Pin{pin("key1")}})
	must(t, err)
	if moved != 1 || len(f.Keys) != 1 || f.Keys[0].State != pins.StateShipped || f.Keys[0].By != "plan" {
		t.Errorf("%d keys moved: %+v", moved, f.Keys)
	}
	if n, err := p.Plans.SettleKeys(t.Context(), shipped); n != 0 || err != nil {
		t.Errorf("settled again, %d keys move: %v", n, err)
	}
	must(t, p.Close())
	ro, err := store.OpenReadOnly(t.Context(), path)
	must(t, err)
	if s := state(t, ro, pin("key1")); s != pins.StateDeclared {
		t.Errorf("it was written that the key is %s", s)
	}
	must(t, ro.Close())
}

// TestPrivateNeedsDatabase: none is created; OpenEmpty is for that.
func TestPrivateNeedsDatabase(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	dir := filepath.Join(t.TempDir(), "data")
	for name, open := range map[string]func() (*store.DB, error){
		"private": func() (*store.DB, error) { return private(t, filepath.Join(dir, "ctwatch.db"), "key1") },
		"shared": func() (*store.DB, error) {
			return store.OpenShared(t.Context(), filepath.Join(dir, "ctwatch.db"), store.Options{Logger: discard(), MustExist: true})
		},
	} {
		if _, err := open(); !errors.Is(err, store.ErrMissing) {
			t.Errorf("%s: error %v, want ErrMissing", name, err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the data directory: %v, want none", err)
	}
	db, err := store.OpenEmpty(t.Context(), store.Options{Logger: discard()}, trusting(t.Context(), "key1"))
	must(t, err)
	if s := state(t, db, pin("key1")); s != pins.StateDeclared {
		t.Errorf("in an empty database it is %q", s)
	}
	must(t, db.Close())
	if left, _ := os.ReadDir(temp); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
}
