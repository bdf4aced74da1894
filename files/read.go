// Package files reads the files that people name: settings, secrets, certificates, and
// what apps ship. It opens nothing that could block, decodes the encodings that text
// editors write, and says when others can read or change what should be private.
package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Open opens a regular file to read it. Reading another kind, such as a pipe, could
// block forever; only a stream that the caller was given may be one (see IsStream).
func Open(name string) (*os.File, error) {
	if IsStream(name) {
		return os.Open(name)
	}
	// Looking first keeps devices from being opened, which does something to some of
	// them; what is there now may still be replaced by a pipe before it is opened.
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

// Read reads a file that Open opens, of at most so many bytes.
func Read(name string, limit int64) ([]byte, error) {
	f, err := Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", name, err)
	case int64(len(b)) > limit:
		return nil, fmt.Errorf("%s is larger than %d bytes", name, limit)
	}
	return b, nil
}

// IsStream reports whether a name is that of a descriptor which this process was
// started with: its standard input, or what a shell puts for <(command).
func IsStream(name string) bool {
	name = filepath.Clean(name)
	return name == "/dev/stdin" || strings.HasPrefix(name, "/dev/fd/") || strings.HasPrefix(name, "/proc/self/fd/")
}

// ErrKind is the error of a file that is not a regular one.
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
