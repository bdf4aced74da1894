// Package files reads files that people name: configurations, secrets, certificates, pin
// files. It opens regular files only, so that reading does not block, decodes the encodings
// of text editors, and checks whether other users can read or change a secret.
package files

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Open opens a regular file for reading, or a stream (see IsStream). Reading another kind of
// file, such as a pipe, could block forever.
func Open(name string) (*os.File, error) {
	if IsStream(name) {
		return os.Open(name)
	}
	// Check the kind before opening, since opening some devices has effects. A pipe may
	// still replace the file before it is opened.
	if info, err := os.Stat(name); err == nil {
		if err := wantRegular(name, info); err != nil {
			return nil, err
		}
	}
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = wantRegular(name, info)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Read returns the content of a file, opened with Open, of at most limit bytes.
func Read(name string, limit int64) ([]byte, error) {
	f, err := Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b bytes.Buffer
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		if info.Size() > limit {
			return nil, tooLarge(name, limit)
		}
		b.Grow(int(info.Size()) + bytes.MinRead) // so that it does not grow by copies
	}
	_, err = b.ReadFrom(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", name, err)
	case int64(b.Len()) > limit:
		return nil, tooLarge(name, limit)
	}
	return b.Bytes(), nil
}

func tooLarge(name string, limit int64) error {
	return fmt.Errorf("%s is larger than %d bytes", name, limit)
}

// IsStream reports whether a name is that of a descriptor that this process was started
// with: standard input, or a shell's <(command).
func IsStream(name string) bool {
	name = filepath.Clean(name)
	return name == "/dev/stdin" || strings.HasPrefix(name, "/dev/fd/") || strings.HasPrefix(name, "/proc/self/fd/")
}

// ErrKind is the error for a file that is not a regular file.
var ErrKind = errors.New("not a regular file")

func wantRegular(name string, info fs.FileInfo) error {
	if info.Mode().IsRegular() {
		return nil
	}
	kind := "not a file with contents"
	switch m := info.Mode(); {
	case m.IsDir():
		kind = "a directory"
	case m&fs.ModeNamedPipe != 0:
		kind = "a pipe"
	case m&fs.ModeSocket != 0:
		kind = "a socket"
	case m&fs.ModeDevice != 0:
		kind = "a device"
	}
	return fmt.Errorf("%s is %s, %w: name a file", name, kind, ErrKind)
}
