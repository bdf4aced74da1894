package format

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/pins"
)

func TestAndroidWritesTheGoldenFiles(t *testing.T) { checkGolden(t, android()) }

func TestAndroidReadsWhatItWrites(t *testing.T) { checkClient(t, android(), anywhere, always, 1) }

func TestAndroidFilesAreValidForXmllint(t *testing.T) {
	validate := []string{"--noout", "--nonet", "--schema", "testdata/android/network-security-config.xsd", "-"}
	for file, data := range written(t, android()) {
		if _, err := program(t, data, "xmllint", validate...); err != nil {
			t.Errorf("%s: %v\n%s", file, err, data)
		}
	}
	wild := config(`<domain-config><domain includeSubdomains="true">*.example.com</domain>[P]</domain-config>`)
	if _, err := program(t, []byte(wild), "xmllint", validate...); err == nil {
		t.Error("the schema lets a wildcard pass, so it proves nothing")
	}
}

// config wraps domain-configs into a document; L, C and P stand for pins.
func config(s string) string {
	return `<?xml version="1.0" encoding="utf-8"?>` + "\n<network-security-config>\n" +
		strings.NewReplacer("[L]", `<pin digest="SHA-256">`+leafText+`</pin>`, "[C]", `<pin digest="SHA-256">`+caText+`</pin>`,
			"[P]", `<pin-set><pin digest="sha-256">`+base64Of(testPin(1))+`</pin></pin-set>`).Replace(s) +
		"\n</network-security-config>\n"
}

