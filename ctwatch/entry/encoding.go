package entry

import (
	"errors"
	"strings"
)

// ProblemEncoding begins the problem of a certificate that is not DER.
const ProblemEncoding = "encoding: "

// Encoding returns an error that says what is not DER (X.690 §10 and §11) in a certificate, or
// in a part of one; nil if strict parsers can read it. Of the extensions it checks only those
// that are read here: the subject alternative name and basic constraints.
//
// This package reads what is not DER, too, and hashes it unchanged.
func Encoding(b []byte) error {
	var all form
	parts, booleans, read := false, false, false
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
			read = string(content) == oidSubjectAltName || string(content) == oidBasicConstraints
		case tagOctetString:
			if read {
				next = b[start:] // the elements in it are checked like the others
			}
			read = false
		case tagOctetString | constructed:
			read = false // in parts, no element has to begin where one of them does
		}
		parts = parts || tag&constructed != 0 && isString(tag&^constructed)
		if tag&constructed != 0 {
			next = b[start:]
		}
		b = next
	}
	var found []string
	for _, kind := range []struct {
		is    bool
		words string
	}{
		{all&longTag != 0, "tag numbers in the long form"},
		{all&longLength != 0, "lengths in more octets than they need"},
		{all&indefinite != 0, "indefinite lengths"},
		{parts, "strings in parts"},
		{booleans, "booleans that are neither 0 nor 255"},
	} {
		if kind.is {
			found = append(found, kind.words)
		}
	}
	if found == nil {
		return nil
	}
	return errors.New("it is not DER, which strict parsers refuse and OpenSSL accepts: " + strings.Join(found, ", "))
}

// maxDepth bounds the nesting of elements that are encoded again.
const maxDepth = 8

// distinguished encodes elements again in DER, unless they are truncated, for a strict parser.
// This form is never hashed.
func distinguished(b []byte, depth int) (out []byte) {
	for len(b) > 0 && depth > 0 {
		tag, start, stop, end, f := header(b)
		if f&truncated != 0 || tag&0x1f == 0x1f {
			return append(out, b...)
		}
		content := b[start:stop]
		switch {
		case tag&constructed == 0:
		case tag&class == 0 && isString(tag&^constructed):
			tag &^= constructed
			content, _ = joined(content)
		default:
			content = distinguished(content, depth-1)
		}
		out = append(appendHeader(out, []byte{tag, 0}, 0, len(content)), content...)
		b = b[end:]
	}
	return out
}

// isString reports whether elements with a tag may be in parts: strings and times and, among
// names, dNSName and iPAddress.
func isString(tag byte) bool {
	switch tag {
	case tagBitString, tagOctetString, tagUTF8, tagNumeric, tagPrintable, tagT61, tagIA5, tagUTCTime, tagGeneralizedTime,
		tagVisible, tagUniversal, tagBMP, tagDNSName, tagIPAddress:
		return true
	}
	return false
}
