package files

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestOpenRegularOnly: what could block forever is refused at once, by what it is.
func TestOpenRegularOnly(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := syscall.Mkfifo(in("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("pipe", in("link")); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", in("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, says := range map[string]string{
		in("pipe"): "is a pipe", in("link"): "is a pipe", in("socket"): "is a socket", dir: "is a directory", "/dev/zero": "is a device",
	} {
		if _, err := Read(name, 10); !errors.Is(err, ErrKind) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v; want %q", name, err, says)
		}
	}
	if _, err := Read(in("absent"), 10); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := os.WriteFile(in("file"), []byte("1234"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := Read(in("file"), 4); err != nil || string(b) != "1234" {
		t.Error(b, err)
	}
	if _, err := Read(in("file"), 3); err == nil || !strings.Contains(err.Error(), "larger than 3 bytes") {
		t.Error(err)
	}
}

// TestText: marks and UTF-16 are decoded, and anything else stays as it is.
func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "",
		"a":                        "a",
		"plain ä":                  "plain ä",
		"\uFEFFmark":               "mark",
		"\xff\xfea\x00\xe4\x00":    "aä",
		"\xfe\xff\x00a\x00\xe4":    "aä",
		"a\x00\xe4\x00":            "aä",
		"\x00a\x00\xe4":            "aä",
		"\xfe\xff\xd8\x3d\xde\x00": "😀",
		"latin-1: \xe4":            "latin-1: \xe4",
		"two\rlines\r":             "two\nlines\n",
		"two\r\nlines\r":           "two\r\nlines\r",
		"bplist00\x00":             "bplist00\x00",
	} {
		if got, err := Text([]byte(in)); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
	for in, says := range map[string]string{
		"\xff\xfea":                     "cut short",
		"\xfe\xff\xd8\x3d":              "half a character",
		"\xfe\xff\xd8\x3d\x00a":         "half a character",
		"\xff\xfe\x00\x00a\x00\x00\x00": "UTF-32",
	} {
		if got, err := Text([]byte(in)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %q, %v; want %q", in, got, err, says)
		}
	}
}
