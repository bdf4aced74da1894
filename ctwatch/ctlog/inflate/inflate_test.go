package inflate_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	kgzip "github.com/klauspost/compress/gzip"

	"ctwatch/ctwatch/ctlog/inflate"
)

const limit = 1 << 20

// check compares a Decoder with compress/gzip, and reports whether it accepts the input. It
// must accept all of what compress/gzip does, if that is one member without optional fields.
func check(t testing.TB, in []byte) bool {
	t.Helper()
	r := bytes.NewReader(in)
	var want []byte
	z, err := gzip.NewReader(r)
	if err == nil {
		z.Multistream(false)
		want, err = io.ReadAll(io.LimitReader(z, limit+1))
	}
	wanted := err == nil && r.Len() == 0 && in[3] == 0 && len(want) <= limit

	var d inflate.Decoder
	for _, state := range []string{"new", "used"} {
		before := bytes.Clone(in)
		room := bytes.Repeat([]byte{0xaa}, len(want)+1000)
		got, ok := d.Gzip(room[:0], in, limit)
		if !bytes.Equal(in, before) {
			t.Fatalf("%s: the input was changed", state)
		}
		if ok != wanted {
			t.Fatalf("%s: accepts it: %v; compress/gzip: %d bytes, %v, %d left", state, ok, len(want), err, r.Len())
		}
		if ok && !bytes.Equal(got, want) {
			t.Fatalf("%s: %d bytes, want %d", state, len(got), len(want))
		}
		d.Gzip(nil, dirty(), limit)
	}
	return wanted
}

// dirty is an input that leaves long codes in all tables.
var dirty = sync.OnceValue(func() []byte {
	var w bitWriter
	r := rand.New(rand.NewPCG(1, 2))
	w.dynamic(true, randomCode(r, 286, 256), randomCode(r, 30, 0))
	return member(w.align().Bytes(), nil)
})

func compressed(t testing.TB, level int, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, level)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// contents are of all kinds that compressors treat in different ways.
func contents() [][]byte {
	r := rand.New(rand.NewPCG(3, 4))
	random := make([]byte, 70000)
	for i := range random {
		random[i] = byte(r.Uint32())
	}
	few := make([]byte, 50000)
	for i := range few {
		few[i] = byte(r.NormFloat64()*8 + 100)
	}
	return [][]byte{
		nil,
		{0},
		[]byte("abc"), bytes.Repeat([]byte{7}, 300000), bytes.Repeat([]byte("ab"), 40000), random, few,
		slices.Concat(random[:33000], random[:33000], few), []byte(strings.Repeat("log entries, ", 5000)),
	}
}

// All levels of two compressors give what is accepted.
func TestCompressors(t *testing.T) {
	for i, c := range contents() {
		for level := gzip.HuffmanOnly; level <= gzip.BestCompression; level++ {
			if !check(t, compressed(t, level, c)) {
				t.Errorf("content %d, level %d: not accepted", i, level)
			}
			var b bytes.Buffer
			w, err := kgzip.NewWriterLevel(&b, level)
			if err != nil {
				t.Fatal(err)
			}
			for part := range slices.Chunk(c, 1+len(c)/3) { // empty stored blocks in between
				if _, err = w.Write(part); err == nil {
					err = w.Flush()
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if !check(t, b.Bytes()) {
				t.Errorf("content %d, level %d of klauspost: not accepted", i, level)
			}
		}
	}
}

// All tiles are accepted.
func TestTiles(t *testing.T) {
	for i, tile := range tiles(t, 2) {
		if !check(t, tile) {
			t.Errorf("tile %d: not accepted", i)
		}
	}
}

// Real tiles are, where there are any.
func TestRealTiles(t *testing.T) {
	found := 0
	_ = filepath.WalkDir("../../../../shared/real", func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		if !bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
			b = compressed(t, gzip.DefaultCompression, b[:min(len(b), limit)])
		}
		found++
		if !check(t, b) {
			t.Errorf("%s: not accepted", path)
		}
		return nil
	})
	if found == 0 {
		t.Skip("no real tiles here")
	}
}

