// Package inflate decompresses gzip (RFC 1952) that is in memory as a whole, in about half of
// the time that a reader of streams needs: there is no window to keep besides the output, and
// no state between calls.
//
// It accepts what compressors usually write, and nothing else: one member, no optional header
// fields, and an output of just the size in the trailer. For all other input it gives up, and
// the caller uses a complete reader, whose output or error then counts. So whatever this
// package returns is what compress/gzip returns.
package inflate

import (
	"encoding/binary"
	"hash/crc32"
)

const (
	headerSize  = 10
	trailerSize = 8

	// maxRatio is how many times its size deflated data can be: a match of 258 bytes takes at
	// least two bits.
	maxRatio = 1032

	// slack is how far one round of the loop in block may write past the end: two literals and
	// a match, which is copied in words of eight bytes.
	slack = 2 + 258 + 7
)

// A Decoder decompresses one input after another. Its zero value is ready. It must not be
// used concurrently.
type Decoder struct {
	literals  [literalEntries]entry
	distances [distanceEntries]entry
	lengths   [maxLiterals + maxDistances]uint8

	in   []byte
	pos  int    // of the next byte for bits
	bits uint64 // of the input, from the lowest on
	n    uint   // how many of them there are

	out []byte // with slack
	at  int    // where the next byte goes
	end int    // the size in the trailer
}

// Gzip returns what src decompresses to, in dst if that has room. ok is false if the output
// would be more than limit bytes, or if src is not what this package accepts; dst and its
// content are lost then, too.
func (d *Decoder) Gzip(dst, src []byte, limit int64) (out []byte, ok bool) {
	// ID1, ID2, CM: deflate, FLG: no optional fields (RFC 1952 §2.3).
	if len(src) < headerSize+trailerSize || [4]byte(src) != [4]byte{0x1f, 0x8b, 8, 0} {
		return nil, false
	}
	trailer := src[len(src)-trailerSize:]
	crc, size := binary.LittleEndian.Uint32(trailer), int64(binary.LittleEndian.Uint32(trailer[4:]))
	if size > limit || size > maxRatio*int64(len(src)) {
		return nil, false
	}
	if n := int(size) + slack; cap(dst) < n {
		dst = make([]byte, n+n/8)
	}
	d.in, d.pos, d.bits, d.n = src, headerSize, 0, 0
	d.out, d.at, d.end = dst[:cap(dst)], 0, int(size)
	ok = d.deflated() && d.at == d.end && d.pos-int(d.n/8) == len(src)-trailerSize
	out, d.in, d.out = d.out[:d.end], nil, nil
	if !ok || crc32.ChecksumIEEE(out) != crc {
		return nil, false
	}
	return out, true
}

// deflated decompresses the blocks (RFC 1951 §3.2.3).
func (d *Decoder) deflated() bool {
	for {
		d.refill()
		final, kind := d.take(1) == 1, d.take(2)
		ok := false
		switch kind {
		case 0:
			ok = d.stored()
		case 1:
			ok = d.fixed() && d.block()
		case 2:
			ok = d.dynamic() && d.block()
		}
		if !ok || final {
			return ok
		}
	}
}

// refill fills bits up to at least 56. After the end of the input come zeros; more than are
// needed are never consumed, since pos is compared with the end.
func (d *Decoder) refill() {
	d.bits |= d.word(d.pos) << d.n
	d.pos += int(63-d.n) / 8
	d.n |= 56
}

// word returns eight bytes of the input.
func (d *Decoder) word(pos int) uint64 {
	if pos+8 <= len(d.in) {
		return binary.LittleEndian.Uint64(d.in[pos:])
	}
	return lastWord(d.in, pos)
}

//go:noinline
func lastWord(in []byte, pos int) uint64 {
	var b [8]byte
	if pos < len(in) {
		copy(b[:], in[pos:])
	}
	return binary.LittleEndian.Uint64(b[:])
}

// take consumes n bits, which must be there.
func (d *Decoder) take(n uint) int {
	v := d.bits & (1<<n - 1)
	d.bits >>= n
	d.n -= n
	return int(v)
}

