package format

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"ctwatch/pins"
)

func TestDetectFindsEachFormat(t *testing.T) {
	for _, role := range []pins.Role{pins.RoleLeaf, pins.RoleIssuer} {
		for _, f := range All() {
			set := sampleSet(t, role)
			if f.Name == "curl" {
				set.Hosts = set.Hosts[:1]
			}
			data, err := f.Encode(set)
			if r := new(RefusedError); errors.As(err, &r) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			found, rules, err := Detect(data)
			if err != nil || found.Name != f.Name || rules == nil {
				t.Errorf("%s is detected as %q: %v\n%s", f.Name, found.Name, err, data)
			}
		}
	}
}

func TestDetectUsesTheContent(t *testing.T) {
	for name, c := range map[string]struct {
		data string
		want string // a format, with an exclamation mark for an error
	}{
		"Java":                        {`class A { CertificatePinner p = new CertificatePinner.Builder().add("a.test", "` + textA + `").build(); }`, "okhttp"},
		"Approov":                     {`{"a.test": ["` + leafText + `"]}`, "approov"},
		"our hosts":                   {`{"hosts": {"a.test": ["` + textA + `"]}}`, "json"},
		"broken JSON":                 {`{"hosts": `, "json!"},
		"a byte order mark":           {"\uFEFF" + config("<domain-config><domain>a.test</domain>[P]</domain-config>"), "android"},
		"a zone":                      {"; a comment\n_443._tcp.a.test. 3600 IN TLSA 3 1 1 d9dc4e48e79eaf31d8e515f41466e6938421f4a0ad8f5ab50b636dfc9fc89718", "tlsa"},
		"an Android file, damaged":    {"<network-security-config><domain-config>", "android!"},
		"broken before its root":      {"<? ?><network-security-config/>", "android!"},
		"a property list, damaged":    {"<plist><dict><key>NSAppTransportSecurity</key><tru/>", "ios!"},
		"TrustKit's, damaged":         {"<plist><dict><key>TSKConfiguration</key><tru/>", "trustkit!"},
		"broken before the list":      {"<!DOCTYPE html><plist><dict><key>NSAppTransportSecurity</key>", "ios!"},
		"a binary one, damaged":       {"bplist00\x5fNSPinnedDomains", "ios!"},
		"an app that does not pin":    {string(plistDoc("<key>NSAppTransportSecurity</key><dict/>")), "ios!"},
		"TrustKit next to settings":   {string(bytes.Replace(trustKitExample, []byte("<key>CFBundleName</key><string>Shop</string>"), []byte("<key>NSAppTransportSecurity</key><dict/>"), 1)), "trustkit"},
		"another property list":       {string(plistDoc("<key>CFBundleName</key><string>Shop</string>")), ""},
		"another property list, torn": {"bplist00", ""},
		"another XML":                 {"<html/>", ""},
		"not XML":                     {"<", ""},
		"text":                        {"Hello, world", ""},
		"nothing":                     {"", ""},
	} {
		f, rules, err := Detect([]byte(c.data))
		got := f.Name
		if got != "" && err != nil {
			got += "!"
		}
		if got != c.want || (rules == nil) == (err == nil) || got == "" && !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
	}
	if _, _, err := Detect(bytes.Repeat([]byte(" "), MaxSize+1)); err == nil || errors.Is(err, ErrUnknown) {
		t.Errorf("of a file that is too large: %v", err)
	}
}

func FuzzDetect(f *testing.F) {
	for _, form := range All() {
		set := sampleSet(f, pins.RoleLeaf)
		if form.Name == "curl" {
			set.Hosts = set.Hosts[:1]
		}
		data, err := form.Encode(set)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add(iosExample)
	f.Add(trustKitExample)
	f.Fuzz(func(t *testing.T, data []byte) {
		checkDecoded(t, func(data []byte) (pins.Rules, error) {
			_, rules, err := Detect(data)
			return rules, err
		}, data)
	})
}

// A file is read in the format with the given name, or else in the one that it is found to
// be in. Errors about the file begin with its name, and have the line where there is one.
func TestReadFile(t *testing.T) {
	ours := `{"hosts": {"a.test": ["` + textA + `"]}}`
	for name, tt := range map[string]struct {
		data, format string
		want         string // format
		says         string // error
	}{
		"found":                 {data: ours, want: "json"},
		"named":                 {data: ours, format: "json", want: "json"},
		"named otherwise":       {data: ours, format: "curl", want: "curl", says: "app/pins:1:1: want "},
		"no such format":        {data: ours, format: "csv", says: `no pin format is called "csv"; there are android, `},
		"of no known format":    {data: "Hello, world", says: "app/pins: not in a known pin format; want one of android, ios, "},
		"damaged":               {data: "{\"hosts\": {\n \"a.test\": [7]}}", want: "json", says: "app/pins:2:"},
		"its client ignores it": {data: `{"hosts": {}}`, want: "json", says: "app/pins:1:11: no host is named"},
		"without a place":       {data: strings.Repeat(" ", MaxSize+1), format: "json", want: "json", says: "app/pins: "},
	} {
		f, rules, err := ReadFile("app/pins", []byte(tt.data), tt.format)
		if f.Name != tt.want || (rules == nil) != (err != nil) {
			t.Errorf("%s: format %q, rules %v, %v", name, f.Name, rules, err)
		}
		switch {
		case tt.says == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tt.says != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.says)):
			t.Errorf("%s: %v, want %q", name, err, tt.says)
		}
	}
	var client *ClientError
	if _, _, err := ReadFile("app/pins", []byte(`{"hosts": {}}`), ""); !errors.As(err, &client) {
		t.Errorf("an error that is not the client's: %v", err)
	}
	if _, _, err := ReadFile("app/pins", []byte("Hello, world"), ""); !errors.Is(err, ErrUnknown) {
		t.Errorf("of no known format: %v", err)
	}
}
