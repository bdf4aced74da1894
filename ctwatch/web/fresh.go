package web

import (
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// A fresh value is made of files, and made anew when they have changed: tokens are
// withdrawn and certificates renewed while the daemon runs.
type fresh[T any] struct {
	files []string
	load  func() (T, error)
	log   *slog.Logger

	mu    sync.Mutex
	seen  []fileState
	value T
}

// A fileState tells two versions of a file apart; it is zero for one that is not
// there.
type fileState struct {
	modified time.Time
	size     int64
}

// newFresh loads the value for the first time.
func newFresh[T any](log *slog.Logger, load func() (T, error), files ...string) (*fresh[T], error) {
	f := &fresh[T]{files: files, load: load, log: log}
	f.seen = f.states() // before loading: what changes meanwhile is loaded again
	var err error
	f.value, err = load()
	return f, err
}

// get returns the value of the last files that were any good.
func (f *fresh[T]) get() T {
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
		f.log.Error("a file has changed and cannot be used; what was in it before still holds", "files", files, "error", err)
		return f.value
	}
	f.log.Info("read again, since it has changed", "files", files)
	f.value = value
	return f.value
}

func (f *fresh[T]) states() []fileState {
	states := make([]fileState, len(f.files))
	for i, name := range f.files {
		if info, err := os.Stat(name); err == nil {
			states[i] = fileState{info.ModTime(), info.Size()}
		}
	}
	return states
}
