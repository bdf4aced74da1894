package files

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// CheckPrivate returns an error if other users can read or change a file or directory with
// secrets. The error says what to run. Links are followed; a file that does not exist is
// private.
//
// Private means that only the owner, who is root or this user, has access. A group may read
// files of root, as PostgreSQL allows, too: administrators pass secrets to a service that way
// (root:ctwatch 0640), so does Kubernetes with fsGroup, and with an access control list the
// bits of the group are its mask. Such a group may write to a directory of root. Root checks
// the files of a service that runs as another user, so root accepts any owner.
func CheckPrivate(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return nil // reading it fails, with a better error
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	if err := judge(name, info.Mode(), int(st.Uid), int(st.Gid), os.Geteuid()); err != nil || info.IsDir() {
		return err
	}
	return checkDirectory(name)
}

// checkDirectory returns an error if all users can replace a file, since they can write to
// its directory, which is not sticky, as /tmp is.
func checkDirectory(name string) error {
	real, err := filepath.EvalSymlinks(name)
	if err != nil {
		return nil // reading it fails, with a better error
	}
	dir := filepath.Dir(real)
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm()&0o002 == 0 || info.Mode()&fs.ModeSticky != 0 {
		return nil
	}
	return fmt.Errorf("others can replace %s, since they can change its directory (mode %#o): run chmod o-w %s", name, info.Mode().Perm(), shellQuote(dir))
}

// judge is CheckPrivate as user us, for a file of a user and a group.
func judge(name string, mode fs.FileMode, uid, gid, us int) error {
	allowed, bits, want := fs.FileMode(0), fs.FileMode(0o066), "600"
	if mode.IsDir() {
		bits, want = 0o077, "700" // who can enter a directory can open files by name
	}
	if uid == 0 && (us != 0 || gid != 0) { // but not the group of root itself
		if allowed = 0o040; mode.IsDir() {
			allowed = 0o070
		}
	}
	quoted := shellQuote(name)
	switch others := mode.Perm() & bits &^ allowed; {
	case us != 0 && uid != 0 && uid != us:
		return fmt.Errorf("%s belongs to user %d, who can read and change it: run chown %[3]d %[4]s && chmod %[5]s %[4]s", name, uid, us, quoted, want)
	case others == 0:
		return nil
	case inKubernetes(name):
		return fmt.Errorf("others can %s %s (mode %#o): set defaultMode: 0400 for its volume (with fsGroup in securityContext, unless it runs as root)", verbs(others), name, mode.Perm())
	case uid == 0 && us != 0:
		// This user must still be able to read it.
		return fmt.Errorf("others can %s %s (mode %#o): run chown %d %s && chmod %s %[5]s", verbs(others), name, mode.Perm(), us, quoted, want)
	default:
		return fmt.Errorf("others can %s %s (mode %#o): run chmod %s %s", verbs(others), name, mode.Perm(), want, quoted)
	}
}

func verbs(others fs.FileMode) string {
	switch read, write := others&0o055 != 0, others&0o022 != 0; {
	case read && write:
		return "read and change"
	case write:
		return "change"
	}
	return "read"
}

// inKubernetes reports whether a file is in a secret's volume, in which names are links by
// way of "..data" to files in a directory such as "..2026_11_27_15_30_24.123".
func inKubernetes(name string) bool {
	real, err := filepath.EvalSymlinks(name)
	return err == nil && strings.Contains(real, string(filepath.Separator)+"..2")
}

// shellQuote returns a name as one word of a shell.
func shellQuote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-", r)
	}) {
		return s
	}
	if q := strconv.Quote(s); strings.ContainsAny(q, "\\") { // control characters: for a person to see
		return q
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
