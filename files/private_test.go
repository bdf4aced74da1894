package files

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPrivate: only the owner has access, but for one group to what is root's.
func TestPrivate(t *testing.T) {
	const dir = fs.ModeDir
	for name, c := range map[string]struct {
		mode         fs.FileMode
		uid, gid, us int
		says         string // "" for private
	}{
		"own":                        {0o600, 1000, 1000, 1000, ""},
		"own, read-only":             {0o400, 1000, 1000, 1000, ""},
		"own, executable":            {0o700, 1000, 1000, 1000, ""},
		"own, group reads":           {0o640, 1000, 1000, 1000, "others can read /x (mode 0640): run chmod 600 /x"},
		"own, group writes":          {0o620, 1000, 1000, 1000, "others can change /x"},
		"own, all read":              {0o644, 1000, 1000, 1000, "others can read /x (mode 0644): run chmod 600 /x"},
		"own, all write":             {0o602, 1000, 1000, 1000, "others can change /x"},
		"own, all do all":            {0o666, 1000, 1000, 1000, "read and change"},
		"another user's":             {0o600, 1001, 1000, 1000, "belongs to user 1001, who can read and change it: run chown 1000 /x && chmod 600 /x"},
		"root's for a service":       {0o640, 0, 1000, 1000, ""},
		"root's by fsGroup":          {0o440, 0, 2000, 1000, ""},
		"root's with an ACL":         {0o440, 0, 0, 1000, ""},
		"root's, group writes":       {0o660, 0, 1000, 1000, "run chown 1000 /x && chmod 600 /x"},
		"root's, all read":           {0o644, 0, 0, 1000, "run chown 1000 /x && chmod 600 /x"},
		"root by root":               {0o600, 0, 0, 0, ""},
		"root's group by root":       {0o640, 0, 0, 0, "run chmod 600 /x"},
		"a service's group by root":  {0o640, 0, 999, 0, ""},
		"a service's by root":        {0o600, 999, 999, 0, ""},
		"a service's, open, by root": {0o644, 999, 999, 0, "run chmod 600 /x"},
		"all read, by root":          {0o644, 0, 0, 0, "run chmod 600 /x"},
		"directory":                  {dir | 0o700, 1000, 1000, 1000, ""},
		"directory, all read":        {dir | 0o755, 1000, 1000, 1000, "others can read /x (mode 0755): run chmod 700 /x"},
		"directory, all enter":       {dir | 0o711, 1000, 1000, 1000, "run chmod 700 /x"},
		"directory, group reads":     {dir | 0o750, 1000, 1000, 1000, "run chmod 700 /x"},
		"directory, sticky":          {dir | fs.ModeSticky | 0o777, 0, 0, 0, "read and change"},
		"directory by fsGroup":       {dir | fs.ModeSetgid | 0o770, 0, 2000, 1000, ""},
		"directory, all, by fsGroup": {dir | 0o777, 0, 2000, 1000, "run chown 1000 /x && chmod 700 /x"},
	} {
		err := judge("/x", c.mode, c.uid, c.gid, c.us)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v; want %q", name, err, c.says)
		}
	}
}

// TestPrivateFollowsLinks: what counts is the file that a link leads to, and how
// Kubernetes mounts secrets is known.
func TestPrivateFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	real := filepath.Join(dir, "it's real")
	link := filepath.Join(dir, "link")
	write := func(name string, mode fs.FileMode) {
		t.Helper()
		if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	write(real, 0o600)
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	if err := CheckPrivate(link); err != nil {
		t.Error(err)
	}
	write(real, 0o604)
	if err := CheckPrivate(link); err == nil || !strings.Contains(err.Error(), "chmod 600 "+link) {
		t.Error(err)
	}
	if err := CheckPrivate(real); err == nil || !strings.Contains(err.Error(), `it'\''s real'`) {
		t.Error(err)
	}
	if err := CheckPrivate(filepath.Join(dir, "absent")); err != nil {
		t.Error(err)
	}

	version := filepath.Join(dir, "..2026_11_27_15_30_24.12")
	if err := os.Mkdir(version, 0o755); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(version, "token"), 0o644)
	for to, from := range map[string]string{filepath.Base(version): "..data", "..data/token": "token"} {
		if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
			t.Fatal(err)
		}
	}
	if err := CheckPrivate(filepath.Join(dir, "token")); err == nil || !strings.Contains(err.Error(), "defaultMode: 0400") {
		t.Error(err)
	}
}

// Who can write to a directory can put another file in the place of a private one.
func TestPrivateNeedsItsDirectory(t *testing.T) {
	for mode, private := range map[fs.FileMode]bool{0o755: true, 0o775: true, 0o777: false, fs.ModeSticky | 0o777: true} {
		dir := t.TempDir()
		name := filepath.Join(dir, "token")
		if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if err := CheckPrivate(name); (err == nil) != private {
			t.Errorf("in a directory of mode %v: %v", mode, err)
		}
	}
}
