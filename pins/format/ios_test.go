package format

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"howett.net/plist"

	"ctwatch/pins"
)

func TestIOSWritesTheGoldenFiles(t *testing.T) { checkGolden(t, ios()) }

// inOneEntry reports whether the format can say a pattern: in the entry of the name
// above it, where all names concerned have the same pins.
func inOneEntry(set pins.Set, h pins.HostSet) bool {
	apex := false
	for _, other := range set.Hosts {
		switch {
		case other.Pattern.Reach != pins.Exact:
		case other.Pattern.Name == h.Pattern.Name:
			apex = samePins(other.Pins, h.Pins)
		case h.Pattern.Matches(other.Pattern.Name) && !samePins(other.Pins, h.Pins):
			return false
		}
	}
	return apex
}

func TestIOSReadsWhatItWrites(t *testing.T) {
	at := func(r pins.Role) pins.Position {
		if r == pins.RoleIssuer {
			return pins.AtIssuers
		}
		return pins.AtLeaf
	}
	spells := func(set pins.Set, h pins.HostSet) bool {
		return h.Pattern.Reach == pins.OneBelow && !inOneEntry(set, h)
	}
	checkClient(t, ios(), at, spells, 1)
}

// plistDoc wraps the inside of the root dictionary into a document; [L] and [C] are
// lists with one pin.
func plistDoc(s string) []byte {
	list := func(pin string) string {
		return "<array><dict><key>SPKI-SHA256-BASE64</key><string>" + pin + "</string></dict></array>"
	}
	return []byte(plistHead + "<plist version=\"1.0\"><dict>\n" + strings.NewReplacer(
		"[L]", list(leafText), "[C]", list(caText), "[D]", list(base64Of(testPin(1))),
		"[leaf]", "<key>NSPinnedLeafIdentities</key>", "[ca]", "<key>NSPinnedCAIdentities</key>",
		"[sub]", "<key>NSIncludesSubdomains</key>",
	).Replace(s) + "\n</dict></plist>\n")
}

// pinned is a whole Info.plist with the inside of NSPinnedDomains.
func pinned(s string) []byte {
	return plistDoc(`<key>CFBundleName</key><string>Shop</string><key>NSAppTransportSecurity</key><dict><key>NSAllowsArbitraryLoads</key><false/>
<key>NSPinnedDomains</key><dict>
` + s + `
</dict></dict><key>UIDeviceFamily</key><array><integer>1</integer><real>2</real><date>2026-01-01T00:00:00Z</date><data>AAAA</data></array>`)
}

var iosExample = pinned(`<key>example.com</key><dict>[sub]<true/>[leaf][L]</dict>
<key>api.example.com</key><dict>[leaf][D]</dict>
<key>ca.example.com</key><dict>[ca][C]</dict>
<key>both.test</key><dict>[leaf][L][ca][C]</dict>
<key>ca.test</key><dict>[sub]<false/>[ca]<array><dict><key>SPKI-SHA256-BASE64</key><string>` + caText + `</string><key>Owner</key><string>a CA</string></dict></array></dict>`)

