package pack_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ctwatch/store/pack"
)

// The dictionaries of a version never change: databases are written with them.
func TestDictionariesAreFixed(t *testing.T) {
	for what, test := range map[string]struct {
		content []byte
		want    string
	}{
		"events":       {pack.EventDictionary(), "907794c88adf3305c1f21500a772569c8f0796ec3bc9c3166497b6fb56176def"},
		"certificates": {pack.CertificateDictionary(), "15b6fe6b76da48c7431d6a111638a10008a1ccf4004d3d45f65b338c15196710"},
	} {
		if n := len(test.content); n < 4<<10 || n > 64<<10 {
			t.Errorf("the dictionary of %s has %d bytes", what, n)
		}
		if sum := fmt.Sprintf("%x", sha256.Sum256(test.content)); sum != test.want {
			t.Errorf("the dictionary of %s has the hash %s, want %s: add another instead of changing one", what, sum, test.want)
		}
	}
	b, err := os.ReadFile("logs.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		id, _, _ := strings.Cut(line, " ")
		if key, err := base64.StdEncoding.DecodeString(id); err != nil || len(key) != 32 {
			t.Errorf("log ID %q: %v", id, err)
		}
	}
}

// sameEvent fails unless text is the same after it was encoded. It returns what is stored.
func sameEvent(t rapid.TB, text []byte) []byte {
	t.Helper()
	packed := pack.Event(text)
	again, err := pack.EventJSON(packed)
	if err != nil || !bytes.Equal(again, text) {
		t.Fatalf("%q became %q (%v)", text, again, err)
	}
	if len(packed) > len(text)+1 {
		t.Fatalf("%d bytes take %d", len(text), len(packed))
	}
	return packed
}

// Each kind of event is the same after it was stored, and takes a third at most.
func TestEvents(t *testing.T) {
	for _, e := range samples() {
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []string{"", "1"} { // the dictionary has the first
			text := bytes.ReplaceAll(b, []byte("www.example.com"), []byte("www.example"+n+".com"))
			if packed := sameEvent(t, text); len(packed) > len(text)/3 {
				t.Errorf("%s: %d bytes of JSON take %d", e.Type, len(text), len(packed))
			}
		}
	}
}

// Text that looks like hashes, and nearly does, is the same after it was stored.
func TestEventText(t *testing.T) {
	digits := strings.Repeat("0123456789abcdef", 70)
	for _, text := range []string{
		"", "{}", "=", digits, digits[:15], digits[:16], digits[:17], digits[:510], digits[:511], digits[:512], digits[:513] + "=",
		"ABCDEF0123456789ABCDEF", "abcdef0123456789ABCDEF", "\x00", "a\x01b\x02", "a\n" + digits, "\x7f\xff\xfe",
		strings.Repeat("A", 43) + "=", strings.Repeat("A", 42) + "B=", strings.Repeat("A", 44) + "==", strings.Repeat("=", 100),
		"sha256/" + strings.Repeat("a", 42) + "A=" + digits[:40], strings.Repeat("0", 42) + "A=", strings.Repeat("0", 43) + "=",
		strings.Repeat("x", 1<<20), strings.Repeat("x", 1<<20+1), strings.Repeat(digits[:20]+" ", 20_000),
	} {
		sameEvent(t, []byte(text))
	}
}

func TestEventProperty(t *testing.T) {
	part := rapid.OneOf(
		rapid.String(),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 300), hex.EncodeToString),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 30, 34), base64.StdEncoding.EncodeToString),
		rapid.StringMatching(`[0-9a-f=/+A-F",:]{0,60}`),
	)
	rapid.Check(t, func(t *rapid.T) {
		sameEvent(t, []byte(strings.Join(rapid.SliceOfN(part, 0, 10).Draw(t, "parts"), "")))
	})
}

// sameDER fails unless bytes are the same after they were encoded. It returns what is
// stored.
func sameDER(t rapid.TB, base, der []byte) []byte {
	t.Helper()
	packed := pack.DER(base, der)
	again, err := pack.DecodeDER(base, packed)
	if err != nil || !bytes.Equal(again, der) {
		t.Fatalf("%x with %x became %x (%v)", der, base, again, err)
	}
	if len(packed) > len(der)+1 {
		t.Fatalf("%d bytes take %d", len(der), len(packed))
	}
	return packed
}