func TestAndroidMatchesLikeThePlatform(t *testing.T) {
	rules, err := decodeAndroid([]byte(config(`
  <base-config cleartextTrafficPermitted="false"><trust-anchors><certificates src="system"/></trust-anchors></base-config>
  <domain-config cleartextTrafficPermitted="true"><domain>::1</domain><domain>10.0.2.2</domain></domain-config>
  <domain-config xmlns:tools="http://schemas.android.com/tools" tools:ignore="MissingBackupPin">
    <domain includeSubdomains="true"> Example.COM
    </domain>
    <domain>only.example.net</domain>
    <!-- a comment --> <something-new><pin-set/><domain/></something-new>
    <pin-set><pin digest="SHA-256">
      ` + leafText + `
    </pin><pin digest="SHA-256">` + strings.TrimRight(caText, "=") + `</pin></pin-set>
    <domain-config><domain>inherits.example.net</domain>
      <domain-config><domain includeSubdomains="true">deep.example.com</domain>[P]</domain-config>
    </domain-config>
    <domain-config><domain>bare.example.com</domain><pin-set/></domain-config>
  </domain-config>
  <domain-config><domain>free.example.com</domain></domain-config>
  <debug-overrides><trust-anchors><certificates src="user" overridePins="true"/></trust-anchors><domain/></debug-overrides>`)))
	if err != nil {
		t.Fatal(err)
	}

	both, deep := []pins.Pin{pinOf(t, textA), pinOf(t, textB)}, []pins.Pin{testPin(1)}
	for name, want := range map[string][]pins.Pin{
		"example.com":          both,
		"a.example.com":        both,
		"a.b.example.com":      both,
		"notexample.com":       nil,
		"com":                  nil,
		"only.example.net":     both,
		"x.only.example.net":   nil,
		"example.net":          nil,
		"inherits.example.net": both,
		"deep.example.com":     deep, // replaces its parent's
		"x.deep.example.com":   deep,
		"bare.example.com":     nil, // an empty pin-set
		"x.bare.example.com":   both,
		"free.example.com":     nil, // an entry without pins
		"x.free.example.com":   both,
		"10.0.2.2":             nil,
	} {
		got := pins.AllPins(rules.Requirements(name, asOf))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	var patterns []string
	for _, p := range rules.Patterns() {
		patterns = append(patterns, p.String())
	}
	want := []string{"bare.example.com", ".deep.example.com", ".example.com", "inherits.example.net", "only.example.net"}
	if diff := cmp.Diff(want, patterns); diff != "" {
		t.Errorf("Patterns() (-want +got):\n%s", diff)
	}
}

// TestAndroidPinsExpireInDeviceTimeZone: a pin-set expires when its day begins on the
// device.
func TestAndroidPinsExpireInDeviceTimeZone(t *testing.T) {
	rules, err := decodeAndroid([]byte(config(`<domain-config><domain>a.test</domain><pin-set expiration="2027-06-30">[L]</pin-set></domain-config>`)))
	if err != nil {
		t.Fatal(err)
	}
	last := time.Date(2027, 6, 30, 0, 0, 0, 0, time.FixedZone("", -12*3600))
	if len(rules.Requirements("a.test", last)) == 0 {
		t.Error("unpinned while a device is yet to see the day begin")
	}
	if len(rules.Requirements("a.test", last.Add(time.Millisecond))) != 0 {
		t.Error("pinned after the day has begun everywhere")
	}
	if first := time.Date(2027, 6, 30, 0, 0, 0, 0, time.FixedZone("", 14*3600)); !rules.Ends("a.test").Equal(first) {
		t.Errorf("Ends() = %v, want %v", rules.Ends("a.test"), first)
	}
	if !rules.Ends("b.test").IsZero() {
		t.Error("what is not pinned ends")
	}
}

// TestAndroidRefusesUnsafeFiles: files on which the app would crash, or that would not
// pin, are refused.
func TestAndroidRefusesUnsafeFiles(t *testing.T) {
	pinSet := func(pin string) string {
		return `<domain-config><domain>a.test</domain><pin-set>` + pin + `</pin-set></domain-config>`
	}
	domain := func(d string) string { return `<domain-config>` + d + `<pin-set>[L]</pin-set></domain-config>` }
	for name, c := range map[string]struct {
		doc  string
		want []string
	}{
		"a wildcard of a generator": {config(domain(`<domain includeSubdomains="true">*.example.com</domain>`)), []string{"3:16:", `"*.example.com"`, "wildcard"}},
		"a dot at the end":          {config(domain(`<domain>a.test.</domain>`)), []string{"3:16:", "dot"}},
		"a port":                    {config(domain(`<domain>a.test:443</domain>`)), []string{"3:16:", "port"}},
		"letters beyond ASCII":      {config(domain(`<domain>bücher.test</domain>`)), []string{"xn--bcher-kva.test"}},
		"a domain twice":            {config(domain(`<domain>a.test</domain><domain includeSubdomains="true">A.test</domain>`)), []string{"3:39:", "twice"}},
		"twice in two configs":      {config(domain(`<domain>a.test</domain>`) + "\n" + domain(`<domain> A.TEST </domain>`)), []string{"4:16:", "twice"}},
		"an empty domain":           {config(domain(`<domain/>`)), []string{"3:16:", "without a name"}},
		"an element in a domain":    {config(domain(`<domain>a<b/></domain>`)), []string{"3:25:", "<domain>"}},
		"no domain":                 {config(domain(``)), []string{"3:1:", "without a <domain>"}},
		"includeSubdomains=yes":     {config(domain(`<domain includeSubdomains="yes">a.test</domain>`)), []string{"3:16:", "true or false"}},
		"two pin-sets":              {config(domain(`<domain>a.test</domain><pin-set>[C]</pin-set>`)), []string{"second <pin-set>"}},
		"two trust-anchors":         {config(domain(`<domain>a.test</domain><trust-anchors/><trust-anchors/>`)), []string{"second <trust-anchors>"}},
		"SHA-1":                     {config(pinSet(`<pin digest="SHA-1">AAAA</pin>`)), []string{"3:48:", `"SHA-1"`}},
		"no digest":                 {config(pinSet(`<pin>` + leafText + `</pin>`)), []string{"3:48:", "digest"}},
		"a prefix":                  {config(pinSet(`<pin digest="SHA-256">` + textA + `</pin>`)), []string{`without "sha256/"`}},
		"31 bytes":                  {config(pinSet(`<pin digest="SHA-256">` + strings.Repeat("A", 42) + `==</pin>`)), []string{"44 characters"}},
		"a placeholder":             {config(pinSet(`<pin digest="SHA-256">` + strings.Repeat("A", 43) + `=</pin>`)), []string{"placeholder"}},
		"no base64":                 {config(pinSet(`<pin digest="SHA-256">hello, world</pin>`)), []string{"44 characters"}},
		"an empty pin":              {config(pinSet(`<pin digest="SHA-256"/>`)), []string{"44 characters"}},
		"no such day":               {config(`<domain-config><domain>a.test</domain><pin-set expiration="2027-02-30">[L]</pin-set></domain-config>`), []string{"3:39:"}},
		"a pin-set in base-config":  {config(`<base-config><pin-set>[L]</pin-set></base-config>`), []string{"3:14:", "not allowed in <base-config>"}},
		"a domain in base-config":   {config(`<base-config><domain>a.test</domain></base-config>`), []string{"not allowed in <base-config>"}},
		"two base-configs":          {config(`<base-config/><base-config/>`), []string{"3:15:", "second <base-config>"}},
		"two debug-overrides":       {config(`<debug-overrides/><debug-overrides/>`), []string{"second <debug-overrides>"}},
		"pins overridden": {
			config(domain(`<domain>a.test</domain><trust-anchors><certificates src="user" overridePins="true"/></trust-anchors>`)),
			[]string{"3:54:", "overridePins", "debug-overrides"},
		},
		"an unknown source": {config(domain(`<domain>a.test</domain><trust-anchors><certificates src="web"/></trust-anchors>`)), []string{`"web"`}},
		"another root":      {`<plist/>`, []string{"1:1:", "<plist>", "network-security-config"}},
		"not closed":        {"<network-security-config>\n<domain-config>", []string{"2:16:", "not XML"}},
		"a document type":   {`<!DOCTYPE network-security-config><network-security-config/>`, []string{"1:1:", "document type"}},
		"an entity":         {`<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><network-security-config>&e;</network-security-config>`, []string{"document type"}},
		"an unknown entity": {`<network-security-config>&e;</network-security-config>`, []string{"not XML"}},
		"two roots":         {`<network-security-config/><network-security-config/>`, []string{"1:27:", "second root"}},
		"text at the end":   {`<network-security-config/>x`, []string{"outside"}},
		"an attribute twice": {
			`<network-security-config a="" a=""/>`, []string{"1:1:", "twice"},
		},
		"a late declaration": {"\n" + `<?xml version="1.0"?><network-security-config/>`, []string{"2:1:", "beginning"}},
		"too deep":           {config(strings.Repeat("<a>", 200) + strings.Repeat("</a>", 200)), []string{"nested more than 100 deep"}},
		"nothing":            {"", []string{"no element"}},
		"too large":          {strings.Repeat(" ", MaxSize+1), []string{"bytes"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := android().Decode([]byte(c.doc))
			wantError(t, err, c.want...)
			var bad *SyntaxError
			if name != "too large" && !errors.As(err, &bad) {
				t.Errorf("%v is no *SyntaxError", err)
			}
		})
	}
}

// TestAndroidExpandsOrRefusesPatterns: a pattern is written host by host, or refused
// without known hosts.
func TestAndroidExpandsOrRefusesPatterns(t *testing.T) {
	list := []pins.Pin{testPin(1)}
	wantRefused(t, android(), leafSet(host(t, "*.example.com", list)), "*.example.com", "individually")
	data, err := encodeAndroid(leafSet(host(t, "*.example.com", list, "a.example.com")))
	if err != nil {
		t.Fatal(err)
	}
	if s := string(data); strings.Contains(s, ">*.") || strings.Contains(s, `"true"`) || !strings.Contains(s, "*.example.com is spelled out") {
		t.Errorf("the pattern was not spelled out:\n%s", s)
	}
}

func FuzzAndroid(f *testing.F) {
	f.Add(config(`<domain-config><domain includeSubdomains="true">a.test</domain><pin-set expiration="2027-06-30">[L][C]</pin-set><domain-config><domain>b.a.test</domain>[P]</domain-config></domain-config>`))
	f.Add(config(`<base-config><trust-anchors><certificates src="system"/></trust-anchors></base-config><debug-overrides/>`))
	f.Fuzz(func(t *testing.T, s string) { checkDecoded(t, decodeAndroid, []byte(s)) })
}
