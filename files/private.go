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

// CheckPrivate returns an error that says what to run if others can read or change a
// file or directory that holds what is secret. Links are followed. A file that is not
// there is as private as can be.
//
// Private means that only its owner, who is root or this user, has access. One group
// more may read what is root's: an administrator hands secrets to a service like that
// (root:ctwatch 0640; PostgreSQL has the same rule), so does Kubernetes with fsGroup, and
// where there is an access control list the group's bits are its mask. Into a directory
// of root's such a group may write, too. Root checks the files of a service that runs as
// another user, so that for root any owner will do.
func CheckPrivate(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return nil // who reads it says why that fails
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

// checkDirectory returns an error if anyone can replace a file, since its directory lets
// everyone write, and is not sticky, as /tmp is.
func checkDirectory(name string) error {
	real, err := filepath.EvalSymlinks(name)
	if err != nil {
		return nil // who reads it says why that fails
	}
	dir := filepath.Dir(real)
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm()&0o002 == 0 || info.Mode()&fs.ModeSticky != 0 {
		return nil
	}
	return fmt.Errorf("others can replace %s, since they can change its directory (mode %#o): run chmod o-w %s", name, info.Mode().Perm(), shellQuote(dir))
}

// judge is CheckPrivate by user us for a file of a user and a group.
func judge(name string, mode fs.FileMode, uid, gid, us int) error {
	allowed, bits, want := fs.FileMode(0), fs.FileMode(0o066), "600"
	if mode.IsDir() {
		bits, want = 0o077, "700" // who may only enter a directory can open what they know the name of
	}
	if uid == 0 && (us != 0 || gid != 0) { // root's own group is nobody that root hands something to
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
		// This user has to stay able to read it.
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

// inKubernetes reports whether a file is in a volume of a secret, whose names are links
// to those in a directory such as "..2026_11_27_15_30_24.123", by way of "..data".
func inKubernetes(name string) bool {
	real, err := filepath.EvalSymlinks(name)
	return err == nil && strings.Contains(real, string(filepath.Separator)+"..2")
}

// shellQuote makes a name one word for a shell.
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
