package format

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"howett.net/plist"

	"ctwatch/pins"
)

func TestTrustKitWritesTheGoldenFiles(t *testing.T) { checkGolden(t, trustkit()) }

func TestTrustKitReadsWhatItWrites(t *testing.T) { checkClient(t, trustkit(), anywhere, always, 2) }

// tsk is an Info.plist with the inside of TSKPinnedDomains; [AB] and [CD] are pins.
func tsk(s string) []byte {
	hashes := func(list ...string) string {
		return "<key>TSKPublicKeyHashes</key><array><string>" + strings.Join(list, "</string><string>") + "</string></array>"
	}
	return plistDoc("<key>CFBundleName</key><string>Shop</string><key>TSKConfiguration</key><dict><key>TSKSwizzleNetworkDelegates</key><true/>\n<key>TSKPinnedDomains</key><dict>\n" +
		strings.NewReplacer(
			"[AB]", hashes(leafText, caText), "[CD]", hashes(base64Of(testPin(1)), base64Of(testPin(2))),
			"[A]", hashes(leafText), "[AA]", hashes(leafText, leafText),
			"[sub]", "<key>TSKIncludeSubdomains</key>", "[enforce]", "<key>TSKEnforcePinning</key>",
			"[date]", "<key>TSKExpirationDate</key>", "[exclude]", "<key>TSKExcludeSubdomainFromParentPolicy</key>",
		).Replace(s) + "\n</dict></dict>")
}

var trustKitExample = tsk(`<key>example.com</key><dict>[sub]<true/>[AB]</dict>
<key>deep.example.com</key><dict>[sub]<integer>1</integer>[CD]</dict>
<key>out.example.com</key><dict>[exclude]<true/></dict>
<key>report.example.com</key><dict>[enforce]<false/>[A]</dict>
<key>only.test</key><dict>[AB]<key>TSKPublicKeyAlgorithms</key><array><string>TSKAlgorithmRsa2048</string></array></dict>
<key>amazonaws.com</key><dict>[sub]<true/>[AB]</dict>
<key>ends.test</key><dict>[sub]<true/>[date]<string>2027-06-30</string>[AB]</dict>
<key>later.ends.test</key><dict>[sub]<true/>[date]<string>2027-07-31</string>[CD]</dict>`)