// Random codes up to the longest, and random blocks, intact and with a wrong bit.
func TestRandomBlocks(t *testing.T) {
	accepted := 0
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 5))
		raw := randomDeflated(r)
		content, _ := io.ReadAll(flate.NewReader(bytes.NewReader(raw)))
		if check(t, member(raw, content)) {
			accepted++
		}
		raw[r.IntN(len(raw))] ^= 1 << r.IntN(8)
		content, _ = io.ReadAll(flate.NewReader(bytes.NewReader(raw)))
		check(t, member(raw, content))
	}
	if accepted < 2000 {
		t.Errorf("only %d inputs are valid", accepted)
	}
}

// Each bit of an input counts: the tables, the codes and the trailer.
func TestFlippedBits(t *testing.T) {
	in := compressed(t, 9, []byte(strings.Repeat("log entries, and more of them; ", 9)+"the end"))
	for i := range len(in) * 8 {
		changed := bytes.Clone(in)
		changed[i/8] ^= 1 << (i % 8)
		check(t, changed)
	}
}

// Every part of an input is refused.
func TestTruncated(t *testing.T) {
	for _, c := range contents()[:4] {
		for _, level := range []int{0, 1, 9} {
			in := compressed(t, level, c[:min(len(c), 3000)])
			for i := range in {
				if check(t, in[:i]) {
					t.Fatalf("%d of %d bytes are accepted", i, len(in))
				}
			}
		}
	}
}

// What is odd is left to a complete reader.
func TestRefused(t *testing.T) {
	good := compressed(t, 6, []byte("log entries, log entries"))
	named := bytes.Clone(good)
	named[3] = 8
	named = slices.Insert(named, 10, 'n', 0)
	reserved := bytes.Clone(good)
	reserved[3] = 0x80
	method := bytes.Clone(good)
	method[2] = 7
	crc := bytes.Clone(good)
	crc[len(crc)-8]++
	size := bytes.Clone(good)
	size[len(size)-4]++
	huge := bytes.Clone(good)
	huge[len(huge)-1] = 0xff
	for name, in := range map[string][]byte{
		"empty": nil, "two members": slices.Concat(good, good), "rubbish after it": slices.Concat(good, []byte{1}), "zeros after it": slices.Concat(good, make([]byte, 20)),
		"a name": named, "a reserved flag": reserved, "another method": method, "a wrong checksum": crc, "a wrong size": size, "a huge size": huge,
		"more than the limit": compressed(t, 6, make([]byte, limit+1)), "not gzip": []byte("<!DOCTYPE html><html></html>"),
	} {
		if check(t, in) {
			t.Errorf("%s: accepted", name)
		}
	}
	if !check(t, compressed(t, 6, make([]byte, limit))) {
		t.Error("just the limit: refused")
	}
	var d inflate.Decoder
	if n := testing.AllocsPerRun(10, func() { d.Gzip(nil, huge, 1<<40) }); n != 0 {
		t.Errorf("%v allocations for a size that cannot be", n)
	}
}

