package entry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// The string types of a DirectoryString and those found in its place.
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

// maxText is how much of a string of two or four octets a character is converted.
// It is the end that is, since that is the end of a name which decides whose it is.
const maxText = 1 << 16

var (
	errBMP       = errors.New("a BMPString has an odd number of octets")
	errUniversal = errors.New("a UniversalString is no UTF-32")
	errLong      = fmt.Errorf("a string is longer than %d octets: only its end was read", maxText)
	errNested    = errors.New("a string is made of parts (a constructed encoding)")
)

// text returns a string value in UTF-8 or, from types of one octet a character,
// as it is: T61String has always been used for Latin-1, and which it is only the
// text can tell. With an error it returns what it could read, or the octets as
// they are.
func text(tag byte, b []byte) ([]byte, error) {
	var err error
	whole := len(b)
	if wide := tag == tagBMP || tag == tagUniversal; wide && whole > maxText {
		b, err = b[whole-maxText:], errLong
	}
	switch {
	case tag&constructed != 0:
		return b, errNested
	case tag == tagBMP:
		if whole%2 != 0 {
			return b, errBMP
		}
		units := make([]uint16, len(b)/2)
		for i := range units {
			units[i] = binary.BigEndian.Uint16(b[2*i:])
		}
		out := make([]byte, 0, len(b))
		for _, r := range utf16.Decode(units) {
			out = utf8.AppendRune(out, r)
		}
		return out, err
	case tag == tagUniversal:
		if whole%4 != 0 {
			return b, errUniversal
		}
		out := make([]byte, 0, len(b)/2)
		for ; len(b) > 0; b = b[4:] {
			// A value above the highest rune becomes U+FFFD.
			out = utf8.AppendRune(out, rune(binary.BigEndian.Uint32(b)))
		}
		return out, err
	}
	return b, nil
}
