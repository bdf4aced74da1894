package entry_test

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"ctwatch/ctwatch/entry"
)

// allocated returns how many bytes do allocates, freed again or not.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// In fuzzing, inputs of up to 64 KiB must not cost more than this, all in all.
const (
	fuzzInput = 64 << 10
	fuzzAlloc = 16 << 20
)

// checkAllocation runs do, and fails if it allocates too much for a fuzzed input.
func checkAllocation(t *testing.T, input []byte, do func()) {
	t.Helper()
	if n := allocated(do); len(input) <= fuzzInput && n > fuzzAlloc {
		t.Errorf("%d octets made it allocate %d", len(input), n)
	}
}

// hostile are the structures of n octets that are worst to read.
func hostile(n int) map[string][]byte {
	fill := func(unit []byte) []byte { return bytes.Repeat(unit, n/len(unit)) }
	withSubject := func(subject []byte) []byte {
		c := newTemplate(san(dns("a.test")))
		c.subject = subject
		return c.build()
	}
	withExtensions := func(exts []byte) []byte { return newTemplate(exts).build() }
	return map[string][]byte{
		"empty names":             newTemplate(san(fill(dns("")))).build(),
		"short names":             newTemplate(san(fill(dns("a.b")))).build(),
		"names with eight stars":  newTemplate(san(fill(dns("*a*b*c*d*e*f*g*h.test")))).build(),
		"octets that are none":    newTemplate(san(fill(dns("\xff")))).build(),
		"names with NUL":          newTemplate(san(fill(dns("a\x00.\x00")))).build(),
		"names of words":          newTemplate(san(fill(dns("a.b c.d e.f")))).build(),
		"one name":                newTemplate(san(dns(strings.Repeat("a", n)))).build(),
		"one name of dots":        newTemplate(san(dns(strings.Repeat(".", n)))).build(),
		"one name of stars":       newTemplate(san(dns(strings.Repeat("*", n)))).build(),
		"one name of words":       newTemplate(san(dns(strings.Repeat("a.b ", n/4)))).build(),
		"one name of NUL":         newTemplate(san(dns(strings.Repeat("\x00", n)))).build(),
		"one name in parts":       newTemplate(san(der(0xa2, fill(str(0x16, "a."))))).build(),
		"SAN extensions":          withExtensions(fill(san(dns("a.b")))),
		"SAN extensions, empty":   withExtensions(fill(san())),
		"a SAN in parts":          withExtensions(seq(str(6, oidSAN), der(0x24, fill(str(4, "ab"))))),
		"addresses":               newTemplate(san(fill(str(0x87, "1234")))).build(),
		"addresses that are none": newTemplate(san(fill(str(0x87, "12345")))).build(),
		"common names":            withSubject(seq(fill(attr(oidCN, 0x0c, "a.b")))),
		"wide common names":       withSubject(seq(fill(attr(oidCN, 0x1e, "\x00a\x00.\x00b")))),
		"one wide common name":    withSubject(seq(attr(oidCN, 0x1c, strings.Repeat("\x00\x00\x00a", n/4)))),
		"attributes":              withSubject(seq(fill(attr(oidO, 0x0c, "a")))),
		"nested SANs":             fill([]byte("\x06\x03\x55\x1d\x11\x04\x84\x00\xff\xff\xff\x30\x84\x00\xff\xff\xff")),
		"nested sequences":        fill([]byte("\x30\x84\x00\xff\xff\xff")),
		"indefinite lengths":      fill([]byte("\x30\x80")),
		"long tags":               fill([]byte("\x3f\xff\xff\xff\xff")),
		"one long tag":            append([]byte{0x3f}, bytes.Repeat([]byte{0x80}, n)...),
		"names with long tags":    newTemplate(san(fill([]byte("\x9f\x80\x80\x02\x03a.b")))).build(),
		"indefinite, with ends":   append(bytes.Repeat([]byte("\x30\x80"), n/4), make([]byte, n/2)...),
		"indefinite SANs":         withExtensions(fill([]byte("\x30\x80\x06\x03\x55\x1d\x11\x24\x80\x04\x02\x30\x00\x00\x00\x00\x00"))),
		"parts in parts":          newTemplate(san(fill([]byte("\xa2\x80\x24\x80\x04\x03a.b\x00\x00\x00\x00")))).build(),
		"parts without an end":    newTemplate(san(fill([]byte("\xa2\x80\x24\x80")))).build(),
		"NULs":                    make([]byte, n),
		"poison":                  newTemplate(fill(poison)).build(),
		"serial number":           func() []byte { c := newTemplate(); c.serial = der(2, make([]byte, n)); return c.build() }(),
	}
}

// TestTrap41MemoryIsBoundedWhateverTheCertificate: names are visited in next to
// none, and what is described is bounded however much there is.
func TestTrap41MemoryIsBoundedWhateverTheCertificate(t *testing.T) {
	const size = 512 << 10
	for name, tbs := range hostile(size) {
		if n := allocated(func() { _, _ = visitAll(tbs) }); n > 8*size {
			t.Errorf("%s: visiting allocates %d octets for %d", name, n, len(tbs))
		}
		var names, length int
		if n := allocated(func() {
			c := entry.Describe(tbs)
			names = len(c.Names) + len(c.IPAddresses)
			for _, s := range append(append(c.Names, c.IPAddresses...), c.Problems...) {
				length += len(s)
			}
		}); n > 512*size {
			t.Errorf("%s: describing allocates %d octets for %d", name, n, len(tbs))
		}
		if names > 2*entry.MaxNames || length > 5<<20 {
			t.Errorf("%s: described with %d names of %d octets", name, names, length)
		}
	}
}

// TestTrap41WorkGrowsNoFasterThanTheCertificate counts what is visited, for a
// certificate and for one of twice the size.
func TestTrap41WorkGrowsNoFasterThanTheCertificate(t *testing.T) {
	one, two := hostile(1<<16), hostile(1<<17)
	for name := range one {
		n, octets := visitAll(one[name])
		n2, octets2 := visitAll(two[name])
		if n2 > 2*n+16 || octets2 > 2*octets+4096 {
			t.Errorf("%s: %d names with %d octets, and of twice the size %d with %d", name, n, octets, n2, octets2)
		}
	}
}

// TestSmallInputsCostLittle: what fuzzing checks, for what it may not find.
func TestSmallInputsCostLittle(t *testing.T) {
	for name, tbs := range hostile(fuzzInput - 1024) {
		if n := allocated(func() { entry.Describe(tbs) }); n > fuzzAlloc {
			t.Errorf("%s: describing allocates %d octets", name, n)
		}
	}
}

// visitAll counts the names and addresses that are visited, and their octets.
func visitAll(tbs []byte) (n, octets int) {
	count := func(b []byte) { n, octets = n+1, octets+len(b) }
	_ = entry.Visitor{Name: count, IP: count}.Visit(tbs)
	return n, octets
}
