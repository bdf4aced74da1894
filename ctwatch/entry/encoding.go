package entry

import (
	"errors"
	"strings"
)

// Encoding returns nil if a certificate, or a part of one, is encoded as DER demands
// (X.690 §10 and §11), as far as that decides who can read it: strict parsers, which
// refuse all else, or also lenient ones, as OpenSSL's. Otherwise the error says what is
// not DER. Of extensions only the subject alternative name is looked into.
//
// All of this is read none the less, and hashed as it is.
func Encoding(b []byte) error {
	var all form
	parts, booleans, altName := false, false, false
	for len(b) > 0 {
		tag, start, stop, f := longHeader(b)
		if all |= f; f&truncated != 0 {
			break // which is reported where it is read
		}
		content, next := b[start:stop], b[stop:]
		switch tag {
		case tagBoolean:
			booleans = booleans || len(content) != 1 || content[0] != 0 && content[0] != 0xff
		case tagOID:
			altName = string(content) == oidSubjectAltName
		case tagOctetString:
			if altName {
				next = b[start:] // the names: their elements are looked at like the others
			}
			altName = false
		case tagOctetString | constructed:
			altName = false // where the parts of the names are cut, no element begins
		}
		parts = parts || tag&constructed != 0 && isString(tag&^constructed)
		if tag&constructed != 0 {
			next = b[start:]
		}
		b = next
	}
	var found []string
	for _, odd := range []struct {
		is    bool
		words string
	}{
		{all&longTag != 0, "tag numbers in the long form"},
		{all&longLength != 0, "lengths in more octets than they need"},
		{all&indefinite != 0, "indefinite lengths"},
		{parts, "strings in parts"},
		{booleans, "booleans that are neither 0 nor 255"},
	} {
		if odd.is {
			found = append(found, odd.words)
		}
	}
	if found == nil {
		return nil
	}
	return errors.New("it is not DER, which strict parsers refuse and OpenSSL accepts: " + strings.Join(found, ", "))
}

// isString reports whether a tag is one of a string or, in the context of names, of a
// dNSName or an address.
func isString(tag byte) bool {
	switch tag {
	case tagBitString, tagOctetString, tagUTF8, tagNumeric, tagPrintable, tagT61, tagIA5, tagVisible, tagUniversal, tagBMP,
		tagDNSName, tagIPAddress:
		return true
	}
	return false
}
