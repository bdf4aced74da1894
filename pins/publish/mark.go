package publish

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// MaxSerial is the highest serial of a document: the largest integer that JavaScript reads
// exactly (RFC 8259 §6).
const MaxSerial = 1<<53 - 1

// MarkSuffix is appended to the file name of the signing key for its mark.
const MarkSuffix = ".serials"

// maxMark bounds the file of a mark, in bytes.
const maxMark = 1 << 20

// A Mark keeps the highest issued serial of each app in a file outside the database, so
// that serials do not go back when an older database is restored: apps reject a document
// with a lower serial than they have seen. The file is a JSON object with a number for
// each app. A Mark must not be used concurrently for the same files.
type Mark struct {
	paths []string
}

// NewMark returns a mark that writes the first of some files whose directory is writable,
// and reads all of them.
func NewMark(paths ...string) *Mark { return &Mark{paths} }

// Raise returns the next serial of an app: least, or the highest issued so far plus one.
// When it returns, the serial is on disk. A missing mark is created; an unreadable one is
// an error, since its serials may be in use.
func (m *Mark) Raise(app string, least int64) (int64, error) {
	all := make([]map[string]int64, len(m.paths))
	serial := least
	for i, path := range m.paths {
		var err error
		if all[i], err = readMark(path); err != nil {
			return 0, err
		}
		serial = max(serial, all[i][app]+1)
	}
	if serial > MaxSerial {
		return 0, fmt.Errorf("the next serial of app %q would be %d, but clients accept %d at most: was it issued with a wrong clock? Give the app another name", app, serial, int64(MaxSerial))
	}
	var err error
	for i, path := range m.paths {
		all[i][app] = serial
		var b []byte
		if b, err = json.Marshal(all[i]); err == nil {
			// Not secret, and another user may issue the next document.
			err = writeWhole(path, append(b, '\n'), 0o644, os.Rename)
		}
		if err == nil {
			return serial, nil
		}
		if !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EROFS) {
			break
		}
	}
	return 0, fmt.Errorf("storing the serial of a pin document: %w; make the directory of the signing key, or the data directory, writable for this user", err)
}

// readMark reads a mark; a missing one is empty.
func readMark(path string) (serials map[string]int64, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("the file with the serials of pin documents cannot be used: %w; restore %s from a backup, or remove it if the database is newer than every issued document", err, path)
		}
	}()
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return make(map[string]int64), nil
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxMark+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxMark {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxMark)
	}
	if err := json.Unmarshal(b, &serials); err != nil || serials == nil {
		return nil, fmt.Errorf(`%s: want {"APP": SERIAL, …}`, path)
	}
	for app, serial := range serials {
		if serial < 1 || serial > MaxSerial {
			return nil, fmt.Errorf("%s: the serial %d of app %q is not between 1 and %d", path, serial, app, int64(MaxSerial))
		}
	}
	return serials, nil
}
