package entry_test

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/entry"
)

func TestPrecertificateAndCertificateHaveOneIdentity(t *testing.T) {
	a, b := san(dns("a.test")), keyUse
	big := ext("\x55\x1d\x20", make([]byte, 300))
	for name, tt := range map[string]struct {
		leaf [][]byte   // what a log's precertificate entry has
		same [][][]byte // all of this identity
	}{
		"usual":           {[][]byte{a, b}, [][][]byte{{poison, a, b}, {a, poison, b}, {a, b, poison}, {sctList, a, b}, {a, sctList, b}, {a, b, sctList}}},
		"both and twice":  {[][]byte{a, b}, [][][]byte{{sctList, a, poison, sctList, b}}},
		"shorter lengths": {[][]byte{big, a}, [][][]byte{{big, a, sctList}, {big, poison, a}}},
		"nothing left":    {nil, [][][]byte{{poison}, {sctList}, {sctList, poison}}},
	} {
		t.Run(name, func(t *testing.T) {
			leaf := newTemplate(tt.leaf...).build()
			id, without, err := entry.Identity(leaf)
			if err != nil || !bytes.Equal(without, leaf) || id != ctwatch.Hash(sha256.Sum256(leaf)) {
				t.Fatalf("of the leaf: %v, %x, %v", id, without, err)
			}
			for i, exts := range tt.same {
				got, without, err := entry.Identity(newTemplate(exts...).build())
				if err != nil || got != id {
					t.Errorf("%d: %v, %v\nhave %x\nwant %x", i, got, err, without, leaf)
				}
			}
		})
	}
}

func TestIdentityKeepsEveryOtherByte(t *testing.T) {
	// A trailing element, trailing bytes, a version in long form, an odd BOOLEAN.
	odd := seq(str(6, oidKeyUse), []byte{1, 1, 0x01}, der(4, []byte{3, 2, 7, 0x80}))
	c := newTemplate(odd, poison)
	c.version = []byte{0xa0, 0x81, 3, 2, 1, 2}
	c.tail = str(4, "more")
	want := newTemplate(odd)
	want.version, want.tail = c.version, c.tail
	_, got, err := entry.Identity(append(c.build(), "trailing"...))
	if err != nil || !bytes.Equal(got, append(want.build(), "trailing"...)) {
		t.Errorf("%v\nhave %x\nwant %x", err, got, want.build())
	}
}

func TestIdentityKeepsTheWidthOfUncommonLengths(t *testing.T) {
	// An encoder that always writes the length of the list in four octets.
	wide := func(exts ...[]byte) []byte {
		c := newTemplate()
		c.exts = nil
		list := bytes.Join(exts, nil)
		n := len(list)
		c.tail = der(0xa3, []byte{0x30, 0x84, 0, 0, byte(n >> 8), byte(n)}, list)
		return c.build()
	}
	_, got, err := entry.Identity(wide(keyUse, sctList))
	if err != nil || !bytes.Equal(got, wide(keyUse)) {
		t.Errorf("%v\nhave %x\nwant %x", err, got, wide(keyUse))
	}
}

func TestIdentityOfTheUnreadableIsThatOfItsBytes(t *testing.T) {
	broken := newTemplate(keyUse, poison).build()
	for name, tbs := range map[string][]byte{
		"empty":       nil,
		"noise":       []byte("noise"),
		"cut short":   broken[:len(broken)-3],
		"poison only": seq(der(0xa3, seq(poison))),
	} {
		id, without, err := entry.Identity(tbs)
		if err == nil || id != ctwatch.Hash(sha256.Sum256(tbs)) || !bytes.Equal(without, tbs) {
			t.Errorf("%s: %v, %x, %v", name, id, without, err)
		}
	}
}

// An OID in another place is no extension.
func TestIdentityLooksOnlyAtExtensions(t *testing.T) {
	c := newTemplate(keyUse)
	c.subject = seq(attr(oidPoison, 0x0c, "x"))
	tbs := c.build()
	if _, without, err := entry.Identity(tbs); err != nil || !bytes.Equal(without, tbs) {
		t.Errorf("%x, %v", without, err)
	}
}

func FuzzIdentity(f *testing.F) {
	f.Add(newTemplate(keyUse, poison).build())
	f.Add(newTemplate(sctList).build())
	f.Add(typical(f))
	for _, tbs := range inBER(f) {
		f.Add(tbs)
	}
	f.Fuzz(func(t *testing.T, tbs []byte) {
		id, without, err := entry.Identity(tbs)
		if id != ctwatch.Hash(sha256.Sum256(without)) || len(without) > len(tbs) {
			t.Errorf("%v is not of %x", id, without)
		}
		if err == nil {
			if again, _, err := entry.Identity(without); err != nil || again != id {
				t.Errorf("of what is left: %v, %v, want %v", again, err, id)
			}
		}
	})
}

func BenchmarkIdentity(b *testing.B) {
	tbs := newTemplate(keyUse, san(dns("a.test")), sctList).build()
	b.ReportAllocs()
	for range b.N {
		if _, _, err := entry.Identity(tbs); err != nil {
			b.Fatal(err)
		}
	}
}

func TestSamePrecertificate(t *testing.T) {
	aki := func(id string) []byte { return ext("\x55\x1d\x23", seq(str(0x80, id))) }
	build := func(issuer string, exts ...[]byte) []byte {
		c := newTemplate(exts...)
		c.issuer = seq(attr(oidCN, 0x0c, issuer))
		return c.build()
	}
	leaf := build("CA", keyUse, aki("one"), san(dns("a.test")))
	for name, tt := range map[string]struct {
		precert []byte
		want    bool
	}{
		"itself":                              {build("CA", keyUse, aki("one"), poison, san(dns("a.test"))), true},
		"of a precertificate signing one":     {build("CA Precert Signing", keyUse, aki("other, and longer"), san(dns("a.test")), poison), true},
		"without an authority key identifier": {build("CA Precert Signing", keyUse, san(dns("a.test")), poison), true},
		"another name":                        {build("CA", keyUse, aki("one"), san(dns("b.test")), poison), false},
		"an extension more":                   {build("CA", keyUse, keyUse, aki("one"), san(dns("a.test")), poison), false},
		"another order":                       {build("CA", san(dns("a.test")), aki("one"), keyUse, poison), false},
		"the issuer's name elsewhere": {func() []byte {
			c := newTemplate(keyUse, aki("one"), san(dns("a.test")), poison)
			c.issuer, c.subject = seq(attr(oidCN, 0x0c, "X")), seq(attr(oidCN, 0x0c, "CA"))
			return c.build()
		}(), false},
		"noise":   {[]byte("noise"), false},
		"nothing": {nil, false},
	} {
		if got := entry.SamePrecertificate(leaf, tt.precert); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	if entry.SamePrecertificate(nil, leaf) || entry.SamePrecertificate([]byte("noise"), []byte("noise")) {
		t.Error("what cannot be read is the same")
	}
}

func FuzzSamePrecertificate(f *testing.F) {
	leaf := newTemplate(keyUse, san(dns("a.test"))).build()
	f.Add(leaf, newTemplate(keyUse, san(dns("a.test")), poison).build())
	f.Add(leaf, []byte("noise"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		checkAllocation(t, append(a[:len(a):len(a)], b...), func() {
			if entry.SamePrecertificate(a, b) != entry.SamePrecertificate(b, a) {
				t.Error("not symmetric")
			}
			if _, _, err := entry.Identity(a); entry.SamePrecertificate(a, a) != (err == nil) {
				t.Error("not the same as itself")
			}
		})
	})
}
