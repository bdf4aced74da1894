// Package pemfile reads files of certificates, requests and keys, in PEM (RFC 7468)
// or DER, and skips nothing that was meant to be one.
//
// encoding/pem and OpenSSL pass over a block whose first line they do not recognize:
// one that a byte order mark hides, or that follows the block before it without a line
// break. Where the first block is the server's own certificate, the CA's is then taken
// in its place. Here every line that looks like the beginning or the end of a block has
// to be one, and every block has to be whole.
package pemfile

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"ctwatch/files"
)

// A Block is what one block of a PEM file, or a whole DER file, holds.
type Block struct {
	Type      string // such as "CERTIFICATE"; "" for a file in DER
	Line      int    // of its BEGIN line, from 1; 0 for a file in DER
	Encrypted bool   // by headers of RFC 1421, as old private keys are
	Bytes     []byte // DER
}

// An Error is a mistake in a PEM file.
type Error struct {
	Line int // from 1
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

func (e *Error) Unwrap() error { return e.Err }

// ErrNoBlock is the error of a file that is neither PEM nor DER.
var ErrNoBlock = errors.New(`want PEM, which has a line such as "-----BEGIN CERTIFICATE-----", or DER`)

const byteOrderMark = "\uFEFF"

var (
	// boundary matches the first and the last line of a block (RFC 7468 §3).
	boundary = regexp.MustCompile(`^-----(BEGIN|END) ([0-9A-Z#./]+(?:[ -][0-9A-Z#./]+)*)-----$`)
	// meant matches what was meant to be one, however it was damaged.
	meant = regexp.MustCompile(`(?i)-----\s*(BEGIN|END)|\p{Pd}\s*(BEGIN|END)\b.*(CERTIFICATE|REQUEST|KEY|CRL|PKCS|CMS)`)
	// header matches a header of a private key (RFC 1421 §4.6).
	header = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*:`)
)

// Read returns the blocks of a file, at least one. Text between blocks is passed over.
// Errors about a place are *Errors.
func Read(data []byte) ([]Block, error) {
	switch {
	case files.IsUTF16(data) && (len(data) == 0 || data[0] != 0x30):
		return nil, errors.New("the file is in UTF-16: save it as ASCII or UTF-8")
	case len(data) > 0 && data[0] == 0x30 && !meant.Match(data):
		return []Block{{Bytes: data}}, nil
	}
	data, err := files.Text(data)
	if err != nil {
		return nil, err
	}
	var r reader
	number := 0
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		number++
		if err := r.line(number, string(bytes.TrimRight(line, " \t\r"))); err != nil {
			return nil, err
		}
	}
	switch {
	case r.open != nil:
		return nil, &Error{r.open.Line, fmt.Errorf("the block %s has no END line: the file is cut short", r.open.Type)}
	case r.blocks == nil:
		return nil, ErrNoBlock
	}
	return r.blocks, nil
}

// A reader is at a line of a file.
type reader struct {
	blocks []Block
	open   *Block // whose lines are being read; nil between blocks
	text   strings.Builder
	inHead bool // the lines may be headers still
}

func (r *reader) line(number int, line string) error {
	fail := func(format string, args ...any) error { return &Error{number, fmt.Errorf(format, args...)} }
	m := boundary.FindStringSubmatch(line)
	switch {
	case m == nil && meant.MatchString(line):
		return fail("%s", damage(line))
	case m == nil && r.open == nil:
		return nil // text between blocks
	case m == nil:
		return r.content(number, line)
	case m[1] == "BEGIN" && r.open != nil:
		return fail("a block begins before the one of line %d has ended", r.open.Line)
	case m[1] == "BEGIN":
		r.open, r.inHead = &Block{Type: m[2], Line: number}, true
		r.text.Reset()
		return nil
	case r.open == nil:
		return fail("a block %s ends that has not begun: its BEGIN line is missing", m[2])
	case m[2] != r.open.Type:
		return fail("the block of line %d is a %s, and ends as a %s", r.open.Line, r.open.Type, m[2])
	}
	der, err := base64.StdEncoding.Strict().DecodeString(r.text.String())
	switch {
	case err != nil:
		return &Error{r.open.Line, fmt.Errorf("the base64 of this block cannot be read, perhaps since a part of it is missing: %w", err)}
	case len(der) == 0:
		return &Error{r.open.Line, errors.New("there is nothing in this block")}
	}
	r.open.Bytes = der
	r.blocks, r.open = append(r.blocks, *r.open), nil
	return nil
}

// content takes a line of the block that is open.
func (r *reader) content(number int, line string) error {
	switch {
	case r.inHead && r.text.Len() == 0 && header.MatchString(line):
		r.open.Encrypted = r.open.Encrypted || strings.HasPrefix(line, "DEK-Info:")
		return nil
	case line == "":
		return nil
	}
	r.inHead = false
	line = strings.Join(strings.Fields(line), "")
	if i := strings.IndexFunc(line, notBase64); i >= 0 {
		return &Error{number, fmt.Errorf("%q does not belong into the base64 of the block that begins in line %d", []rune(line[i:])[0], r.open.Line)}
	}
	r.text.WriteString(line)
	return nil
}

func notBase64(c rune) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '+', c == '/', c == '=':
		return false
	}
	return true
}

// damage says why a line is no BEGIN or END line.
func damage(line string) string {
	switch {
	case strings.Contains(line, byteOrderMark):
		return "a byte order mark hides the beginning of a block: remove it, or join files by a tool that does"
	case strings.Contains(line, "\r"):
		return "some lines end in carriage returns alone: convert the file to line feeds"
	case strings.Contains(line, "----------"):
		return "the end of a block and the beginning of the next stand in one line: break the line between them"
	}
	return `this looks like the beginning or the end of a block, and is none: want "-----BEGIN " or "-----END ", the type and "-----", and nothing else in the line`
}
