package entry

import "errors"

// The identifier octets that the reading of a certificate looks for.
const (
	tagBoolean     = 0x01
	tagInteger     = 0x02
	tagBitString   = 0x03
	tagOctetString = 0x04
	tagOID         = 0x06
	tagSequence    = 0x30

	tagVersion    = 0xa0 // TBSCertificate: [0] EXPLICIT
	tagExtensions = 0xa3 // TBSCertificate: [3] EXPLICIT

	constructed = 0x20
	class       = 0xc0 // the bits of the class
)

// errTruncated is why an element is not all there. An indefinite length counts as
// one: its end can only be guessed.
var errTruncated = errors.New("an element is longer than what it stands in")

// header reads the identifier and length octets at the start of b, which must not
// be empty. The element's content is b[start:end], and the next element begins at
// end. It accepts what BER does: lengths in more octets than are needed, and tag
// numbers above 30 (of which tag is then only the first octet).
//
// Where an element claims more than there is, or has an indefinite length, ok is
// false and the content is all that is left, so that a caller can read on in what
// there is and report it.
func header(b []byte) (tag byte, start, end int, ok bool) {
	if len(b) >= 2 && b[1] < 0x80 && b[0]&0x1f != 0x1f {
		if end := 2 + int(b[1]); end <= len(b) {
			return b[0], 2, end, true
		}
	}
	return longHeader(b)
}

// longHeader is header for everything but the short form.
func longHeader(b []byte) (tag byte, start, end int, ok bool) {
	tag, i := b[0], 1
	if tag&0x1f == 0x1f {
		for i < len(b) && b[i]&0x80 != 0 {
			i++
		}
		i++ // the tag number's last octet
	}
	if i >= len(b) {
		return tag, len(b), len(b), false
	}
	n := int(b[i])
	i++
	if n >= 0x80 {
		octets := n & 0x7f
		if octets == 0 || octets > len(b)-i {
			return tag, i, len(b), false
		}
		n = 0
		for _, c := range b[i : i+octets] {
			n = n<<8 | int(c)
			if n > len(b) { // also what keeps n from overflowing
				return tag, i + octets, len(b), false
			}
		}
		i += octets
	}
	if n > len(b)-i {
		return tag, i, len(b), false
	}
	return tag, i, i + n, true
}

// inside returns the content of the element at the start of b if it has this tag
// and is all there, and nil otherwise.
func inside(b []byte, want byte) []byte {
	if len(b) == 0 {
		return nil
	}
	tag, start, end, ok := header(b)
	if tag != want || !ok {
		return nil
	}
	return b[start:end]
}

// appendHeader appends the header of an element with a content of n octets that
// replaces one whose header was old. It is the shortest that there is, as DER
// demands, unless the old one was not: then the number of length octets stays, so
// that an encoder which always writes four of them writes the same bytes.
func appendHeader(dst, old []byte, oldLen, n int) []byte {
	tag := len(old) - lengthOctets(old)
	dst = append(dst, old[:tag]...)
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

// lengthOctets counts the octets of a header that give its length.
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

// minOctets counts the octets that follow the first in the shortest length of n.
func minOctets(n int) int {
	octets := 0
	if n >= 0x80 {
		for ; n > 0; n >>= 8 {
			octets++
		}
	}
	return octets
}
