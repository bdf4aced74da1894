package web

import (
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// A reloading value is loaded from files, and again when they change: tokens are revoked and
// certificates renewed while the daemon runs.
type reloading[T any] struct {
	files []string
	load  func() (T, error)
	log   *slog.Logger

	mu    sync.Mutex
	seen  []fileState
	value T
}

// A fileState identifies a version of a file; it is zero if there is no file.
type fileState struct {
	modified time.Time
	size     int64
}

// newReloading loads the value for the first time.
func newReloading[T any](log *slog.Logger, load func() (T, error), files ...string) (*reloading[T], error) {
	f := &reloading[T]{files: files, load: load, log: log}
	f.seen = f.states() // before loading, so that a change meanwhile is loaded
	var err error
	f.value, err = load()
	return f, err
}

// get returns the value of the last good files.
func (f *reloading[T]) get() T {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.states()
	if slices.Equal(now, f.seen) {
		return f.value
	}
	f.seen = now
	files := strings.Join(f.files, ", ")
	value, err := f.load()
	if err != nil {
		f.log.Error("a file has changed and cannot be used; its old content stays in force", "files", files, "error", err)
		return f.value
	}
	f.log.Info("read again after a change", "files", files)
	f.value = value
	return f.value
}

func (f *reloading[T]) states() []fileState {
	states := make([]fileState, len(f.files))
	for i, name := range f.files {
		if info, err := os.Stat(name); err == nil {
			states[i] = fileState{info.ModTime(), info.Size()}
		}
	}
	return states
}
