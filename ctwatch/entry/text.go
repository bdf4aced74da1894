package entry

import (
	"encoding/binary"
	"errors"
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

var (
	errBMP       = errors.New("a BMPString has an odd number of octets")
	errUniversal = errors.New("a UniversalString is no UTF-32")
	errNested    = errors.New("a string is made of parts (a constructed encoding)")
)

// text returns a string value in UTF-8 or, from types of one octet a character,
// as it is: T61String has always been used for Latin-1, and which it is only the
// text can tell. With an error it returns the octets as they are.
func text(tag byte, b []byte) ([]byte, error) {
	switch {
	case tag&constructed != 0:
		return b, errNested
	case tag == tagBMP:
		if len(b)%2 != 0 {
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
		return out, nil
	case tag == tagUniversal:
		if len(b)%4 != 0 {
			return b, errUniversal
		}
		out := make([]byte, 0, len(b)/2)
		for ; len(b) > 0; b = b[4:] {
			// A value above the highest rune becomes U+FFFD.
			out = utf8.AppendRune(out, rune(binary.BigEndian.Uint32(b)))
		}
		return out, nil
	}
	return b, nil
}
