//go:build unix

package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// lockName is the file by which a process holds a data directory. It stays when
// the process has ended; it is the lock on it that counts.
const lockName = "ctwatch.lock"

// A dirLock is a data directory held by this process (flock). The system lets go
// of it however the process ends.
type dirLock struct{ f *os.File }

// lockDir takes a directory, or fails with ErrLocked.
func lockDir(dir string) (*dirLock, error) {
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the data directory: %w: %w", ErrDisk, err)
	}
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		defer f.Close()
		return nil, fmt.Errorf("%w: %s is held by %s; stop it first, or use another directory", ErrLocked, path, holder(f))
	case err != nil:
		f.Close()
		return nil, fmt.Errorf("locking the data directory: %w: %s: %w", ErrDisk, path, err)
	}
	// The process ID is for people. Without it the lock is as good.
	if err := f.Truncate(0); err == nil {
		_, _ = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	return &dirLock{f}, nil
}

// holder says who wrote a lock file.
func holder(f *os.File) string {
	b, _ := io.ReadAll(io.LimitReader(f, 20))
	pid := strings.TrimSpace(string(b))
	if pid == "" || strings.Trim(pid, "0123456789") != "" {
		return "an unknown process"
	}
	return "process " + pid
}

func (l *dirLock) unlock() error { return l.f.Close() }
