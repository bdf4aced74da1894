//go:build unix

package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// lockName is the file that a process locks for a data directory. It remains when the
// process has ended; only the lock counts.
const lockName = "ctwatch.lock"

// A dirLock is a lock on a data directory (flock). The system releases it when the
// process ends.
type dirLock struct{ f *os.File }

// lockDir creates a directory if it is missing, and locks it. It fails with ErrLocked.
func lockDir(dir string) (*dirLock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the data directory: %w: %w", ErrDisk, err)
	}
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
	// The process ID is for people; the lock works without it.
	if err := f.Truncate(0); err == nil {
		_, _ = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	return &dirLock{f}, nil
}

const (
	// lockPatience is how long a daemon waits at its start for a command that migrates
	// the schema, before it takes it for another daemon.
	lockPatience = time.Second
	lockPoll     = 20 * time.Millisecond
)

// waitForDir locks a directory as lockDir does, but waits a while if it is locked.
func waitForDir(ctx context.Context, dir string) (*dirLock, error) {
	patience := time.NewTimer(lockPatience)
	defer patience.Stop()
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		l, err := lockDir(dir)
		if !errors.Is(err, ErrLocked) {
			return l, err
		}
		select {
		case <-tick.C:
		case <-patience.C:
			return nil, err
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), err)
		}
	}
}

// holder returns who wrote a lock file.
func holder(f *os.File) string {
	b, _ := io.ReadAll(io.LimitReader(f, 20))
	pid := strings.TrimSpace(string(b))
	if pid == "" || strings.Trim(pid, "0123456789") != "" {
		return "an unknown process"
	}
	return "process " + pid
}

func (l *dirLock) unlock() error { return l.f.Close() }