// stored copies a block that is not compressed (RFC 1951 §3.2.4).
func (d *Decoder) stored() bool {
	at := d.pos - int(d.n/8) // the rest of the byte is not used
	if at+4 > len(d.in) {
		return false
	}
	n := int(binary.LittleEndian.Uint16(d.in[at:]))
	inverted := int(binary.LittleEndian.Uint16(d.in[at+2:]))
	if at += 4; n^inverted != 0xffff || n > len(d.in)-at || n > d.end-d.at {
		return false
	}
	copy(d.out[d.at:], d.in[at:at+n])
	d.at += n
	d.pos, d.bits, d.n = at+n, 0, 0
	return true
}

// block decompresses a block by the tables (RFC 1951 §3.2.5). Most of the time of a program
// that reads logs is spent here, so it works on copies in registers.
func (d *Decoder) block() bool {
	in, pos, bits, n := d.in, d.pos, d.bits, d.n
	out, at, end := d.out, d.at, d.end
	literals, distances := &d.literals, &d.distances
	for {
		if pos < 0 || pos > len(in)-8 {
			if pos > len(in) {
				return false
			}
			bits |= lastWord(in, pos) << (n & 63)
		} else { // one load, and one check of bounds
			bits |= (uint64(in[pos]) | uint64(in[pos+1])<<8 | uint64(in[pos+2])<<16 | uint64(in[pos+3])<<24 |
				uint64(in[pos+4])<<32 | uint64(in[pos+5])<<40 | uint64(in[pos+6])<<48 | uint64(in[pos+7])<<56) << (n & 63)
		}
		pos += int(63-n) >> 3
		n |= 56
		if at > end {
			return false
		}
		e := literals[bits&literalMask]
		if e&isLiteral != 0 {
			next := (*[3]byte)(out[at : at+3])
			next[0] = byte(e >> valueShift)
			at++
			bits >>= e & 63
			n -= uint(e & 63)
			if e = literals[bits&literalMask]; e&isLiteral == 0 {
				continue
			}
			next[1] = byte(e >> valueShift)
			at++
			bits >>= e & 63
			n -= uint(e & 63)
			if e = literals[bits&literalMask]; e&isLiteral == 0 {
				continue
			}
			next[2] = byte(e >> valueShift)
			at++
			bits >>= e & 63
			n -= uint(e & 63)
			continue
		}
		if e&isSpecial != 0 {
			if e&isTable != 0 {
				e = literals[e.value()+e.index(bits>>literalBits)]
			}
			switch {
			case e&isLiteral != 0:
				out[at] = byte(e >> valueShift)
				at++
				bits >>= e & 63
				n -= uint(e & 63)
				continue
			case e&isEnd != 0:
				d.pos, d.bits, d.n, d.at = pos, bits>>(e&63), n-uint(e&63), at
				return true
			case e&isSpecial != 0:
				return false
			}
		}
		// A length takes at most 15+5 bits and a distance 15+13: there are enough.
		length := e.value() + e.extra(bits)
		bits >>= e & 63
		n -= uint(e & 63)
		if e = distances[bits&distanceMask]; e&isSpecial != 0 {
			if e&isTable == 0 {
				return false
			}
			if e = distances[e.value()+e.index(bits>>distanceBits)]; e&isSpecial != 0 {
				return false
			}
		}
		distance := e.value() + e.extra(bits)
		bits >>= e & 63
		n -= uint(e & 63)
		if distance > at {
			return false
		}
		from, to := at-distance, at+length
		switch {
		case distance >= length && length > 32:
			copy(out[at:to], out[from:to])
		case distance >= 8:
			for ; at < to; at, from = at+8, from+8 {
				*(*[8]byte)(out[at : at+8]) = *(*[8]byte)(out[from : from+8])
			}
		default:
			for ; at < to; at, from = at+1, from+1 {
				out[at] = out[from]
			}
		}
		at = to
	}
}
