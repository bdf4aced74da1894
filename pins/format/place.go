package format

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"ctwatch/files"
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

// clientErrAt returns an error about what the client of a format makes of an offset in a
// file.
func clientErrAt(data []byte, offset int, message string, args ...any) error {
	line, column := place(data, offset)
	return &SyntaxError{Line: line, Column: column, Err: &ClientError{fmt.Errorf(message, args...)}}
}

// readText returns a file as text in UTF-8 without a byte order mark.
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
