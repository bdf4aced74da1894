// Package pemfile reads certificates, requests and keys from files in PEM (RFC 7468) or
// DER, and skips no damaged block.
//
// encoding/pem and OpenSSL skip a block whose first line they do not recognize, because of
// a byte order mark, or because the line break before it is missing. If that block is the
// server's own certificate, they use the CA's instead. Here every line that looks like the
// start or the end of a block must be one, and every block must be complete.
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

// A Block is the content of a block of a PEM file, or of a DER file.
type Block struct {
	Type      string // such as "CERTIFICATE"; "" for a file in DER
	Line      int    // of its BEGIN line, from 1; 0 for a file in DER
	Encrypted bool   // by headers of RFC 1421, as in old private keys
	Bytes     []byte // DER
}

// An Error is an error at a line of a PEM file.
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
	// meant matches lines that were meant to be one, but may be damaged.
	meant = regexp.MustCompile(`(?i)-----\s*(BEGIN|END)|\p{Pd}\s*(BEGIN|END)\b.*(CERTIFICATE|REQUEST|KEY|CRL|PKCS|CMS)`)
	// header matches a header of a private key (RFC 1421 §4.6).
	header = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*:`)
)

// Read returns the blocks of a file, at least one. It skips text between blocks. Errors
// about a line are *Errors.
func Read(data []byte) ([]Block, error) {
	switch {
	case files.IsUTF16(data) && (len(data) == 0 || data[0] != 0x30):
		return nil, errors.New("the file is in UTF-16; save it as ASCII or UTF-8")
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
		return nil, &Error{r.open.Line, fmt.Errorf("the block %s has no END line: the file is truncated", r.open.Type)}
	case r.blocks == nil:
		return nil, ErrNoBlock
	}
	return r.blocks, nil
}

// A reader reads a file line by line.
type reader struct {
	blocks []Block
	open   *Block // the current block; nil between blocks
	text   strings.Builder
	inHead bool // the next lines may be headers
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
		return fail("a block starts before the block in line %d ends", r.open.Line)
	case m[1] == "BEGIN":
		r.open, r.inHead = &Block{Type: m[2], Line: number}, true
		r.text.Reset()
		return nil
	case r.open == nil:
		return fail("a block %s ends without a BEGIN line", m[2])
	case m[2] != r.open.Type:
		return fail("the block in line %d starts as %s and ends as %s", r.open.Line, r.open.Type, m[2])
	}
	der, err := base64.StdEncoding.Strict().DecodeString(r.text.String())
	switch {
	case err != nil:
		return &Error{r.open.Line, fmt.Errorf("the base64 of this block cannot be decoded; perhaps a part of it is missing: %w", err)}
	case len(der) == 0:
		return &Error{r.open.Line, errors.New("this block is empty")}
	}
	r.open.Bytes = der
	r.blocks, r.open = append(r.blocks, *r.open), nil
	return nil
}

// content reads a line of the current block.
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
		return &Error{number, fmt.Errorf("%q is not allowed in the base64 of the block in line %d", []rune(line[i:])[0], r.open.Line)}
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

// damage returns why a line is not a BEGIN or END line.
func damage(line string) string {
	switch {
	case strings.Contains(line, byteOrderMark):
		return "a byte order mark hides the start of a block; remove it, or join the files with a tool that does"
	case strings.Contains(line, "\r"):
		return "some lines end only in carriage returns; convert the file to line feeds"
	case strings.Contains(line, "----------"):
		return "the end of a block and the start of the next are in one line; break the line between them"
	}
	return `this looks like the start or the end of a block, but is not; want "-----BEGIN " or "-----END ", the type and "-----", and nothing else in the line`
}
