package publish

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestMark: a serial is at least what the database wants, above all that were issued,
// and on disk.
func TestMark(t *testing.T) {
	path := filepath.Join(t.TempDir(), "signing.pem"+MarkSuffix)
	for _, step := range []struct {
		app         string
		least, want int64
	}{
		{"shop", 1000, 1000}, // the file is created
		{"shop", 1000, 1001}, // the same database, restored
		{"shop", 5, 1002},    // an older one
		{"shop", 2000, 2000},
		{"bank", 7, 7}, // of another app
		{"shop", 1, 2001},
		{"shop", MaxSerial, MaxSerial},
	} {
		got, err := NewMark(path).Raise(step.app, step.least)
		if err != nil || got != step.want {
			t.Errorf("%s, at least %d: %d, %v, want %d", step.app, step.least, got, err, step.want)
		}
	}
	if _, err := NewMark(path).Raise("shop", 1); err == nil || !strings.Contains(err.Error(), "clients accept 9007199254740991 at most") {
		t.Errorf("above the highest: error %v", err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o644 {
		t.Errorf("the file: %v, %v", fi, err)
	}
}

// TestUnreadableMark: it is never reset silently, and the error says what to do.
func TestUnreadableMark(t *testing.T) {
	for name, content := range map[string]string{
		"empty":           "",
		"not JSON":        "shop 12",
		"truncated":       `{"shop": 12`,
		"null":            "null",
		"a list":          "[1]",
		"something after": `{"shop": 12} {}`,
		"a fraction":      `{"shop": 1.5}`,
		"a text":          `{"shop": "12"}`,
		"below 1":         `{"shop": 12, "bank": 0}`,
		"above 2^53-1":    `{"shop": 9007199254740992}`,
		"too large":       `{"shop": 12}` + strings.Repeat(" ", maxMark),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "mark")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := NewMark(path).Raise("shop", 100)
			if err == nil || !strings.Contains(err.Error(), "restore "+path+" from a backup") {
				t.Errorf("error %v, want one that says what to do", err)
			}
			if after, _ := os.ReadFile(path); string(after) != content {
				t.Errorf("the file is now %q", after)
			}
		})
	}
}

// TestMarkBesideReadOnlyKey: the next file is written, and both count.
func TestMarkBesideReadOnlyKey(t *testing.T) {
	const closed = "/sys/ctwatch-test" // also for root
	err := os.WriteFile(closed, nil, 0o600)
	if !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EROFS) {
		t.Skipf("no place here that cannot be written: %v", err)
	}
	path := filepath.Join(t.TempDir(), "mark")
	for i, want := range []int64{10, 11} {
		if got, err := NewMark(closed, path).Raise("shop", 10); err != nil || got != want {
			t.Errorf("call %d: %d, %v, want %d", i, got, err, want)
		}
	}
	first := filepath.Join(t.TempDir(), "first")
	if err := os.WriteFile(first, []byte(`{"shop": 50}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := NewMark(path, first).Raise("shop", 10); err != nil || got != 51 {
		t.Errorf("with 11 and 50 before: %d, %v, want 51", got, err)
	}
	if _, err := NewMark(closed).Raise("shop", 10); err == nil || !strings.Contains(err.Error(), "writable") {
		t.Errorf("without another file: error %v", err)
	}
}

// TestReplacingTheKeyKeepsTheMark: serials are of the app, whichever key signs.
func TestReplacingTheKeyKeepsTheMark(t *testing.T) {
	path := filepath.Join(t.TempDir(), "signing.pem")
	if _, err := OpenRing(path, true, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if _, err := NewMark(path+MarkSuffix).Raise("shop", 10); err != nil {
		t.Fatal(err)
	}
	for _, change := range []func(string) (*Key, error){Rotate, Finish} {
		if _, err := change(path); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := NewMark(path+MarkSuffix).Raise("shop", 10); err != nil || got != 11 {
		t.Errorf("%d, %v, want 11", got, err)
	}
}