func TestIOSMatchesLikeThePlatform(t *testing.T) {
	rules, err := decodeIOS(iosExample)
	if err != nil {
		t.Fatal(err)
	}
	a, b, d := pinOf(t, textA), pinOf(t, textB), testPin(1)
	leaf := func(ps ...pins.Pin) pins.Requirement { return pins.Requirement{At: pins.AtLeaf, Pins: ps} }
	ca := func(ps ...pins.Pin) pins.Requirement { return pins.Requirement{At: pins.AtIssuers, Pins: ps} }
	for name, want := range map[string][]pins.Requirement{
		"example.com":       {leaf(a)},
		"x.example.com":     {leaf(a)},
		"x.y.example.com":   nil, // one level only
		"notexample.com":    nil,
		"com":               nil,
		"api.example.com":   {leaf(d, a)},     // united with the entry above
		"ca.example.com":    {leaf(a), ca(b)}, // so that both have to match
		"x.api.example.com": nil,
		"both.test":         {leaf(a), ca(b)},
		"x.both.test":       nil,
		"ca.test":           {ca(b)},
		"x.ca.test":         nil,
	} {
		if diff := cmp.Diff(want, rules.Requirements(name, asOf)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for name, c := range map[string]struct {
		host  string
		chain []pins.Pin
		want  bool
	}{
		"the leaf":                            {"example.com", []pins.Pin{a, d}, true},
		"a leaf's pin further up":             {"example.com", []pins.Pin{d, a}, false},
		"a CA's pin at the leaf":              {"ca.test", []pins.Pin{b, d}, false},
		"a CA's pin at the root":              {"ca.test", []pins.Pin{a, d, b}, true},
		"a CA is not a backup of a leaf":      {"both.test", []pins.Pin{d, b}, false},
		"a leaf is not a backup of a CA":      {"both.test", []pins.Pin{a, d}, false},
		"both":                                {"both.test", []pins.Pin{a, b}, true},
		"an unpinned host takes what it gets": {"x.both.test", []pins.Pin{d}, true},
	} {
		if got := pins.Accepts(rules.Requirements(c.host, asOf), pins.Chain{Pins: c.chain}); got != c.want {
			t.Errorf("%s: accepted %v, want %v", name, got, c.want)
		}
	}
	var patterns []string
	for _, p := range rules.Patterns() {
		patterns = append(patterns, p.String())
		if !rules.Ends(p.Name).IsZero() {
			t.Errorf("%s ends", p)
		}
	}
	want := []string{"api.example.com", "both.test", "ca.example.com", "ca.test", "example.com", "*.example.com"}
	if diff := cmp.Diff(want, patterns); diff != "" {
		t.Errorf("Patterns() (-want +got):\n%s", diff)
	}
}

func TestIOSReadsDictionaryAlone(t *testing.T) {
	for name, doc := range map[string][]byte{
		"of App Transport Security": plistDoc(`<key>NSExceptionDomains</key><dict/><key>NSPinnedDomains</key><dict><key>a.test</key><dict>[leaf][L]</dict></dict>`),
		"of pinned domains":         plistDoc(`<key>NSPinnedDomains</key><dict><key>a.test</key><dict>[leaf][L]</dict></dict>`),
	} {
		rules, err := decodeIOS(doc)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := wanted(t, rules, "a.test")["a.test"]; got != "leaf A" {
			t.Errorf("%s: asks for %q", name, got)
		}
	}
}

func TestIOSRefusesWhatThePlatformDrops(t *testing.T) {
	entry := func(s string) []byte { return pinned("<key>a.test</key><dict>" + s + "</dict>") }
	list := func(s string) []byte { return entry("[leaf]<array>" + s + "</array>") }
	spki := func(s string) []byte {
		return list("<dict><key>SPKI-SHA256-BASE64</key><string>" + s + "</string></dict>")
	}
	const at = "NSAppTransportSecurity/NSPinnedDomains/a.test"
	for name, c := range map[string]struct {
		doc  []byte
		want []string
	}{
		"sha256/ within the base64":     {spki(textA), []string{"6:99:", at + "/NSPinnedLeafIdentities/0/SPKI-SHA256-BASE64", `without "sha256/"`}},
		"short base64":                  {spki("AAAA"), []string{"6:99:", "44 characters"}},
		"white space in base64":         {spki("\n" + leafText), []string{"44 characters"}},
		"a placeholder":                 {spki(strings.Repeat("A", 43) + "="), []string{"placeholder"}},
		"data for a string":             {list("<dict><key>SPKI-SHA256-BASE64</key><data>" + leafText + "</data></dict>"), []string{"should be a string"}},
		"strings for dictionaries":      {list("<string>" + leafText + "</string>"), []string{at + "/NSPinnedLeafIdentities/0", "should be a dictionary"}},
		"another key":                   {list("<dict><key>SPKI-SHA256</key><string>" + leafText + "</string></dict>"), []string{"there is no SPKI-SHA256-BASE64"}},
		"an empty list":                 {list(""), []string{at + "/NSPinnedLeafIdentities", "empty"}},
		"an empty list next to another": {entry("[leaf][L][ca]<array/>"), []string{at + "/NSPinnedCAIdentities", "empty"}},
		"a dictionary for the list":     {entry("[leaf]<dict/>"), []string{"should be an array"}},
		"neither list":                  {entry("[sub]<true/>"), []string{at, "neither"}},
		"yes for a boolean":             {entry("[sub]<string>YES</string>[leaf][L]"), []string{at + "/NSIncludesSubdomains", "should be a boolean"}},
		"1 for a boolean":               {entry("[sub]<integer>1</integer>[leaf][L]"), []string{"is an integer, and should be a boolean"}},
		"a list for an entry":           {pinned("<key>a.test</key>[L]"), []string{"should be a dictionary"}},
		"upper case":                    {pinned("<key>A.test</key><dict>[leaf][L]</dict>"), []string{`write "a.test"`}},
		"a wildcard":                    {pinned("<key>*.a.test</key><dict>[leaf][L]</dict>"), []string{"6:20:", "wildcard"}},
		"a port":                        {pinned("<key>a.test:443</key><dict>[leaf][L]</dict>"), []string{"port"}},
		"a dot at the end":              {pinned("<key>a.test.</key><dict>[leaf][L]</dict>"), []string{"dot"}},
		"no domains":                    {pinned(""), []string{"there are no domains"}},
		"a domain twice":                {pinned("<key>a.test</key><dict>[leaf][L]</dict><key>a.test</key><dict>[leaf][C]</dict>"), []string{at, "twice"}},
		"a list twice":                  {entry("[leaf][L][leaf][C]"), []string{at + "/NSPinnedLeafIdentities", "twice"}},
		"no pinned domains":             {plistDoc("<key>NSAppTransportSecurity</key><dict/>"), []string{"no NSPinnedDomains"}},
		"settings twice":                {plistDoc("<key>NSAppTransportSecurity</key><dict/><key>NSAppTransportSecurity</key><dict/>"), []string{"twice"}},
		"settings that are a list":      {plistDoc("<key>NSAppTransportSecurity</key><array/>"), []string{"should be a dictionary"}},
		"pins within the exceptions of a generator": {
			plistDoc("<key>NSAppTransportSecurity</key><dict><key>NSExceptionDomains</key><dict><key>NSPinnedDomains</key><dict><key>a.test</key><dict>[leaf][L]</dict></dict></dict></dict>"),
			[]string{"NSAppTransportSecurity/NSExceptionDomains/NSPinnedDomains", "apps ignore"},
		},
		"pinned domains within an exception": {
			plistDoc("<key>NSAppTransportSecurity</key><dict><key>NSExceptionDomains</key><dict><key>a.test</key><dict><key>NSPinnedDomains</key><dict/></dict></dict></dict>"),
			[]string{"NSExceptionDomains/a.test/NSPinnedDomains", "apps ignore"},
		},
		"a list within an exception": {
			plistDoc("<key>NSAppTransportSecurity</key><dict><key>NSExceptionDomains</key><dict><key>a.test</key><dict>[leaf][L]</dict></dict><key>NSPinnedDomains</key><dict><key>a.test</key><dict>[leaf][L]</dict></dict></dict>"),
			[]string{"NSExceptionDomains/a.test/NSPinnedLeafIdentities", "apps ignore"},
		},
		"pinned domains next to the settings": {
			plistDoc("<key>NSPinnedDomains</key><dict><key>a.test</key><dict>[leaf][L]</dict></dict><key>NSAppTransportSecurity</key><dict/>"),
			[]string{"NSPinnedDomains", "belongs in NSAppTransportSecurity"},
		},
		"pinned domains at the root of an Info.plist": {
			plistDoc("<key>CFBundleName</key><string/><key>NSPinnedDomains</key><dict><key>a.test</key><dict>[leaf][L]</dict></dict>"),
			[]string{"belongs in NSAppTransportSecurity"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decodeIOS(c.doc)
			wantError(t, err, c.want...)
			var bad *SyntaxError
			if name != "no pinned domains" && !errors.As(err, &bad) {
				t.Errorf("%v is no *SyntaxError", err)
			}
		})
	}
}

// TestIOSListsPinsByRole: leaf pins are not in the list of CAs, where they never match.
func TestIOSListsPinsByRole(t *testing.T) {
	for file, data := range written(t, ios()) {
		leaf, ca := strings.Contains(string(data), leafKey), strings.Contains(string(data), caKey)
		if issuer := file == "issuer"; leaf == issuer || ca != issuer {
			t.Errorf("%s has a leaf list %v, and a CA list %v", file, leaf, ca)
		}
	}
}

// TestIOSWritesOneLevelOnlyIfSafe: subdomains are included only if no other host gets
// pins by that.
func TestIOSWritesOneLevelOnlyIfSafe(t *testing.T) {
	one, two := []pins.Pin{testPin(1)}, []pins.Pin{testPin(2)}
	below := host(t, "*.h.test", one)
	for name, c := range map[string]struct {
		set  pins.Set
		want bool
	}{
		"the name above has the same pins": {leafSet(below, host(t, "h.test", one)), true},
		"and so has a host below":          {leafSet(below, host(t, "a.h.test", one), host(t, "h.test", one)), true},
		"the name above is not pinned":     {leafSet(below), false},
		"the name above has other pins":    {leafSet(below, host(t, "h.test", two)), false},
		"a host below has other pins":      {leafSet(below, host(t, "a.h.test", two), host(t, "h.test", one)), false},
	} {
		data, err := encodeIOS(c.set)
		if !c.want {
			wantRefused(t, ios(), c.set, "*.h.test", "individually")
		} else if err != nil || !strings.Contains(string(data), "<true/>") {
			t.Errorf("%s: %v\n%s", name, err, data)
		}
	}
}

// identities is the type of NSPinnedDomains, for another reader.
type identities map[string]struct {
	NSIncludesSubdomains   bool
	NSPinnedLeafIdentities []map[string]string
	NSPinnedCAIdentities   []map[string]string
}

func TestIOSFilesAreReadTheSameElsewhere(t *testing.T) {
	for file, data := range written(t, ios()) {
		var doc struct {
			NSAppTransportSecurity struct{ NSPinnedDomains identities }
		}
		if _, err := plist.Unmarshal(data, &doc); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		domains := doc.NSAppTransportSecurity.NSPinnedDomains
		for _, h := range goldenSets(t)[file].Hosts {
			d, ok := domains[h.Pattern.Name]
			if h.Pattern.Reach != pins.Exact {
				continue
			}
			var got []string
			for _, m := range slices.Concat(d.NSPinnedLeafIdentities, d.NSPinnedCAIdentities) {
				got = append(got, m["SPKI-SHA256-BASE64"])
			}
			var want []string
			for _, p := range h.Pins {
				want = append(want, base64Of(p))
			}
			if diff := cmp.Diff(want, got); !ok || diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", file, h.Pattern, diff)
			}
		}
	}
}

func FuzzIOS(f *testing.F) {
	f.Add(iosExample)
	f.Add(trustKitExample)
	binary, err := plist.Marshal(map[string]any{"NSPinnedDomains": map[string]any{"a.test": map[string]any{
		"NSIncludesSubdomains": true, "NSPinnedLeafIdentities": []map[string]string{{"SPKI-SHA256-BASE64": leafText}},
	}}}, plist.BinaryFormat)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(binary)
	f.Fuzz(func(t *testing.T, data []byte) { checkDecoded(t, decodeIOS, data) })
}
