package format

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"howett.net/plist"

	"ctwatch/pins"
)

// asBinary rewrites a property list in binary form.
func asBinary(t testing.TB, data []byte) []byte {
	t.Helper()
	var doc any
	if _, err := plist.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	out, err := plist.Marshal(doc, plist.BinaryFormat)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// everything is what rules say, for comparing.
func everything(rules pins.Rules) map[string]string {
	out := make(map[string]string)
	for _, p := range rules.Patterns() {
		for _, h := range []string{p.Name, "x." + p.Name, "x.y." + p.Name} {
			out[h] = fmt.Sprint(rules.Requirements(h, asOf), rules.Ends(h))
		}
	}
	return out
}

func TestBinaryPropertyListsEqualXML(t *testing.T) {
	for name, c := range map[string]struct {
		f    Format
		data []byte
	}{"ios": {ios(), iosExample}, "trustkit": {trustkit(), trustKitExample}} {
		want, err := c.f.Decode(c.data)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.f.Decode(asBinary(t, c.data))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(everything(want), everything(got)); diff != "" {
			t.Errorf("%s (-XML +binary):\n%s", name, diff)
		}
		byPython, err := program(t, c.data, "python3", "-c", "import plistlib, sys\n"+
			"sys.stdout.buffer.write(plistlib.dumps(plistlib.loads(sys.stdin.buffer.read()), fmt=plistlib.FMT_BINARY))")
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(byPython, []byte("bplist00")) {
			t.Fatal("python3 did not write a binary property list")
		}
		if got, err = c.f.Decode(byPython); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(everything(want), everything(got)); diff != "" {
			t.Errorf("%s by python3 (-XML +binary):\n%s", name, diff)
		}
	}
}

// TestPropertyListsAreValidElsewhere: xmllint and Python read the property lists that are
// written.
func TestPropertyListsAreValidElsewhere(t *testing.T) {
	for _, f := range []Format{ios(), trustkit()} {
		for file, data := range written(t, f) {
			if _, err := program(t, data, "xmllint", "--noout", "--nonet", "-"); err != nil {
				t.Errorf("%s: %s: %v", f.Name, file, err)
			}
			again, err := program(t, data, "python3", "-c", "import plistlib, sys\n"+
				"sys.stdout.buffer.write(plistlib.dumps(plistlib.loads(sys.stdin.buffer.read())))")
			if err != nil {
				t.Errorf("%s: %s: %v", f.Name, file, err)
				continue
			}
			want, err := f.Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			got, err := f.Decode(again)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(everything(want), everything(got)); diff != "" {
				t.Errorf("%s: %s, as python3 writes it (-want +got):\n%s", f.Name, file, diff)
			}
		}
	}
}

func TestBinaryPropertyListErrorsNameKeys(t *testing.T) {
	data := asBinary(t, pinned("<key>a.test</key><dict>[leaf]<array><dict><key>SPKI-SHA256-BASE64</key><string>"+textA+"</string></dict></array></dict>"))
	_, err := decodeIOS(data)
	wantError(t, err, `NSAppTransportSecurity/NSPinnedDomains/a.test/NSPinnedLeafIdentities/0/SPKI-SHA256-BASE64: the pin "sha256/`)
}

// TestMalformedPropertyLists: malformed property lists are refused with the place of the
// error.
func TestMalformedPropertyLists(t *testing.T) {
	for name, c := range map[string]struct{ doc, want string }{
		"a broken element":        {"<plist><dict><key>a</key><tru/></dict></plist>", "1:26: <tru>"},
		"unbalanced":              {"<plist><dict>\n<key>a</key><true/></plist>", "2:28: not XML"},
		"no key":                  {"<plist><dict><true/></dict></plist>", "1:14: <true> without a <key>"},
		"no value":                {"<plist><dict><key>a</key></dict></plist>", `1:8: the key "a" has no value`},
		"two keys":                {"<plist><dict><key>a</key><key>b</key></dict></plist>", `1:26: <key> where`},
		"text":                    {"<plist><dict>a</dict></plist>", "1:14: text in <dict>"},
		"something in a boolean":  {"<plist><dict><key>a</key><true>yes</true></dict></plist>", "1:26: <true>"},
		"no number":               {"<plist><dict><key>a</key><integer>one</integer></dict></plist>", `1:26: "one"`},
		"two values":              {"<plist><dict/><dict/></plist>", "1:1: <plist> holds 2"},
		"none":                    {"<plist/>", "1:1: <plist> holds 0"},
		"another root":            {"<dict/>", "1:1: the root element is <dict>"},
		"a list":                  {"<plist>\n<array/></plist>", "2:1: the property list is an array"},
		"another document type":   {"<!DOCTYPE html><plist><dict/></plist>", "1:1: unexpected document type"},
		"entities":                {`<!DOCTYPE plist [<!ENTITY a "b">]><plist><dict/></plist>`, "1:1: unexpected document type"},
		"deep":                    {"<plist>" + strings.Repeat("<array>", 1e5), "1:701: elements are nested more than 100"},
		"broad":                   {"<plist><array>" + strings.Repeat("<true/>", maxValues+1), "more than 131072 values"},
		"the older form":          {`{ NSAppTransportSecurity = { }; }`, "1:1: text outside"},
		"a short binary one":      {"bplist00", "truncated"},
		"a long key in a message": {"<plist><dict><key>NSPinnedDomains</key><dict><key>" + strings.Repeat("x", 1e6) + "</key><dict/></dict></dict></plist>", "not a host name"},
	} {
		_, err := decodeIOS([]byte(c.doc))
		wantError(t, err, c.want)
		if err != nil && len(err.Error()) > 1000 {
			t.Errorf("%s: a message of %d bytes", name, len(err.Error()))
		}
	}
}

// bplist puts objects together; a reference is the number of an object, in one byte.
func bplist(objects ...[]byte) []byte {
	out := []byte("bplist00")
	var table []byte
	for _, o := range objects {
		table = binary.BigEndian.AppendUint32(table, uint32(len(out)))
		out = append(out, o...)
	}
	trailer := make([]byte, 32)
	trailer[6], trailer[7] = 4, 1
	binary.BigEndian.PutUint64(trailer[8:], uint64(len(objects)))
	binary.BigEndian.PutUint64(trailer[24:], uint64(len(out)))
	return slices.Concat(out, table, trailer)
}

// TestHostileBinaryPropertyLists: hostile binary property lists are refused within
// bounds.
func TestHostileBinaryPropertyLists(t *testing.T) {
	var bomb [][]byte // each array holds the next one fifteen times
	for i := range 60 {
		o := []byte{0xAE}
		for range 14 {
			o = append(o, byte(i+1))
		}
		bomb = append(bomb, o)
	}
	bomb = append(bomb, []byte{0x09})
	dict := func(key, value byte) []byte { return []byte{0xD1, key, value} }
	whole := bplist(dict(1, 2), []byte("\x51a"), []byte{0x09})
	if _, err := parsePlist(whole); err != nil {
		t.Fatal(err)
	}
	edited := func(edit func(trailer []byte)) []byte {
		b := slices.Clone(whole)
		edit(b[len(b)-32:])
		return b
	}
	begin := time.Now()
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"a bomb":                        {bplist(bomb...), "more than 131072 values"},
		"one that holds itself":         {bplist([]byte{0xA1, 0}), "contains itself"},
		"a key that holds itself":       {bplist(dict(0, 0)), "contains itself"},
		"a key that is a number":        {bplist(dict(1, 1), []byte{0x10, 1}), "a key is an integer"},
		"a reference to nothing":        {bplist(dict(1, 9), []byte("\x51a")), "damaged"},
		"an array longer than itself":   {bplist([]byte{0xAF, 0x13, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}), "damaged"},
		"a text longer than the file":   {bplist(dict(1, 1), []byte{0x5F, 0x13, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}), "damaged"},
		"half a text":                   {bplist(dict(1, 1), []byte{0x6F, 0x10, 2, 0, 'a'}), "damaged"},
		"a length that is not a number": {bplist(dict(1, 1), []byte{0x5F, 0x51, 2}), "damaged"},
		"offsets without a size":        {edited(func(b []byte) { b[6] = 0 }), "trailer"},
		"offsets of nine bytes":         {edited(func(b []byte) { b[6] = 9 }), "trailer"},
		"references without a size":     {edited(func(b []byte) { b[7] = 0 }), "trailer"},
		"more objects than there are":   {edited(func(b []byte) { b[8] = 0x80 }), "trailer"},
		"a root that is not there":      {edited(func(b []byte) { b[23] = 7 }), "damaged"},
		"a table beyond the file":       {edited(func(b []byte) { b[24] = 0xFF }), "trailer"},
		"a table in the header":         {edited(func(b []byte) { b[31] = 1 }), "trailer"},
		"another version":               {append([]byte("bplist15"), whole[8:]...), "damaged"},
	} {
		_, err := parsePlist(c.data)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error that says %q", name, err, c.want)
		}
	}
	if took := time.Since(begin); took > 5*time.Minute {
		t.Errorf("it took %v", took)
	}
}

