package pins_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"ctwatch/pins"
)

// Parse accepts one spelling of a pin.
func TestParsePin(t *testing.T) {
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

// A pin is the SHA-256 of the SubjectPublicKeyInfo.
func TestFromSPKI(t *testing.T) {
	// SHA-256 of nothing, a value anyone can check with sha256sum.
	const want = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	if got := pins.FromSPKI(nil).String(); got != want {
		t.Errorf("FromSPKI(nil) = %q, want %q", got, want)
	}
}

// Whatever is wrong with its form, the error says what a pin looks like.
func TestParseSaysWhatAPinIs(t *testing.T) {
	for _, s := range []string{"", "abc", "sha256/abc", "sha256/AAAA", "sha1/2dxOSOerezHY5RX0FGbmk4Qh9KCtj1q1C2Nt/J/Ilxg="} {
		if _, err := pins.Parse(s); err == nil || !strings.HasSuffix(err.Error(), "want sha256/ and 44 characters of base64") {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// A pin comes back from JSON.
func TestPinJSON(t *testing.T) {
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

// What a failed pipeline prints is refused as a pin, and the error describes it; the pin of a
// key is accepted.
func TestParseRefusesPinsOfNoKey(t *testing.T) {
	hash := func(s string) pins.Pin { return sha256.Sum256([]byte(s)) }
	counting := pins.Pin{}
	for i := range counting {
		counting[i] = byte(i)
	}
	other := counting
	other[31] = 0
	for pin, says := range map[pins.Pin]string{
		hash(""):                         "SHA-256 of nothing",
		hash("\n"):                       "an empty line",
		hash("\r\n"):                     "an empty line of Windows",
		hash(" "):                        "a space",
		hash("null\n"):                   "jq prints",
		hash(strings.Repeat("\x00", 32)): "32 zero bytes",
		hash(strings.Repeat("\xff", 32)): "32 bytes 0xff",
		hash("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"):                "nothing in it",
		hash("Could not read certificate from <stdin>\nUnable to load certificate\n"): "an error message of openssl",
		{}: "32 zero bytes",
		pins.Pin([]byte(strings.Repeat("\xff", 32))): "32 bytes 0xff",
		counting: "count upwards",
	} {
		text := "sha256/" + base64.StdEncoding.EncodeToString(pin[:])
		_, err := pins.Parse(text)
		var noKey *pins.NoKeyError
		if !errors.As(err, &noKey) || noKey.Pin != pin || !strings.Contains(noKey.What, says) || !strings.Contains(err.Error(), text) {
			t.Errorf("Parse(%q): %v, want %q", text, err, says)
		}
		if pin.Check() == nil {
			t.Errorf("Check says nothing of %s", text)
		}
		if p, err := pins.ParseAny(text); err != nil || p != pin {
			t.Errorf("ParseAny(%q) = %v, %v", text, p, err)
		}
		// What was recorded is read back.
		var p pins.Pin
		if b, err := json.Marshal(pin); err != nil || json.Unmarshal(b, &p) != nil || p != pin {
			t.Errorf("%s came back as %v from JSON", text, p)
		}
	}
	for _, pin := range []pins.Pin{hash("key"), {1}, {31: 1}, other} {
		if err := pin.Check(); err != nil {
			t.Error(err)
		}
	}
}

// A pin of no key that an older database trusts and an app ships is not a backup, is in no
// set, and must not be released.
func TestPinOfNoKeyIsNeverTrusted(t *testing.T) {
	const nothing = ""
	app := &pins.App{
		Name: "shop", Hosts: patterns(t, api), Role: pins.RoleLeaf, MinPins: 2, LeadTime: time.Hour,
		Versions: []pins.Version{ships("1", api, "live", nothing)},
	}
	v := pins.NewView(&pins.Facts{
		Now:    now,
		Keys:   []pins.Key{key(t, "live", pins.StateDeployed, api), key(t, nothing, pins.StateShipped, api)},
		Served: []pins.Served{served(api, days(60), "live", "issuer")},
	})
	if k := v.Trusted(pin(nothing), pins.RoleLeaf, app.Hosts[0]); k != nil {
		t.Errorf("trusted: %+v", k)
	}
	if set, _, err := v.Recommend(app); err == nil {
		t.Errorf("a set was made: %+v", set)
	}
	if p := v.Plan(app)[0]; p.Status != pins.StatusNoBackup || len(p.Add) > 0 {
		t.Errorf("the plan says %s: %s; add %v", p.Status, planData(p), p.Add)
	}
	found := data(v.Check(app, app.Versions[0].Rules).Problems...)
	for _, want := range []string{"SHA-256 of nothing", "Code:file_no_backup"} {
		if !strings.Contains(found, want) {
			t.Errorf("Check finds %s, without %q", found, want)
		}
	}
}
