package pack

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// DER encodes a certificate, or what else there is in DER. base is bytes that it shares much
// with, which DecodeDER then needs: the TBSCertificate of it without poison and SCT list
// (RFC 6962 §3.2), or nil. Any bytes are taken: nothing is parsed.
func DER(base, der []byte) []byte {
	if len(der) > maxDER || len(base) > maxDER {
		return plain(der)
	}
	var encoded []byte
	if diff := difference(base, der); diff != nil {
		encoded = compressed(delta1, certificateDictionary(), diff)
	} else {
		encoded = compressed(der1, certificateDictionary(), der)
	}
	return smaller(encoded, der, func(b []byte) ([]byte, error) { return DecodeDER(base, b) })
}

// DecodeDER returns what DER encoded, with the same base. It may share memory with b.
func DecodeDER(base, b []byte) ([]byte, error) {
	if len(b) == 0 {
		return nil, errDamaged
	}
	switch b[0] {
	case Plain:
		return b[1:], nil
	case der1:
		return decompressed(certificateDictionary(), b[1:], maxDER)
	case delta1:
		diff, err := decompressed(certificateDictionary(), b[1:], 2*maxDER)
		if err != nil {
			return nil, err
		}
		return patched(base, diff)
	}
	return nil, unknown(b[0])
}

// A difference is a list of steps: how many octets follow as they are, and how many of the
// base come after them, from where on. The numbers are unsigned varints; the last says how
// far on in the base the copy starts after the end of the one before it. All octets that
// follow are behind the steps, so that they are compressed together:
//
//	number of steps, (octets, skip, copy)*, octets
const (
	maxSteps = 16      // a certificate takes some five
	anchor   = 16      // octets by which the base is found again
	maxSkip  = 80      // octets of the base that may be missing: lengths, or the issuer's name
	maxAhead = 8 << 10 // octets in which it is looked for
)

// difference returns how bytes differ from a base; nil if they have too little in common.
// Its time is proportional to the length, since steps are bounded.
func difference(base, b []byte) []byte {
	type step struct{ octets, skip, copy int }
	var steps []step
	var octets []byte
	at, rest := 0, b // of the base, and of b
	for len(steps) < maxSteps {
		s := step{octets: -1}
		for s.skip = 0; s.skip <= maxSkip && at+s.skip+anchor <= len(base); s.skip++ {
			from := base[at+s.skip:]
			if i := bytes.Index(rest[:min(len(rest), maxAhead)], from[:anchor]); i >= 0 {
				s.octets, s.copy = i, common(from, rest[i:])
				break
			}
		}
		if s.octets < 0 {
			break
		}
		octets = append(octets, rest[:s.octets]...)
		at, rest = at+s.skip+s.copy, rest[s.octets+s.copy:]
		steps = append(steps, s)
	}
	if len(steps) == 0 {
		return nil
	}
	out := binary.AppendUvarint(make([]byte, 0, len(octets)+len(rest)+64), uint64(len(steps)))
	for _, s := range steps {
		out = binary.AppendUvarint(out, uint64(s.octets))
		out = binary.AppendUvarint(out, uint64(s.skip))
		out = binary.AppendUvarint(out, uint64(s.copy))
	}
	return append(append(out, octets...), rest...)
}

// common returns the length of the prefix that two have in common.
func common(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// patched applies a difference to a base.
func patched(base, diff []byte) ([]byte, error) {
	number := func() int {
		n, size := binary.Uvarint(diff)
		if size <= 0 || n > 2*maxDER {
			diff = nil
			return -1
		}
		diff = diff[size:]
		return int(n)
	}
	steps := make([]int, 0, 3*maxSteps)
	n := number()
	if n < 0 || n > maxSteps {
		return nil, errDamaged
	}
	length := 0
	for range 3 * n {
		steps = append(steps, number())
	}
	for s := range slices.Chunk(steps, 3) {
		length += max(s[0], 0) + max(s[2], 0)
	}
	if length > maxDER || len(diff) > maxDER {
		return nil, errDamaged
	}
	out := make([]byte, 0, length+len(diff))
	for s := range slices.Chunk(steps, 3) {
		octets, skip, copied := s[0], s[1], s[2]
		if octets < 0 || octets > len(diff) || skip < 0 || skip > len(base) || copied < 0 || copied > len(base)-skip {
			return nil, errDamaged
		}
		out = append(append(out, diff[:octets]...), base[skip:][:copied]...)
		diff, base = diff[octets:], base[skip+copied:]
	}
	return append(out, diff...), nil
}
