package entry_test

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ctwatch/ctwatch/entry"

	"github.com/google/go-cmp/cmp"
)

// names collects what Names visits.
func names(tbs []byte) ([]string, error) {
	var out []string
	err := entry.Names(tbs, func(name []byte) { out = append(out, string(name)) })
	return out, err
}

func TestNamesAreReadWhateverTheRestIs(t *testing.T) {
	good := []string{"a.example.com", "b.example.com"}
	sans := san(dns("a.example.com"), dns("b.example.com"))
	for name, change := range map[string]func(*template){
		"ordinary":              func(*template) {},
		"negative serial":       func(c *template) { c.serial = []byte{2, 1, 0x80} },
		"empty serial":          func(c *template) { c.serial = []byte{2, 0} },
		"serial of 2,000 bytes": func(c *template) { c.serial = der(2, make([]byte, 2000)) },
		"serial of a wrong tag": func(c *template) { c.serial = str(0x0c, "one") },
		"no version":            func(c *template) { c.version = nil },
		"version 9":             func(c *template) { c.version = der(0xa0, []byte{2, 1, 9}) },
		"garbage validity":      func(c *template) { c.validity = seq([]byte{0xff, 0xff, 0xff}) },
		"empty validity":        func(c *template) { c.validity = seq() },
		"no validity":           func(c *template) { c.validity = nil },
		"no issuer":             func(c *template) { c.issuer = nil },
		"garbage issuer":        func(c *template) { c.issuer = seq([]byte{0x31, 0x7f, 0x00}) },
		"garbage key":           func(c *template) { c.key = seq([]byte("noise")) },
		"key of a wrong tag":    func(c *template) { c.key = str(0x04, "noise") },
		"unique identifiers":    func(c *template) { c.key = append(slices.Clip(c.key), 0x81, 2, 0, 1, 0x82, 2, 0, 1) },
		"an element too many":   func(c *template) { c.serial = append(slices.Clip(c.serial), 2, 1, 5) },
		"trailing element":      func(c *template) { c.tail = str(0x04, "more") },
		"critical SAN": func(c *template) {
			c.exts[0] = seq(str(0x06, oidSAN), []byte{1, 1, 0xff}, der(4, seq(dns("a.example.com"), dns("b.example.com"))))
		},
		"duplicate SAN": func(c *template) { c.exts = [][]byte{san(dns("a.example.com")), keyUse, san(dns("b.example.com"))} },
		"empty SAN":     func(c *template) { c.exts = [][]byte{ext(oidSAN, nil), san(), sans} },
		"garbage extension": func(c *template) {
			c.exts = [][]byte{seq([]byte{5, 0}), seq(), str(0x04, "x"), sans}
		},
		"two [3]": func(c *template) {
			c.exts = [][]byte{san(dns("a.example.com"))}
			c.tail = der(0xa3, seq(san(dns("b.example.com"))))
		},
		"two lists in [3]": func(c *template) {
			c.exts, c.tail = nil, der(0xa3, seq(san(dns("a.example.com"))), seq(san(dns("b.example.com"))))
		},
		"other names in between": func(c *template) {
			c.exts[0] = san(str(0x81, "me@example.com"), dns("a.example.com"), der(0xa0, str(6, oidCN)), str(0x86, "http://x"), dns("b.example.com"), str(0x87, "1234"))
		},
		"names beside the sequence": func(c *template) { c.exts[0] = ext(oidSAN, append(seq(dns("a.example.com")), dns("b.example.com")...)) },
		"names without a sequence":  func(c *template) { c.exts[0] = ext(oidSAN, append(dns("a.example.com"), dns("b.example.com")...)) },
		"wrong name types":          func(c *template) { c.exts[0] = san(str(0x16, "a.example.com"), der(0xa2, str(0x0c, "b.example.com"))) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newTemplate(sans)
			change(&c)
			got, err := names(c.build())
			if err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(good, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNamesWithLongLengths(t *testing.T) {
	// The lengths of TBSCertificate, [3], the list and the extension in four octets.
	long := func(tag byte, content []byte) []byte {
		n := len(content)
		return append([]byte{tag, 0x84, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, content...)
	}
	c := newTemplate()
	c.exts = nil
	c.tail = long(0xa3, long(0x30, long(0x30, append(long(6, []byte(oidSAN)), long(4, long(0x30, long(0x82, []byte("a.example.com"))))...))))
	tbs := c.build()
	tbs = long(0x30, tbs[bytes.IndexByte(tbs, 0xa0):])
	got, err := names(tbs)
	if diff := cmp.Diff([]string{"a.example.com"}, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func TestCommonNames(t *testing.T) {
	utf16 := func(s string) string { return "\x00" + strings.Join(strings.Split(s, ""), "\x00") }
	utf32 := func(s string) string { return "\x00\x00\x00" + strings.Join(strings.Split(s, ""), "\x00\x00\x00") }
	for name, tt := range map[string]struct {
		subject []byte
		want    []string
	}{
		"UTF8":         {seq(attr(oidCN, 0x0c, "a.test")), []string{"a.test"}},
		"Printable":    {seq(attr(oidCN, 0x13, "*.a.test")), []string{"*.a.test"}},
		"IA5":          {seq(attr(oidCN, 0x16, "a.test")), []string{"a.test"}},
		"T61":          {seq(attr(oidCN, 0x14, "b\xfc.test")), []string{"b\xfc.test"}},
		"BMP":          {seq(attr(oidCN, 0x1e, utf16("a.test"))), []string{"a.test"}},
		"BMP, not BMP": {seq(attr(oidCN, 0x1e, "\x00\xfc\x00.\x00t")), []string{"ü.t"}},
		"Universal":    {seq(attr(oidCN, 0x1c, utf32("a.test"))), []string{"a.test"}},
		"several RDNs": {seq(attr(oidCN, 0x13, "a.test"), attr(oidO, 0x13, "no.test"), attr(oidCN, 0x13, "b.test")), []string{"a.test", "b.test"}},
		"several in one RDN": {
			seq(der(0x31, seq(str(6, oidCN), str(0x13, "a.test")), seq(str(6, oidCN), str(0x13, "b.test")))),
			[]string{"a.test", "b.test"},
		},
		"with NUL":          {seq(attr(oidCN, 0x0c, "a.test\x00 evil")), []string{"a.test\x00 evil"}},
		"with spaces":       {seq(attr(oidCN, 0x0c, " a.test ")), []string{" a.test "}},
		"a URL":             {seq(attr(oidCN, 0x0c, "http://a.test/")), []string{"http://a.test/"}},
		"an organization":   {seq(attr(oidCN, 0x0c, "Example Inc")), nil},
		"a dotted person":   {seq(attr(oidCN, 0x0c, "J. Doe")), nil},
		"a trailing dot":    {seq(attr(oidCN, 0x0c, "Inc.")), nil},
		"an e-mail address": {seq(attr(oidCN, 0x0c, "me@example.com")), nil},
		"a single label":    {seq(attr(oidCN, 0x0c, "localhost")), nil},
		"an IP address":     {seq(attr(oidCN, 0x0c, "192.0.2.1")), nil},
		"empty":             {seq(attr(oidCN, 0x0c, "")), nil},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTemplate(keyUse)
			c.subject = tt.subject
			got, err := names(c.build())
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Error(err, diff)
			}
		})
	}
}

func TestWhatCannotBeReadIsAnErrorAndTheRestIsVisited(t *testing.T) {
	cut := func(b []byte) []byte { return b[:len(b)-4] }
	for name, tt := range map[string]struct {
		tbs  []byte
		want []string
	}{
		"cut short": {cut(newTemplate(san(dns("a.test"), dns("bb.test"))).build()), []string{"a.test", "bb."}},
		"SAN longer than its extension": {
			newTemplate(seq(str(6, oidSAN), []byte{4, 40}, seq(dns("a.test"), dns("b.test"))), keyUse).build(),
			[]string{"a.test", "b.test"},
		},
		"field with a length beyond the end": {
			func() []byte {
				c := newTemplate(san(dns("a.test")))
				c.validity = []byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff}
				return c.build()
			}(),
			[]string{"a.test"},
		},
		"indefinite length": {
			func() []byte {
				b := newTemplate(san(dns("a.test"))).build()
				i := bytes.IndexByte(b, 0xa0)
				return append(append([]byte{0x30, 0x80}, b[i:]...), 0, 0)
			}(),
			[]string{"a.test"},
		},
		"noise around a SAN": {append([]byte("noise"), san(dns("a.test"))...), []string{"a.test"}},
		"SAN no octets":      {newTemplate(seq(str(6, oidSAN), seq(dns("a.test")))).build(), []string{"a.test"}},
		"SAN in parts in parts": {
			newTemplate(seq(str(6, oidSAN), der(0x24, der(0x24, str(4, "\x30\x08\x82\x06a.te"), str(4, "st"))), keyUse), san(dns("b.test"))).build(),
			[]string{"b.test"},
		},
		"odd BMPString": {
			func() []byte {
				c := newTemplate(san(dns("a.test")))
				c.subject = seq(attr(oidCN, 0x1e, "\x00b.\x00c"))
				return c.build()
			}(),
			[]string{"\x00b.\x00c", "a.test"},
		},
		"long BMPString": {
			func() []byte {
				c := newTemplate(san(dns("a.test")))
				c.subject = seq(attr(oidCN, 0x1e, strings.Repeat("\x00b", 100_000)+"\x00.\x00t"))
				return c.build()
			}(),
			[]string{strings.Repeat("b", 1<<15-2) + ".t", "a.test"},
		},
		"empty": {nil, nil},
		"noise": {[]byte("noise"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := names(tt.tbs)
			if err == nil {
				t.Error("no error")
			}
			for _, want := range tt.want {
				if !slices.Contains(got, want) {
					t.Errorf("%q is not in %q", want, got)
				}
			}
		})
	}
}

func TestAddressesAreVisited(t *testing.T) {
	c := newTemplate(san(str(0x87, "\xc0\x00\x02\x01"), dns("192.0.2.2"), dns("2001:db8::3"), dns("a.test")))
	c.subject = seq(attr(oidCN, 0x0c, "192.0.2.4"))
	var got []string
	v := entry.Visitor{IP: func(ip []byte) { got = append(got, net.IP(ip).String()) }}
	if err := v.Visit(c.build()); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"192.0.2.4", "192.0.2.1"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestNamesAllocatesNothing(t *testing.T) {
	tbs := typical(t)
	total := 0
	if n := testing.AllocsPerRun(100, func() {
		_ = entry.Names(tbs, func(name []byte) { total += len(name) })
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Nested so that reading it again from every place would take quadratic time.
func TestHostileStructuresAreReadInLinearTime(t *testing.T) {
	nested := []byte{}
	for range 20_000 {
		nested = append(nested, "\x06\x03\x55\x1d\x11\x04\x84\x00\xff\xff\xff\x30\x84\x00\xff\xff\xff"...)
	}
	many := newTemplate(san(bytes.Repeat(dns("a"), 1<<20)))
	begun := cpu(t)
	_, _ = names(nested)
	_, _ = names(append([]byte{0x30, 0x80}, nested...))
	entry.Describe(nested)
	c := entry.Describe(many.build())
	if took := cpu(t) - begun; took > 20*time.Second {
		t.Errorf("took %v of processor time", took)
	}
	if diff := cmp.Diff([]string{"a"}, c.Names); diff != "" {
		t.Error(diff)
	}
}

func FuzzNames(f *testing.F) {
	f.Add(typical(f))
	for _, tbs := range inBER(f) {
		f.Add(tbs)
	}
	c := newTemplate(san(dns("a.test")), poison)
	c.subject = seq(attr(oidCN, 0x1e, "\x00a"))
	f.Add(c.build())
	f.Add(append([]byte("noise"), san(dns("a.test"))...))
	f.Fuzz(func(t *testing.T, tbs []byte) {
		visited, octets := 0, 0
		v := entry.Visitor{
			Name: func(name []byte) { visited, octets = visited+1, octets+len(name) },
			IP:   func([]byte) {},
		}
		checkAllocation(t, tbs, func() {
			err := v.Visit(tbs)
			if r, ok := err.(entry.Reason); err != nil && (!ok || !slices.Contains(entry.Reasons(), r)) {
				t.Errorf("%v is none of the reasons", err)
			}
		})
		// In the structure once, and in the salvage of what it does not lead to.
		if visited > len(tbs)+2 || octets > 4*len(tbs) {
			t.Errorf("%d names with %d octets from %d octets", visited, octets, len(tbs))
		}
	})
}

func BenchmarkNames(b *testing.B) {
	tbs := typical(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(tbs)))
	n := 0
	for range b.N {
		if err := entry.Names(tbs, func([]byte) { n++ }); err != nil {
			b.Fatal(err)
		}
	}
	if n != 4*b.N {
		b.Fatal(n)
	}
}

func ExampleNames() {
	c := newTemplate(san(dns("Example.com"), dns("*.example.com")))
	err := entry.Names(c.build(), func(name []byte) {
		entry.Candidates(name, func(canonical []byte) { fmt.Printf("%s\n", canonical) })
	})
	fmt.Println(err)
	// Output:
	// example.com
	// *.example.com
	// <nil>
}

// cpu returns the processor time that this process has used, which does not pass faster
// on a busy machine.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
