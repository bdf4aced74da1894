package inflate

import "math/bits"

// The Huffman codes of a block (RFC 1951 §3.2.6, §3.2.7). A table has an entry for each value
// of the next few bits. A longer code has an entry that leads to a second table, for the bits
// after these.
const (
	maxLiterals  = 288 // of which 286 and 287 never occur
	maxDistances = 32  // of which 30 and 31 never occur
	maxLengths   = 19
	maxBits      = 15 // of a code

	literalBits    = 11
	literalMask    = 1<<literalBits - 1
	literalEntries = 2342 // the most that a complete code needs (zlib's examples/enough.c: 288 11 15)

	distanceBits    = 8
	distanceMask    = 1<<distanceBits - 1
	distanceEntries = 402 // 32 8 15

	lengthBits = 7 // all codes of code lengths
	lengthMask = 1<<lengthBits - 1
)

// An entry says what the next bits of the input are.
//
//	bits 0 to 5: how many bits to consume, with the extra bits after the code
//	bits 8 to 11: how many of them are the code; of a second table, how many bits select an entry
//	bits 12 to 15: the kind; a length or a distance is none of these
//	bits 16 to 31: the literal, the base of the length or distance, or the second table
type entry uint32

const (
	codeShift  = 8
	valueShift = 16

	isLiteral entry = 1 << 12
	isTable   entry = 1 << 13 // and isSpecial
	isEnd     entry = 1 << 14 // and isSpecial
	isSpecial entry = 1 << 15 // alone: no code
)

func (e entry) value() int { return int(e >> valueShift) }

// index returns which entry of the second table the bits select.
func (e entry) index(bits uint64) int { return int(bits & (1<<(e>>codeShift&15) - 1)) }

// extra returns the extra bits after the code.
func (e entry) extra(bits uint64) int {
	return int(bits & (1<<(e&63) - 1) >> (e >> codeShift & 15))
}

// literal returns the entry of a symbol of the first code, but for the length of the code
// (RFC 1951 §3.2.5).
func literal(symbol int) entry {
	switch {
	case symbol < 256:
		return isLiteral | entry(symbol)<<valueShift
	case symbol == 256:
		return isEnd | isSpecial
	case symbol < 265:
		return entry(symbol-254) << valueShift
	case symbol < 285:
		extra := (symbol - 261) / 4
		return entry(3+(4+(symbol-265)%4)<<extra)<<valueShift | entry(extra)
	case symbol == 285:
		return 258 << valueShift
	}
	return isSpecial
}

// distance returns the entry of a symbol of the second code, but for the length of the code.
func distance(symbol int) entry {
	switch {
	case symbol < 4:
		return entry(symbol+1) << valueShift
	case symbol < 30:
		extra := (symbol - 2) / 2
		return entry(1+(2+symbol%2)<<extra)<<valueShift | entry(extra)
	}
	return isSpecial
}

func codeLength(symbol int) entry { return entry(symbol) << valueShift }

// build fills a table of the code with these lengths (RFC 1951 §3.2.2), whose first part is
// for so many bits. It returns false if the code is not complete, unless it has one symbol, or
// none.
func build(table []entry, first uint, lengths []uint8, symbolEntry func(int) entry) bool {
	var count, offset [maxBits + 1]int
	for _, n := range lengths {
		count[n]++
	}
	count[0] = 0
	longest, left, symbols := 0, 1, 0
	for n := 1; n <= maxBits; n++ {
		offset[n] = symbols
		symbols += count[n]
		if left = left<<1 - count[n]; left < 0 {
			return false
		}
		if count[n] > 0 {
			longest = n
		}
	}
	if left > 0 && longest > 1 {
		return false
	}
	var sorted [maxLiterals]uint16 // by the length of the code
	for symbol, n := range lengths {
		if n > 0 {
			sorted[offset[n]] = uint16(symbol)
			offset[n]++
		}
	}

	table[0] = isSpecial
	size := uint(0) // the table is complete for so many bits
	code, next := uint(0), 1<<first
	prefix, second, secondBits := -1, 0, uint(0)
	i := 0
	for n := uint(1); n <= uint(longest); n++ {
		if n <= first {
			copy(table[1<<size:], table[:1<<size]) // what is known of the shorter bits
			size = n
		}
		for ; count[n] > 0; count[n]-- {
			e := symbolEntry(int(sorted[i]))
			e += entry(n) + entry(n)<<codeShift
			i++
			reversed := int(bits.Reverse16(uint16(code)) >> (16 - n))
			code++
			if n <= first {
				table[reversed] = e
				continue
			}
			if p := reversed & (1<<first - 1); p != prefix {
				prefix, second, secondBits = p, next, n-first
				for left := 1 << secondBits; int(secondBits+first) < longest; left <<= 1 {
					if left -= count[secondBits+first]; left <= 0 {
						break
					}
					secondBits++
				}
				next += 1 << secondBits
				table[p] = isTable | isSpecial | entry(second)<<valueShift | entry(secondBits)<<codeShift
			}
			for j := reversed >> first; j < 1<<secondBits; j += 1 << (n - first) {
				table[second+j] = e
			}
		}
		code <<= 1
	}
	for ; size < first; size++ {
		copy(table[1<<size:], table[:1<<size])
	}
	return true
}

// fixed makes the tables of a block with fixed codes (RFC 1951 §3.2.6).
func (d *Decoder) fixed() bool {
	l := d.lengths[:maxLiterals+maxDistances]
	for i := range l {
		switch {
		case i < 144:
			l[i] = 8
		case i < 256:
			l[i] = 9
		case i < 280:
			l[i] = 7
		case i < maxLiterals:
			l[i] = 8
		default:
			l[i] = 5
		}
	}
	return build(d.literals[:], literalBits, l[:maxLiterals], literal) &&
		build(d.distances[:], distanceBits, l[maxLiterals:], distance)
}

// lengthOrder is the order in which the lengths of the codes of code lengths come.
const lengthOrder = "\x10\x11\x12\x00\x08\x07\x09\x06\x0a\x05\x0b\x04\x0c\x03\x0d\x02\x0e\x01\x0f"

// dynamic reads the codes of a block and makes their tables (RFC 1951 §3.2.7).
func (d *Decoder) dynamic() bool {
	literals, distances, lengths := 257+d.take(5), 1+d.take(5), 4+d.take(4)
	if literals > 286 || distances > 30 {
		return false
	}
	var own [maxLengths]uint8
	for i := range lengths {
		if d.n < 3 {
			d.refill()
		}
		own[lengthOrder[i]] = uint8(d.take(3))
	}
	var table [1 << lengthBits]entry
	if !build(table[:], lengthBits, own[:], codeLength) {
		return false
	}
	l := d.lengths[:literals+distances]
	for i := 0; i < len(l); {
		d.refill()
		e := table[d.bits&lengthMask]
		if e&isSpecial != 0 || d.pos > len(d.in)+8 {
			return false
		}
		d.take(uint(e & 63))
		symbol, repeat, value := e.value(), 1, uint8(0)
		switch symbol {
		case 16:
			if i == 0 {
				return false
			}
			repeat, value = 3+d.take(2), l[i-1]
		case 17:
			repeat = 3 + d.take(3)
		case 18:
			repeat = 11 + d.take(7)
		default:
			value = uint8(symbol)
		}
		if repeat > len(l)-i {
			return false
		}
		for ; repeat > 0; repeat-- {
			l[i] = value
			i++
		}
	}
	return build(d.literals[:], literalBits, l[:literals], literal) &&
		build(d.distances[:], distanceBits, l[literals:], distance)
}
