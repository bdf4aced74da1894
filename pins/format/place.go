package format

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"ctwatch/pins"
)

// place returns the line and the column, in characters, of an offset in a file.
// Both count from 1.
func place(data []byte, offset int) (line, column int) {
	offset = min(max(offset, 0), len(data))
	before := data[:offset]
	start := bytes.LastIndexByte(before, '\n') + 1
	return bytes.Count(before, []byte{'\n'}) + 1, utf8.RuneCount(before[start:]) + 1
}

// errAt returns a *SyntaxError about an offset in a file.
func errAt(data []byte, offset int, message string, args ...any) error {
	line, column := place(data, offset)
	return &SyntaxError{Line: line, Column: column, Err: fmt.Errorf(message, args...)}
}

// checkSize fails for a file that is too large to decode.
func checkSize(data []byte) error {
	if len(data) > MaxSize {
		return fmt.Errorf("the file has %d bytes; a pin file has at most %d", len(data), MaxSize)
	}
	return nil
}

// base64Of writes a pin as formats do that have no "sha256/" before it.
func base64Of(p pins.Pin) string { return strings.TrimPrefix(p.String(), "sha256/") }

// parsePin reads what base64Of writes, and no other spelling.
func parsePin(b64 string) (pins.Pin, error) {
	p, err := pins.Parse("sha256/" + b64)
	if err != nil {
		return p, fmt.Errorf("%q is not the base64 of a SHA-256: 44 characters, the last of them =", b64)
	}
	return p, nil
}
