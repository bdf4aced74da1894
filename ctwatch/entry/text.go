package entry

import (
	"encoding/binary"
	"errors"
	"unicode/utf16"
	"unicode/utf8"
)

// The string types of a DirectoryString, and those found instead.
const (
	tagUTF8      = 0x0c
	tagNumeric   = 0x12
	tagPrintable = 0x13
	tagT61       = 0x14
	tagIA5       = 0x16
	tagVisible   = 0x1a
	tagUniversal = 0x1c
	tagBMP       = 0x1e
)

// maxText bounds what is converted of a string with two or four octets per character: its
// end, since the end of a name decides whose it is.
const maxText = 1 << 16

var (
	errText = errors.New("a string cannot be decoded")
	errLong = errors.New("a string is so long that only its end was read")
)

// text returns a string value in UTF-8, or unchanged if its type has one octet per
// character: T61String is in use for Latin-1, and only the text shows which it is. Parts, as
// BER allows them, are joined. With an error it returns what it could read, or the octets.
func text(tag byte, b []byte) ([]byte, error) {
	var err error
	if tag&constructed != 0 {
		var f form
		if b, f = joined(b); f&truncated != 0 {
			err = errText
		}
		tag &^= constructed
	}
	if tag != tagBMP && tag != tagUniversal || isASCII(b) { // the latter is mislabelled
		return b, err
	}
	whole := len(b)
	if whole > maxText {
		b, err = b[whole-maxText:], errLong
	}
	switch {
	case tag == tagBMP && whole%2 == 0:
		units := make([]uint16, len(b)/2)
		for i := range units {
			units[i] = binary.BigEndian.Uint16(b[2*i:])
		}
		out := make([]byte, 0, len(b))
		for _, r := range utf16.Decode(units) {
			out = utf8.AppendRune(out, r)
		}
		return out, err
	case tag == tagUniversal && whole%4 == 0:
		out := make([]byte, 0, len(b)/2)
		for ; len(b) > 0; b = b[4:] {
			// A value above the highest rune becomes U+FFFD.
			out = utf8.AppendRune(out, rune(binary.BigEndian.Uint32(b)))
		}
		return out, err
	}
	return b, errText
}

// joined returns the joined contents of the elements in b, and of their parts. The form is
// that of all of them.
func joined(b []byte) (all []byte, f form) {
	for first := true; len(b) > 0; first = false {
		tag, start, stop, part := longHeader(b)
		f |= part
		switch {
		case tag&constructed != 0: // its parts are next
			f |= nested
			stop = start
		case first && stop == len(b): // the only one, which need not be copied
			return b[start:stop], f
		case tag != 0 || start != stop: // no end-of-contents octets
			all = append(all, b[start:stop]...)
		}
		b = b[stop:]
	}
	return all, f
}

// isASCII reports whether b is printable ASCII, which text with two or four octets per
// character never is.
func isASCII(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}
