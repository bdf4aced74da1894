package format

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"ctwatch/files"
	"ctwatch/pins"
)

// A position is a place in a file, counted from 1; zero in a binary file.
type position struct{ line, column int }

// place returns the position of an offset in a file; its column is in characters.
func place(data []byte, offset int) position {
	before := data[:min(max(offset, 0), len(data))]
	start := bytes.LastIndexByte(before, '\n') + 1
	return position{bytes.Count(before, []byte{'\n'}) + 1, utf8.RuneCount(before[start:]) + 1}
}

func (p position) String() string { return fmt.Sprintf("%d:%d", p.line, p.column) }

// errorf returns a *SyntaxError about a place.

func (p position) errorf(format string, args ...any) error {
	return &SyntaxError{Line: p.line, Column: p.column, Err: fmt.Errorf(format, args...)}
}

// client returns a *SyntaxError with a *ClientError.
func (p position) client(format string, args ...any) error {
	return p.errorf("%w", &ClientError{fmt.Errorf(format, args...)})
}

// errAt returns a *SyntaxError about an offset in a file.
func errAt(data []byte, offset int, message string, args ...any) error {
	return place(data, offset).errorf(message, args...)
}

// clientErrAt returns a *SyntaxError with a *ClientError about an offset in a file.
func clientErrAt(data []byte, offset int, message string, args ...any) error {
	return place(data, offset).client(message, args...)
}

// readText returns the text of a file in UTF-8, without a byte order mark.
func readText(data []byte) ([]byte, error) {
	if err := checkSize(data); err != nil {
		return nil, err
	}
	return files.Text(data)
}

// checkSize fails for a file that is too large to decode.
func checkSize(data []byte) error {
	if len(data) > MaxSize {
		return fmt.Errorf("the file has %d bytes; a pin file has at most %d", len(data), MaxSize)
	}
	return nil
}

// checkHost fails for a name that no client connects to, so that it would silently not be
// pinned. The error says what to write instead.
func checkHost(name string) error {
	if pins.ValidHost(name) {
		return nil
	}
	switch lower := strings.ToLower(name); {
	case strings.Contains(name, "*"):
		return fmt.Errorf("the name %s has a wildcard, which this format does not support: the client would pin nothing", quote(name))
	case pins.ValidHost(lower):
		return fmt.Errorf("the name %s would never match: write %q", quote(name), lower)
	case pins.ValidHost(strings.TrimSuffix(lower, ".")):
		return fmt.Errorf("the name %s would never match: remove the dot at its end", quote(name))
	}
	if host, err := pins.ParseHost(name); err == nil {
		return fmt.Errorf("the name %s would never match: write it in punycode, %q", quote(name), host)
	}
	return fmt.Errorf("%s is not a host name; want one such as \"api.example.com\", without scheme, port or path", quote(name))
}

// barePin reads a pin in a format that has only its base64.
func barePin(s string) (pins.Pin, error) {
	if strings.HasPrefix(s, "sha256/") {
		return pins.Pin{}, fmt.Errorf(`the pin %s: write the base64 alone, without "sha256/"`, quote(s))
	}
	p, err := pins.ParseAny("sha256/" + s)
	if err != nil {
		return p, fmt.Errorf(`the pin %s is not the base64 of a SHA-256, which is 44 characters that end in "="`, quote(s))
	}
	return p, p.Check()
}

// base64Of returns a pin for a format that has only its base64.
func base64Of(p pins.Pin) string { return base64.StdEncoding.EncodeToString(p[:]) }

// quote quotes text from a file for a message.
func quote(s string) string { return strconv.Quote(brief(s)) }

// brief truncates text for a message.
func brief(s string) string {
	const most = 100
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// distinct returns the pins of a list, each once.
func distinct(list []pins.Pin) []pins.Pin {
	seen := make(map[pins.Pin]bool, len(list))
	return slices.DeleteFunc(list, func(p pins.Pin) bool {
		again := seen[p]
		seen[p] = true
		return again
	})
}

// parseDay reads the day on which pins expire, as 00:00 UTC.
func parseDay(s string) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.IsZero() {
		return time.Time{}, notDate(s)
	}
	return t, nil
}

func notDate(s string) error { return fmt.Errorf("%s is not a date such as 2027-06-30", quote(s)) }

// parents yields the names above a host, the longest first.
func parents(host string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for {
			_, above, ok := strings.Cut(host, ".")
			if !ok || !yield(above) {
				return
			}
			host = above
		}
	}
}