func TestTrustKitMatchesLikeTheLibrary(t *testing.T) {
	rules, err := decodeTrustKit(trustKitExample)
	if err != nil {
		t.Fatal(err)
	}
	anyOf := func(ps ...pins.Pin) pins.Requirement {
		return pins.Requirement{At: pins.Anywhere, Pins: ps, Algorithms: tskAlgorithms()}
	}
	ab, cd := anyOf(pinOf(t, textA), pinOf(t, textB)), anyOf(testPin(1), testPin(2))
	for name, want := range map[string][]pins.Requirement{
		"example.com":          {ab},
		"x.example.com":        {ab},
		"x.y.example.com":      {ab},
		"notexample.com":       nil,
		"deep.example.com":     {cd},     // its own entry
		"x.deep.example.com":   {cd, ab}, // either, as the dictionary has it
		"out.example.com":      nil,      // excluded
		"x.out.example.com":    {ab},     // and it alone
		"report.example.com":   nil,      // not enforced
		"only.test":            {ab},
		"x.only.test":          nil,
		"x.amazonaws.com":      {ab},
		"s3.amazonaws.com":     nil, // a public suffix of its own
		"x.s3.amazonaws.com":   nil,
		"later.ends.test":      {cd},
		"x.later.ends.test":    {cd, ab},
		"unrelated.example.eu": nil,
	} {
		if diff := cmp.Diff(want, rules.Requirements(name, asOf)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}

	end := time.Date(2027, 6, 30, 0, 0, 0, 0, time.UTC)
	if len(rules.Requirements("ends.test", end)) == 0 || len(rules.Requirements("ends.test", end.Add(time.Second))) != 0 {
		t.Error("the pins do not end with the beginning of the day in UTC")
	}
	if diff := cmp.Diff([]pins.Requirement{cd}, rules.Requirements("x.later.ends.test", end.Add(time.Second))); diff != "" {
		t.Errorf("while one of two entries is in force (-want +got):\n%s", diff)
	}
	for name, want := range map[string]time.Time{
		"ends.test": end, "x.later.ends.test": end, "later.ends.test": end.AddDate(0, 0, 31), "example.com": {}, "unpinned.test": {},
	} {
		if got := rules.Ends(name); !got.Equal(want) {
			t.Errorf("Ends(%s) = %v, want %v", name, got, want)
		}
	}
}

func TestTrustKitRefusesUnsafeFiles(t *testing.T) {
	entry := func(s string) []byte { return tsk("<key>a.test</key><dict>" + s + "</dict>") }
	const at = "TSKConfiguration/TSKPinnedDomains/a.test"
	hash := func(s string) []byte {
		return entry("<key>TSKPublicKeyHashes</key><array><string>" + s + "</string><string>" + caText + "</string></array>")
	}
	for name, c := range map[string]struct {
		doc  []byte
		want []string
	}{
		"one pin":                    {entry("[A]"), []string{at, "fewer than two distinct pins"}},
		"one pin twice":              {entry("[AA]"), []string{"there are 1"}},
		"no pins":                    {entry(""), []string{"there are 0"}},
		"no pins, and not enforced":  {entry("[enforce]<false/>"), []string{"without pins"}},
		"sha256/ within the base64":  {hash(textA), []string{"6:60:", at + "/TSKPublicKeyHashes/0", `without "sha256/"`}},
		"short base64":               {hash("AAAA"), []string{"44 characters"}},
		"a string for the list":      {entry("<key>TSKPublicKeyHashes</key><string/>"), []string{"should be an array"}},
		"an unreadable date":         {entry("[date]<string>30.06.2027</string>[AB]"), []string{at + "/TSKExpirationDate", "silently ignore it"}},
		"a date that is a date":      {entry("[date]<date>2027-06-30T00:00:00Z</date>[AB]"), []string{"should be a string"}},
		"yes for a boolean":          {entry("[sub]<string>YES</string>[AB]"), []string{"should be a boolean"}},
		"upper case":                 {tsk("<key>A.test</key><dict>[AB]</dict>"), []string{`write "a.test"`}},
		"a wildcard":                 {tsk("<key>*.a.test</key><dict>[AB]</dict>"), []string{"wildcard"}},
		"an address":                 {tsk("<key>192.0.2.1</key><dict>[AB]</dict>"), []string{"public suffix"}},
		"a name of one label":        {tsk("<key>localhost</key><dict>[AB]</dict>"), []string{"public suffix"}},
		"an internal name":           {tsk("<key>api.corp</key><dict>[AB]</dict>"), []string{"public suffix"}},
		"all below a public suffix":  {tsk("<key>co.uk</key><dict>[sub]<true/>[AB]</dict>"), []string{"TSKIncludeSubdomains"}},
		"all below a private suffix": {tsk("<key>github.io</key><dict>[sub]<true/>[AB]</dict>"), []string{"TSKIncludeSubdomains"}},
		"excluded from nothing":      {entry("[exclude]<true/>"), []string{at, "cannot be excluded"}},
		"excluded and more":          {tsk("<key>test.com</key><dict>[sub]<true/>[AB]</dict><key>a.test.com</key><dict>[exclude]<true/>[AB]</dict>"), []string{"no other key"}},
		"no domains":                 {tsk(""), []string{"crashes at launch"}},
		"no pinned domains":          {plistDoc("<key>TSKConfiguration</key><dict/>"), []string{"there is no TSKPinnedDomains"}},
		"an older form":              {plistDoc("<key>TSKConfiguration</key><dict><key>a.test</key><dict/></dict>"), []string{"there is no TSKPinnedDomains"}},
		"nothing of TrustKit":        {plistDoc("<key>CFBundleName</key><string/>"), []string{"there is no TSKPinnedDomains"}},
		"a list for a domain":        {tsk("<key>a.test</key><array/>"), []string{"should be a dictionary"}},
		"a domain twice":             {tsk("<key>a.test</key><dict>[AB]</dict><key>a.test</key><dict>[AB]</dict>"), []string{"twice"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decodeTrustKit(c.doc)
			wantError(t, err, c.want...)
			var bad *SyntaxError
			if name != "nothing of TrustKit" && !errors.As(err, &bad) {
				t.Errorf("%v is no *SyntaxError", err)
			}
		})
	}
}

func TestTrustKitRefusesSetsThatCrash(t *testing.T) {
	one, two := []pins.Pin{testPin(1)}, []pins.Pin{testPin(1), testPin(2)}
	wantRefused(t, trustkit(), leafSet(host(t, "a.test", one)), "a.test", "two pins")
	wantRefused(t, trustkit(), leafSet(host(t, "10.0.0.1", two)), "10.0.0.1", "public suffix")
	wantRefused(t, trustkit(), leafSet(host(t, "api.internal", two)), "api.internal", "public suffix")
	wantRefused(t, trustkit(), leafSet(host(t, "*.a.test", two)), "*.a.test", "individually")
}

func TestTrustKitFilesAreReadSameElsewhere(t *testing.T) {
	for file, data := range written(t, trustkit()) {
		var doc map[string]any
		if _, err := plist.Unmarshal(data, &doc); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		config := doc["TSKConfiguration"].(map[string]any)
		if config["TSKSwizzleNetworkDelegates"] != false {
			t.Errorf("%s swizzles", file)
		}
		want := map[string]any{
			"TSKIncludeSubdomains": false, "TSKEnforcePinning": true, "TSKDisableDefaultReportUri": true,
			"TSKPublicKeyHashes": []any{leafText, caText},
		}
		for name, got := range config["TSKPinnedDomains"].(map[string]any) {
			if name == "api.example.com" && file == "pattern" {
				continue // has other pins
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", file, name, diff)
			}
		}
	}
}

func FuzzTrustKit(f *testing.F) {
	f.Add(trustKitExample)
	f.Add(iosExample)
	f.Fuzz(func(t *testing.T, data []byte) { checkDecoded(t, decodeTrustKit, data) })
}