func TestPinsForATSAndTrustKitBothApply(t *testing.T) {
	whole := bytes.TrimSuffix(bytes.TrimSpace(iosExample), []byte("</dict></plist>"))
	_, rest, _ := bytes.Cut(tsk(`<key>both.test</key><dict><key>TSKExpirationDate</key><string>2027-01-01</string>[CD]</dict><key>tsk.test</key><dict>[AB]</dict>`), []byte("<string>Shop</string>"))
	data := slices.Concat(whole, rest)
	for _, f := range []Format{ios(), trustkit()} {
		rules, err := f.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		d := pinOf(t, textA)
		want := []pins.Requirement{
			{At: pins.AtLeaf, Pins: []pins.Pin{d}},
			{At: pins.AtIssuers, Pins: []pins.Pin{pinOf(t, textB)}},
			{At: pins.Anywhere, Pins: []pins.Pin{testPin(1), testPin(2)}, Algorithms: tskAlgorithms()},
		}
		for range 2 { // the first result does not spoil the second
			if diff := cmp.Diff(want, rules.Requirements("both.test", asOf)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", f.Name, diff)
			}
		}
		if got := wanted(t, rules, "tsk.test", "ca.test"); got["tsk.test"] != "AB" || got["ca.test"] != "issuer B" {
			t.Errorf("%s: %v", f.Name, got)
		}
		if got := rules.Ends("both.test"); !got.Equal(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%s: ends at %v", f.Name, got)
		}
		if n := len(rules.Patterns()); n != 7 {
			t.Errorf("%s: speaks of %v", f.Name, rules.Patterns())
		}
	}
	if f, _, err := Detect(data); err != nil || f.Name != "ios" {
		t.Errorf("detected as %q: %v", f.Name, err)
	}
}
