package publish

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/go-jose/go-jose/v4"
)

// The files of a ring, next to that of the active key.
const (
	nextSuffix = ".next"
	oldSuffix  = ".old"
)

// Keys are the signing keys at one time. They do not change.
type Keys struct {
	Active *Key // signs
	Next   *Key // signs, too, while the active key is being replaced; nil otherwise
	Old    *Key // no longer signs, but can still be looked up; nil if there is none

	generation string // differs between two Keys
	jwks       []byte
}

// Signing returns the keys that sign, the active one first.
func (k *Keys) Signing() []*Key { return some(k.Active, k.Next) }

// JWKS returns the public keys, those that sign and the old one, as a JSON Web Key Set
// (RFC 7517 §5). The result is shared and must not be changed.
func (k *Keys) JWKS() []byte { return k.jwks }

// newKeys leaves out duplicates: Finish copies a key before it renames one.
func newKeys(active, next, old *Key) (*Keys, error) {
	if next != nil && next.id == active.id {
		next = nil
	}
	if old != nil && (old.id == active.id || next != nil && old.id == next.id) {
		old = nil
	}
	k := &Keys{Active: active, Next: next, Old: old}
	var set jose.JSONWebKeySet
	for _, key := range some(active, next, old) {
		set.Keys = append(set.Keys, key.jwk())
	}
	for _, key := range []*Key{active, next, old} {
		if key != nil {
			k.generation += key.id
		}
		k.generation += "/"
	}
	var err error
	k.jwks, err = writeJSON(set)
	return k, err
}

func some(keys ...*Key) []*Key {
	return slices.DeleteFunc(keys, func(k *Key) bool { return k == nil })
}

// A Ring is a signing key and its replacement, in files next to each other. KEY is the
// active key. KEY.next is its successor, from Rotate until Finish: both sign, and both are
// in the JWKS, so that devices can learn the next key while they trust only the active
// one. KEY.old is its predecessor, which is in the JWKS until its file is removed, or
// replaced by the next Finish.
type Ring struct {
	path string
	log  *slog.Logger

	mu   sync.Mutex
	seen [3]fs.FileInfo // of the files when they were last read; nil for a missing file
	keys *Keys
}

// OpenRing reads the keys of the ring whose active key is in a file. If the ring has no
// key, and create is set, it makes one. Files that others can read are logged.
func OpenRing(path string, create bool, log *slog.Logger) (*Ring, error) {
	r := &Ring{path: path, log: log}
	err := r.load()
	if errors.Is(err, fs.ErrNotExist) {
		switch {
		case r.seen != [3]fs.FileInfo{}: // apps may trust one of the others, but not a new one
			return nil, fmt.Errorf("%w, but another key of its ring exists: rename the one that apps trust, %s or %s, to %s", err, path+nextSuffix, path+oldSuffix, path)
		case !create:
			return nil, err
		}
		switch key, err := CreateKey(path); {
		case err == nil:
			log.Info("created a key that signs pin documents; apps that read them need its public key", "file", path, "kid", key.id)
		case !errors.Is(err, fs.ErrExist): // otherwise another process was faster
			return nil, err
		}
		err = r.load()
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Keys returns the keys that are in the files now. If the files have changed and cannot be
// used, it logs that and returns the previous keys.
func (r *Ring) Keys() *Keys {
	r.mu.Lock()
	defer r.mu.Unlock()
	if sameFiles(r.seen, r.stat()) {
		return r.keys
	}
	before := r.keys.generation
	if err := r.load(); err != nil {
		r.log.Error("the signing keys have changed and cannot be used; the previous keys stay in use", "error", err)
	} else if r.keys.generation != before {
		r.log.Info("the signing keys have changed", "active", r.keys.Active.id, "signing", len(r.keys.Signing()))
	}
	return r.keys
}

// load reads all files, and again if they change while it reads.
func (r *Ring) load() error {
	const attempts = 10
	var keys *Keys
	var notes []string
	var err error
	for range attempts {
		r.seen = r.stat()
		keys, notes, err = loadKeys(r.path)
		if sameFiles(r.seen, r.stat()) {
			break
		}
	}
	if err != nil {
		return err
	}
	for _, note := range notes {
		r.log.Warn(note)
	}
	r.keys = keys
	return nil
}

func (r *Ring) stat() (files [3]fs.FileInfo) {
	for i, suffix := range []string{"", nextSuffix, oldSuffix} {
		if info, err := os.Stat(r.path + suffix); err == nil {
			files[i] = info
		}
	}
	return files
}

func sameFiles(a, b [3]fs.FileInfo) bool {
	for i := range a {
		switch {
		case a[i] == nil || b[i] == nil:
			if a[i] != b[i] {
				return false
			}
		case !os.SameFile(a[i], b[i]) || a[i].Size() != b[i].Size() || !a[i].ModTime().Equal(b[i].ModTime()):
			return false
		}
	}
	return true
}

func loadKeys(path string) (keys *Keys, notes []string, err error) {
	var loaded [3]*Key
	for i, suffix := range []string{"", nextSuffix, oldSuffix} {
		key, note, err := LoadKey(path + suffix)
		if err != nil && (i == 0 || !errors.Is(err, fs.ErrNotExist)) {
			return nil, nil, err
		}
		if note != "" {
			notes = append(notes, note)
		}
		loaded[i] = key
	}
	keys, err = newKeys(loaded[0], loaded[1], loaded[2])
	return keys, notes, err
}

// Why a key is not replaced.
var (
	ErrInProgress = errors.New("a replacement is in progress")
	ErrNoNext     = errors.New("there is no next key")
)

// Rotate starts to replace the active key: it makes the next key, which also signs from
// now on. It fails with ErrInProgress if there is a next key already.
func Rotate(path string) (next *Key, err error) {
	err = withLock(path, func() error {
		if _, _, err := LoadKey(path); err != nil {
			return err
		}
		next, err = CreateKey(path + nextSuffix)
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s exists already: %w", path+nextSuffix, ErrInProgress)
		}
		return err
	})
	return next, err
}

// Finish completes what Rotate started: the next key becomes the active one, the active
// key the old one, and an earlier old key is removed. Devices must have learned the next
// key by then; if there is none, it fails with ErrNoNext. After a crash at any point the ring has an active key and has lost no key;
// Finish can then be called again.
func Finish(path string) (active *Key, err error) {
	err = withLock(path, func() error {
		if active, _, err = LoadKey(path + nextSuffix); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: %w", ErrNoNext, err)
		} else if err != nil {
			return err
		}
		if _, _, err := LoadKey(path); err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		// The active key is copied, not renamed, so that it is never absent.
		if err := writeWhole(path+oldSuffix, data, 0o600, os.Rename); err != nil {
			return err
		}
		if err := os.Rename(path+nextSuffix, path); err != nil {
			return err
		}
		return syncDir(filepath.Dir(path))
	})
	if err != nil {
		return nil, err
	}
	return active, nil
}

// withLock calls change while it holds a lock on the directory of a ring. The system
// releases the lock however the process ends.
func withLock(path string, change func() error) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("signing keys: %w", err)
	}
	defer dir.Close()
	switch err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return fmt.Errorf("signing keys: another process is changing %s: try again", dir.Name())
	case err != nil:
		return fmt.Errorf("signing keys: locking %s: %w", dir.Name(), err)
	}
	if err := change(); err != nil {
		return fmt.Errorf("changing the signing keys: %w", err)
	}
	return nil
}
