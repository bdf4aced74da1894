package entry

import "errors"

// The identifier octets in certificates.
const (
	tagBoolean     = 0x01
	tagInteger     = 0x02
	tagBitString   = 0x03
	tagOctetString = 0x04
	tagOID         = 0x06
	tagSequence    = 0x30

	tagUTCTime         = 0x17
	tagGeneralizedTime = 0x18

	tagVersion    = 0xa0 // TBSCertificate: [0] EXPLICIT
	tagExtensions = 0xa3 // TBSCertificate: [3] EXPLICIT

	constructed = 0x20
	class       = 0xc0 // the bits of the class
)

// errTruncated is the error for an element that is truncated.
var errTruncated = errors.New("an element is longer than what it stands in")

// A form is a set of differences of an element's header from DER (X.690 §10.1, §8.1.2.4).
type form uint8

const (
	longTag    form = 1 << iota // the number of a tag below 31 stands in octets of its own
	longLength                  // the length has more octets than it needs
	indefinite                  // the content ends with two NUL octets (end-of-contents)
	nested                      // a part of a string has parts
	truncated                   // the element is not all there

	// No CA is known to use these.
	odd = longTag | indefinite | nested
)

// header reads the identifier and length octets at the start of b, which must not be empty.
// The content of the element is b[start:stop], and the next element begins at end; the two
// differ for an indefinite length. It accepts BER. tag is the first octet in DER, whatever
// the form of the number; all numbers above 30, which no certificate has, give the same.
//
// If the length is beyond the end of b, the form is truncated and the content is the rest of
// b, so that a caller can read it and report the problem.
func header(b []byte) (tag byte, start, stop, end int, f form) {
	if len(b) >= 2 && b[1] < 0x80 && b[0]&0x1f != 0x1f {
		if end := 2 + int(b[1]); end <= len(b) {
			return b[0], 2, end, end, 0
		}
	}
	return anyHeader(b)
}

// anyHeader is header for all but the short form. Nearly all of those have lengths in two
// octets.
func anyHeader(b []byte) (tag byte, start, stop, end int, f form) {
	if len(b) >= 4 && b[1] == 0x82 && b[2] != 0 && b[0]&0x1f != 0x1f {
		if end := 4 + int(b[2])<<8 + int(b[3]); end <= len(b) {
			return b[0], 4, end, end, 0
		}
	}
	tag, start, stop, f = longHeader(b)
	if f&indefinite == 0 {
		return tag, start, stop, stop, f
	}
	stop, ok := endOfContents(b[start:])
	if stop += start; !ok {
		return tag, start, stop, stop, f | truncated
	}
	return tag, start, stop, stop + 2, f
}

// longHeader is header without a search for the end of an indefinite length: the content is
// the rest of b.
func longHeader(b []byte) (tag byte, start, stop int, f form) {
	tag, i := b[0], 1
	if tag&0x1f == 0x1f {
		number := 0
		for more := true; more && i < len(b); i++ {
			number = min(number<<7|int(b[i]&0x7f), 0x1f<<7) // larger numbers need not be distinguished
			more = b[i]&0x80 != 0
		}
		if number < 0x1f {
			tag, f = tag&^0x1f|byte(number), longTag
		}
	}
	if i >= len(b) {
		return tag, len(b), len(b), f | truncated
	}
	n := int(b[i])
	i++
	if n >= 0x80 {
		octets := n & 0x7f
		if octets == 0 && tag&constructed != 0 {
			return tag, i, len(b), f | indefinite
		}
		if octets == 0 || octets > len(b)-i {
			return tag, i, len(b), f | truncated
		}
		n = 0
		for _, c := range b[i : i+octets] {
			n = n<<8 | int(c)
			if n > len(b) { // also what keeps n from overflowing
				return tag, i + octets, len(b), f | truncated
			}
		}
		i += octets
		if octets > minOctets(n) {
			f |= longLength
		}
	}
	if n > len(b)-i {
		return tag, i, len(b), f | truncated
	}
	return tag, i, i + n, f
}

// endOfContents finds the end-of-contents octets of an indefinite length whose content begins
// with b. It counts those of nested elements without recursion, so that its time does not
// depend on the depth.
func endOfContents(b []byte) (stop int, ok bool) {
	depth := 1
	for i := 0; i < len(b); {
		if b[i] == 0 && i+1 < len(b) && b[i+1] == 0 {
			if depth--; depth == 0 {
				return i, true
			}
			i += 2
			continue
		}
		_, start, stop, f := longHeader(b[i:])
		switch {
		case f&truncated != 0:
			return len(b), false
		case f&indefinite != 0:
			depth++
			i += start
		default:
			i += stop
		}
	}
	return len(b), false
}

// inside returns the content of the element at the start of b if it has this tag and is not
// truncated, and nil otherwise.
func inside(b []byte, want byte) []byte {
	if len(b) == 0 {
		return nil
	}
	tag, start, stop, _, f := header(b)
	if tag != want || f&truncated != 0 {
		return nil
	}
	return b[start:stop]
}

// tagOf returns the tag of the element at the start of b; 0, which no element has, if there is
// none.
func tagOf(b []byte) byte {
	if len(b) == 0 {
		return 0
	}
	if b[0]&0x1f == 0x1f {
		return longTagOf(b)
	}
	return b[0]
}

//go:noinline
func longTagOf(b []byte) byte { // apart from tagOf, so that that is inlined
	tag, _, _, _ := longHeader(b)
	return tag
}

// whole returns the content of the string with this tag at the start of b, with its parts
// joined; nil if there is none, or a truncated one.
func whole(b []byte, tag byte) []byte {
	if content := inside(b, tag|constructed); content != nil {
		all, _ := joined(content)
		return all
	}
	return inside(b, tag)
}

// appendHeader appends the header of an element with a content of n octets that replaces one
// with the header old. It is the shortest header, as in DER, if old was that. Otherwise it
// keeps the number of length octets, as an encoder that always writes four of them would; it
// keeps an indefinite length, too.
func appendHeader(dst, old []byte, oldLen, n int) []byte {
	tag := len(old) - lengthOctets(old)
	dst = append(dst, old[:tag]...)
	if old[tag] == 0x80 {
		return append(dst, 0x80)
	}
	octets := len(old) - tag - 1 // of the long form; 0 in the short form
	if octets == minOctets(oldLen) {
		octets = minOctets(n)
	}
	if octets == 0 {
		return append(dst, byte(n))
	}
	dst = append(dst, 0x80|byte(octets))
	for i := octets - 1; i >= 0; i-- {
		if i >= 8 {
			dst = append(dst, 0)
			continue
		}
		dst = append(dst, byte(uint64(n)>>(8*i)))
	}
	return dst
}

// lengthOctets returns the number of length octets of a header.
func lengthOctets(header []byte) int {
	i := 1
	if header[0]&0x1f == 0x1f {
		for header[i]&0x80 != 0 {
			i++
		}
		i++
	}
	return len(header) - i
}

// minOctets returns the number of octets after the first in the shortest length of n.
func minOctets(n int) int {
	octets := 0
	if n >= 0x80 {
		for ; n > 0; n >>= 8 {
			octets++
		}
	}
	return octets
}
