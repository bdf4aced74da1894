package format

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"ctwatch/pins"
)

// TestNoFormatReadsPinsOfNoKey: whatever form a file has, the SHA-256 of nothing in it
// is an error that says what it is and where.
func TestNoFormatReadsPinsOfNoKey(t *testing.T) {
	good := pinOf(t, textA)
	nothing := pins.FromSPKI(nil)
	set := sampleSet(t, pins.RoleLeaf)
	set.Hosts = set.Hosts[:1]
	for _, f := range All() {
		data, err := f.Encode(set)
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		if _, err := f.Decode(data); err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		bad := bytes.ReplaceAll(data, []byte(base64Of(good)), []byte(base64Of(nothing)))
		bad = bytes.ReplaceAll(bad, []byte(hex.EncodeToString(good[:])), []byte(hex.EncodeToString(nothing[:])))
		bad = bytes.ReplaceAll(bad, []byte(strings.ToUpper(hex.EncodeToString(good[:]))), []byte(hex.EncodeToString(nothing[:])))
		_, err = f.Decode(bad)
		var noKey *pins.NoKeyError
		var at *SyntaxError
		if !errors.As(err, &noKey) || noKey.Pin != nothing || !errors.As(err, &at) || at.Line == 0 {
			t.Errorf("%s: Decode: %v", f.Name, err)
		}

		set := set
		set.Hosts = []pins.HostSet{{Pattern: set.Hosts[0].Pattern, Pins: []pins.Pin{good, nothing}}}
		if data, err := f.Encode(set); !errors.As(err, &noKey) {
			t.Errorf("%s: Encode: %v\n%s", f.Name, err, data)
		}
	}
}
