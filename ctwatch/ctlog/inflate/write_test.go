package inflate_test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/crc32"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// A bitWriter writes deflated data (RFC 1951 §3.1.1), well-formed or not.
type bitWriter struct {
	bytes.Buffer
	bits uint64
	n    uint
}

// put writes the n lowest bits of v, the lowest first.
func (w *bitWriter) put(v, n uint) {
	w.bits |= uint64(v) << w.n
	for w.n += n; w.n >= 8; w.n -= 8 {
		w.WriteByte(byte(w.bits))
		w.bits >>= 8
	}
}

// align fills the last byte.
func (w *bitWriter) align() *bitWriter {
	if w.n > 0 {
		w.put(0, 8-w.n)
	}
	return w
}

// head writes the head of a block.
func (w *bitWriter) head(final bool, kind uint) {
	last := uint(0)
	if final {
		last = 1
	}
	w.put(last|kind<<1, 3)
}

// A code has the code of each symbol, as it is written, and its length.
type code struct {
	bits    []uint
	lengths []uint8
}

// codeOf returns the code with these lengths (RFC 1951 §3.2.2).
func codeOf(lengths ...uint8) code {
	c := code{make([]uint, len(lengths)), lengths}
	next := uint(0)
	for n := uint8(1); n <= 15; n++ {
		for symbol, l := range lengths {
			if l == n {
				c.bits[symbol] = uint(bits.Reverse16(uint16(next)) >> (16 - n))
				next++
			}
		}
		next <<= 1
	}
	return c
}

func (w *bitWriter) symbol(c code, symbol int) { w.put(c.bits[symbol], uint(c.lengths[symbol])) }

// dynamic writes the head of a block with two codes (RFC 1951 §3.2.7). Of the code of their
// lengths, each symbol has five bits, but for the last.
func (w *bitWriter) dynamic(final bool, literals, distances []uint8) {
	w.head(final, 2)
	w.put(uint(len(literals)-257), 5)
	w.put(uint(len(distances)-1), 5)
	w.put(19-4, 4)
	own := codeOf(4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5)
	for _, symbol := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15} {
		w.put(uint(own.lengths[symbol]), 3)
	}
	all := slices.Concat(literals, distances)
	for i := 0; i < len(all); {
		n := 1
		for i+n < len(all) && all[i+n] == all[i] {
			n++
		}
		switch {
		case all[i] == 0 && n >= 11:
			n = min(n, 138)
			w.symbol(own, 18)
			w.put(uint(n-11), 7)
		case all[i] == 0 && n >= 3:
			w.symbol(own, 17)
			w.put(uint(n-3), 3)
		case n >= 4:
			n = min(n, 7)
			w.symbol(own, int(all[i]))
			w.symbol(own, 16)
			w.put(uint(n-4), 2)
		default:
			n = 1
			w.symbol(own, int(all[i]))
		}
		i += n
	}
}

// The lengths of the fixed codes (RFC 1951 §3.2.6).
func fixedLiterals() code {
	return codeOf(slices.Concat(slices.Repeat([]uint8{8}, 144), slices.Repeat([]uint8{9}, 112), slices.Repeat([]uint8{7}, 24), slices.Repeat([]uint8{8}, 8))...)
}

func fixedDistances() code { return codeOf(slices.Repeat([]uint8{5}, 32)...) }

// member puts deflated data into a gzip member (RFC 1952 §2.3).
func member(deflated, content []byte) []byte {
	b := append([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}, deflated...)
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(content))
	return binary.LittleEndian.AppendUint32(b, uint32(len(content)))
}

// randomCode returns the lengths of a complete code with some of n symbols, among them one
// that must be. Skewed codes are as long as they may be.
func randomCode(r *rand.Rand, n, must int) []uint8 {
	lengths := make([]uint8, n)
	leaves := []uint8{1, 1}
	skew := r.IntN(3)
	for range r.IntN(n - 1) {
		i := r.IntN(len(leaves))
		if skew > 0 {
			i = len(leaves) - 1 - r.IntN(min(len(leaves), skew))
		}
		if leaves[i] == 15 {
			continue
		}
		leaves[i]++
		leaves = append(leaves, leaves[i])
	}
	symbols := r.Perm(n)
	slices.SortStableFunc(symbols, func(a, b int) int { // the one comes first
		return cmp.Compare(min(1, max(a, must)-min(a, must)), min(1, max(b, must)-min(b, must)))
	})
	for i, l := range leaves {
		lengths[symbols[i]] = l
	}
	return lengths
}

// randomDeflated returns deflated data of random blocks, and nearly always valid.
func randomDeflated(r *rand.Rand) []byte {
	var w bitWriter
	size := 0
	for blocks := 1 + r.IntN(4); blocks > 0; blocks-- {
		final := blocks == 1
		var lits, dists code
		switch r.IntN(4) {
		case 0:
			n := r.IntN(600)
			w.head(final, 0)
			w.align()
			w.put(uint(n), 16)
			w.put(uint(n)^0xffff, 16)
			for range n {
				w.put(uint(r.IntN(256)), 8)
			}
			size += n
			continue
		case 1:
			w.head(final, 1)
			lits, dists = fixedLiterals(), fixedDistances()
		default:
			lits, dists = codeOf(randomCode(r, 257+r.IntN(30), 256)...), codeOf(randomCode(r, 2+r.IntN(29), 0)...)
			w.dynamic(final, lits.lengths, dists.lengths)
		}
		for range r.IntN(3000) {
			symbol := r.IntN(len(lits.lengths))
			if lits.lengths[symbol] == 0 || symbol == 256 || symbol > 285 {
				continue
			}
			if symbol < 256 {
				w.symbol(lits, symbol)
				size++
				continue
			}
			distance := r.IntN(min(30, len(dists.lengths)))
			extra := max(0, distance/2-1)
			if dists.lengths[distance] == 0 || 3<<extra > size && r.IntN(200) != 0 {
				continue
			}
			w.symbol(lits, symbol)
			n := 0
			if symbol >= 265 && symbol < 285 {
				n = (symbol - 261) / 4
			}
			w.put(uint(r.IntN(1<<n)), uint(n))
			w.symbol(dists, distance)
			w.put(uint(r.IntN(1<<extra)), uint(extra))
			size += 3
		}
		w.symbol(lits, 256)
	}
	return w.align().Bytes()
}