// A certificate is the same after it was stored, in each of its forms, and none takes more
// than what is random in it.
func TestCertificates(t *testing.T) {
	for _, i := range issued(t, 50) {
		tbs := i.tbs
		// Serial, key and its hash, the issuer's hash, and names: they are 190 bytes.
		if n := len(sameDER(t, nil, tbs)); n > 400 {
			t.Errorf("a TBSCertificate takes %d bytes", n)
		}
		// The signature.
		if n := len(sameDER(t, tbs, i.pre)); n > 72+40 {
			t.Errorf("a precertificate takes %d bytes", n)
		}
		// The signature and two SCTs.
		if n := len(sameDER(t, tbs, i.final)); n > 72+2*119+60 {
			t.Errorf("a certificate takes %d bytes", n)
		}
	}
}

// Bytes that differ in any way from those that they are compared with are the same after
// they were stored.
func TestDifferenceProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.SliceOfN(rapid.Byte(), 0, 600).Draw(t, "base")
		if rapid.Bool().Draw(t, "repetitive") {
			base = bytes.Repeat([]byte{base2(base)}, len(base))
		}
		der := bytes.Clone(base)
		for range rapid.IntRange(0, 20).Draw(t, "changes") {
			at := rapid.IntRange(0, len(der)).Draw(t, "at")
			cut := rapid.IntRange(0, min(len(der)-at, 100)).Draw(t, "cut")
			der = append(append(der[:at:at], rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "insert")...), der[at+cut:]...)
		}
		sameDER(t, base, der)
	})
}

func base2(b []byte) byte {
	if len(b) == 0 {
		return 0
	}
	return b[0]
}

// What is damaged is an error, or other bytes: it does no harm, and takes no memory beyond
// the bounds.
func TestDamaged(t *testing.T) {
	i := issued(t, 1)[0]
	tbs := i.tbs
	json := eventsOf(t, issued(t, 1))[0]
	event, der, diff := pack.Event(json), pack.DER(nil, tbs), pack.DER(tbs, i.final)
	for _, b := range [][]byte{event, der, diff} {
		for at := range b {
			broken := bytes.Clone(b)
			broken[at] ^= 0x55
			for _, b := range [][]byte{broken, b[:at]} {
				_, _ = pack.EventJSON(b)
				_, _ = pack.DecodeDER(nil, b)
				_, _ = pack.DecodeDER(tbs, b)
			}
		}
	}
	for _, b := range []string{"", "e", "d", "D", "x", "e\xff\xff\xff\xff\x0f", "d\xff\xff\xff\xff\x0f", "D\xff\xff\xff\xff\x0f", "e\x80\x80\x80\x01"} {
		if _, err := pack.EventJSON([]byte(b)); err == nil {
			t.Errorf("event %q: no error", b)
		}
		if _, err := pack.DecodeDER(tbs, []byte(b)); err == nil {
			t.Errorf("DER %q: no error", b)
		}
	}
	if _, err := pack.DecodeDER(nil, diff); err == nil {
		t.Error("a difference without what it differs from: no error")
	}
}

// FuzzDER compares any bytes with any others; and decodes any.
func FuzzDER(f *testing.F) {
	i := issued(f, 1)[0]
	tbs := i.tbs
	f.Add(tbs, i.pre)
	f.Add(tbs, i.final)
	f.Add(tbs, pack.DER(tbs, i.final))
	f.Add([]byte{}, pack.DER(nil, tbs))
	f.Fuzz(func(t *testing.T, base, der []byte) {
		sameDER(t, nil, der)
		sameDER(t, base, der)
		if out, err := pack.DecodeDER(base, der); err == nil && len(out) > 1<<25 {
			t.Errorf("%d bytes", len(out))
		}
	})
}

// FuzzEvent encodes and decodes any text.
func FuzzEvent(f *testing.F) {
	for _, e := range samples() {
		b, err := json.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(pack.Event(b))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		sameEvent(t, b)
		if out, err := pack.EventJSON(b); err == nil && len(out) > 1<<22 {
			t.Errorf("%d bytes", len(out))
		}
	})
}
