package pins_test

import (
	"encoding/json"
	"strings"
	"testing"

	"ctwatch/pins"
)

func TestParse(t *testing.T) {
	const good = "sha256/2dxOSOerezHY5RX0FGbmk4Qh9KCtj1q1C2Nt/J/Ilxg="
	p, err := pins.Parse(good)
	if err != nil {
		t.Fatal(err)
	}
	if p.String() != good {
		t.Errorf("String() = %q, want %q", p, good)
	}
	for name, s := range map[string]string{
		"no prefix":           strings.TrimPrefix(good, "sha256/"),
		"curl's two slashes":  strings.Replace(good, "/", "//", 1),
		"upper-case prefix":   strings.Replace(good, "sha256", "SHA256", 1),
		"unpadded":            strings.TrimSuffix(good, "="),
		"too short":           "sha256/AAAA",
		"trailing newline":    good + "\n",
		"newline inside":      good[:20] + "\n" + good[20:],
		"set trailing bits":   strings.Replace(good, "xg=", "xh=", 1),
		"URL-safe characters": strings.Replace(good, "/J/", "_J_", 1),
		"empty":               "",
		"only the prefix":     "sha256/",
	} {
		if p, err := pins.Parse(s); err == nil {
			t.Errorf("%s: Parse(%q) = %v, want an error", name, s, p)
		}
	}
}

func TestFromSPKI(t *testing.T) {
	// SHA-256 of nothing, a value anyone can check with sha256sum.
	const want = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	if got := pins.FromSPKI(nil).String(); got != want {
		t.Errorf("FromSPKI(nil) = %q, want %q", got, want)
	}
}

func TestJSON(t *testing.T) {
	type doc struct{ A, B pins.Pin }
	in := doc{A: pins.FromSPKI([]byte("key"))}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out doc
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	if out != in {
		t.Errorf("%s came back as %+v", b, out)
	}
	if err := json.Unmarshal([]byte(`{"A":"sha256/AAAA"}`), &out); err == nil {
		t.Error("a short pin was accepted from JSON")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("sha256/2dxOSOerezHY5RX0FGbmk4Qh9KCtj1q1C2Nt/J/Ilxg=")
	f.Add("sha256/AAAA")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := pins.Parse(s)
		if err == nil && !p.IsZero() && p.String() != s {
			t.Errorf("Parse(%q).String() = %q", s, p)
		}
	})
}