// The edges of RFC 1951, written bit by bit. Whether each is valid is what compress/flate says;
// here it says so, too.
func TestRFC1951(t *testing.T) {
	lits, dists := fixedLiterals(), fixedDistances()
	one := make([]uint8, 257) // a code of two symbols
	one[0], one[256] = 1, 1
	long := make([]uint8, 286) // codes of all lengths up to 15
	for i := range 14 {
		long[i] = uint8(i + 1)
	}
	long[256], long[285] = 15, 15
	fixed := func(f func(w *bitWriter)) func(*bitWriter) {
		return func(w *bitWriter) {
			w.head(true, 1)
			f(w)
			w.symbol(lits, 256)
		}
	}
	dynamic := func(literals, distances []uint8, f func(w *bitWriter)) func(*bitWriter) {
		return func(w *bitWriter) {
			w.dynamic(true, literals, distances)
			f(w)
		}
	}
	counts := func(hlit, hdist, hclen uint, lengths ...uint) func(*bitWriter) {
		return func(w *bitWriter) {
			w.head(true, 2)
			w.put(hlit, 5)
			w.put(hdist, 5)
			w.put(hclen, 4)
			for _, l := range lengths {
				w.put(l, 3)
			}
			w.put(0, 64-8)
			w.put(0, 64-8)
		}
	}
	for name, c := range map[string]struct {
		valid bool
		write func(w *bitWriter)
	}{
		"empty fixed block":      {true, fixed(func(*bitWriter) {})},
		"empty stored block":     {true, func(w *bitWriter) { w.head(true, 0); w.align(); w.put(0, 16); w.put(0xffff, 16) }},
		"stored: wrong NLEN":     {false, func(w *bitWriter) { w.head(true, 0); w.align(); w.put(1, 16); w.put(0xffff, 16); w.put(0, 8) }},
		"stored: longer than it": {false, func(w *bitWriter) { w.head(true, 0); w.align(); w.put(9, 16); w.put(9^0xffff, 16); w.put(0, 8) }},
		"block type 3":           {false, func(w *bitWriter) { w.head(true, 3) }},
		"no final block":         {false, func(w *bitWriter) { w.head(false, 1); w.symbol(lits, 256) }},
		"blocks of all kinds": {true, func(w *bitWriter) {
			w.head(false, 1)
			w.symbol(lits, 'a')
			w.symbol(lits, 256)
			w.head(false, 0)
			w.align()
			w.put(1, 16)
			w.put(1^0xffff, 16)
			w.put('b', 8)
			w.dynamic(true, one, []uint8{0})
			w.put(0, 1)
			w.put(1, 1)
		}},
		"length 258 by 285": {true, fixed(func(w *bitWriter) { w.symbol(lits, 'a'); w.symbol(lits, 285); w.symbol(dists, 0) })},
		"length 258 by 284": {true, fixed(func(w *bitWriter) { w.symbol(lits, 'a'); w.symbol(lits, 284); w.put(31, 5); w.symbol(dists, 0) })},
		"symbol 286":        {false, fixed(func(w *bitWriter) { w.symbol(lits, 'a'); w.symbol(lits, 286); w.symbol(dists, 0) })},
		"symbol 287":        {false, fixed(func(w *bitWriter) { w.symbol(lits, 'a'); w.symbol(lits, 287); w.symbol(dists, 0) })},
		"distance 30":       {false, fixed(func(w *bitWriter) { w.symbol(lits, 'a'); w.symbol(lits, 257); w.symbol(dists, 30) })},
		"distance 31":       {false, fixed(func(w *bitWriter) { w.symbol(lits, 'a'); w.symbol(lits, 257); w.symbol(dists, 31) })},
		"distance too far":  {false, fixed(func(w *bitWriter) { w.symbol(lits, 'a'); w.symbol(lits, 257); w.symbol(dists, 1) })},
		"match at first":    {false, fixed(func(w *bitWriter) { w.symbol(lits, 257); w.symbol(dists, 0) })},
		"distance 32768": {true, fixed(func(w *bitWriter) {
			for i := range 32768 {
				w.symbol(lits, i%251)
			}
			w.symbol(lits, 285)
			w.symbol(dists, 29)
			w.put(1<<13-1, 13)
		})},
		"every distance up to 40": {true, fixed(func(w *bitWriter) {
			for i := range 40 {
				w.symbol(lits, i)
			}
			for distance := 1; distance <= 40; distance++ {
				symbol, extra, base := distance-1, uint(0), distance
				for symbol > 3 && extra == 0 || base > distance {
					for s := 4; s < 30; s++ {
						e := uint(s/2 - 1)
						if b := 1 + (2+s%2)<<e; b <= distance && distance < b+1<<e {
							symbol, extra, base = s, e, b
						}
					}
				}
				w.symbol(lits, 284)
				w.put(uint(distance%31), 5)
				w.symbol(dists, symbol)
				w.put(uint(distance-base), extra)
			}
		})},
		"codes of 15 bits": {true, dynamic(long, []uint8{1, 1}, func(w *bitWriter) {
			l := codeOf(long...)
			for i := range 14 {
				w.symbol(l, i)
			}
			w.symbol(l, 285)
			w.put(0, 1)
			w.symbol(l, 256)
		})},
		"one distance code": {true, dynamic(long, []uint8{1}, func(w *bitWriter) {
			l := codeOf(long...)
			w.symbol(l, 0)
			w.symbol(l, 285)
			w.put(0, 1)
			w.symbol(l, 256)
		})},
		"one distance code, not it": {false, dynamic(long, []uint8{1}, func(w *bitWriter) {
			l := codeOf(long...)
			w.symbol(l, 0)
			w.symbol(l, 285)
			w.put(1, 1)
			w.symbol(l, 256)
		})},
		"no distance code":              {true, dynamic(one, []uint8{0}, func(w *bitWriter) { w.put(0, 1); w.put(1, 1) })},
		"no distance code, a match":     {false, dynamic(long, []uint8{0}, func(w *bitWriter) { l := codeOf(long...); w.symbol(l, 0); w.symbol(l, 285); w.put(0, 1) })},
		"one distance code of two bits": {false, dynamic(one, []uint8{2}, func(w *bitWriter) { w.put(0, 1); w.put(1, 1) })},
		"only the end":                  {true, dynamic(append(make([]uint8, 256), 1), []uint8{0}, func(w *bitWriter) { w.put(0, 1) })},
		"no end":                        {false, dynamic(append([]uint8{1, 1}, make([]uint8, 255)...), []uint8{0}, func(w *bitWriter) { w.put(0, 40) })},
		"too many codes":                {false, dynamic(append([]uint8{1, 1}, append(make([]uint8, 254), 1)...), []uint8{0}, func(w *bitWriter) { w.put(0, 40) })},
		"too few codes":                 {false, dynamic(append([]uint8{2, 2}, append(make([]uint8, 254), 2)...), []uint8{0}, func(w *bitWriter) { w.put(0, 40) })},
		"288 literal codes":             {false, counts(31, 0, 15, 1, 1)},
		"32 distance codes":             {false, counts(0, 31, 15, 1, 1)},
		"no code of code lengths":       {false, counts(0, 0, 0)},
		"repeats nothing":               {false, counts(0, 0, 0, 1, 1)},       // 16 is the first symbol
		"repeats too often":             {false, counts(0, 0, 0, 0, 1, 1, 0)}, // 17 and 18, until it is too much
		"too many code lengths":         {false, counts(0, 0, 0, 1, 1, 1, 1)},
		"too few code lengths":          {false, counts(0, 0, 0, 2, 2, 2, 0)},
	} {
		var w bitWriter
		c.write(&w)
		raw := bytes.Clone(w.align().Bytes())
		content, err := io.ReadAll(flate.NewReader(bytes.NewReader(raw)))
		if (err == nil) != c.valid {
			t.Errorf("%s: compress/flate: %v", name, err)
		}
		if check(t, member(raw, content)) != c.valid {
			t.Errorf("%s: accepted: %v", name, !c.valid)
		}
	}
}

// FuzzDeflate fuzzes the blocks, in a member whose size and checksum are right if that is
// possible.
func FuzzDeflate(f *testing.F) {
	for _, c := range contents() {
		for _, level := range []int{-2, 0, 1, 9} {
			in := compressed(f, level, c[:min(len(c), 2000)])
			f.Add(in[10 : len(in)-8])
		}
	}
	for seed := range uint64(20) {
		f.Add(randomDeflated(rand.New(rand.NewPCG(seed, 6))))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		content, _ := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(raw)), limit+1))
		check(t, member(raw, content))
	})
}

// FuzzGzip fuzzes whole inputs.
func FuzzGzip(f *testing.F) {
	for _, c := range contents() {
		f.Add(compressed(f, 6, c[:min(len(c), 2000)]))
	}
	for _, tile := range tiles(f, 1) {
		f.Add(tile)
	}
	f.Fuzz(func(t *testing.T, in []byte) { check(t, in) })
}
