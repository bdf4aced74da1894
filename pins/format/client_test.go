package format

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"ctwatch/pins"
	"ctwatch/pins/chain"
)

// TestClientErrors: what a client would ignore or crash on is a ClientError, what cannot
// be read is not.
func TestClientErrors(t *testing.T) {
	ats := func(domains string) string {
		return plistHead + "<plist version=\"1.0\"><dict><key>NSAppTransportSecurity</key><dict>" + domains + "</dict></dict></plist>"
	}
	identity := func(pin string) string {
		return "<array><dict><key>SPKI-SHA256-BASE64</key><string>" + pin + "</string></dict></array>"
	}
	tsk := func(root string) string {
		return plistHead + "<plist version=\"1.0\"><dict>" + root + "</dict></plist>"
	}
	hashes := "<key>h.test</key><dict><key>TSKPublicKeyHashes</key><array><string>" + leafText + "</string><string>" + caText + "</string></array></dict>"
	for name, c := range map[string]struct {
		file string
		no   bool   // a *ClientError
		want string // of the error
	}{
		"an Android wildcard":                 {config(`<domain-config><domain includeSubdomains="true">*.h.test</domain>[P]</domain-config>`), true, "3:16: "},
		"a pin outside of a pin-set":          {config(`<domain-config><domain>h.test</domain>[L]</domain-config>`), true, "3:39: the platform ignores a <pin> here"},
		"a pin-set outside of a config":       {config(`[P]`), true, "3:10: the platform ignores a <pin> here"},
		"pins in an unknown tag":              {config(`<domain-config><domain>h.test</domain><pins><x>[P]</x></pins></domain-config>`), true, "the platform ignores a <pin> here"},
		"a pin-set in base-config":            {config(`<base-config>[P]</base-config>`), true, "not allowed"},
		"a date of no day":                    {config(`<domain-config><domain>h.test</domain><pin-set expiration="soon">[L]</pin-set></domain-config>`), true, "not a date"},
		"Android XML that is truncated":       {"<network-security-config><domain-config>", false, "not XML"},
		"upper case in iOS":                   {ats("<key>NSPinnedDomains</key><dict><key>H.test</key><dict><key>NSPinnedLeafIdentities</key>" + identity(leafText) + "</dict></dict>"), true, `write "h.test"`},
		"a dot at the end in iOS":             {ats("<key>NSPinnedDomains</key><dict><key>h.test.</key><dict><key>NSPinnedLeafIdentities</key>" + identity(leafText) + "</dict></dict>"), true, "remove the dot"},
		"a prefix in iOS":                     {ats("<key>NSPinnedDomains</key><dict><key>h.test</key><dict><key>NSPinnedLeafIdentities</key>" + identity(textA) + "</dict></dict>"), true, `without "sha256/"`},
		"pins among the exceptions":           {ats("<key>NSExceptionDomains</key><dict><key>NSPinnedDomains</key><dict/></dict>"), true, "NSAppTransportSecurity/NSExceptionDomains/NSPinnedDomains: apps ignore this here"},
		"a list outside of a domain":          {ats("<key>NSPinnedDomains</key><dict><key>NSPinnedLeafIdentities</key>" + identity(leafText) + "</dict>"), true, "apps ignore this here"},
		"a list deeper than that":             {ats("<key>NSPinnedDomains</key><dict><key>h.test</key><dict><key>sub</key><dict><key>NSPinnedCAIdentities</key>" + identity(leafText) + "</dict></dict></dict>"), true, "apps ignore this here"},
		"pins in an array":                    {tsk("<key>CFBundleURLTypes</key><array><dict><key>NSPinnedDomains</key><dict/></dict></array>"), true, "apps ignore this here"},
		"no pins in the settings":             {ats(""), true, "pins nothing"},
		"TrustKit's at the wrong place":       {tsk("<key>CFBundleName</key><string>x</string><key>TSKPinnedDomains</key><dict>" + hashes + "</dict>"), true, "it belongs in TSKConfiguration"},
		"TrustKit's within the platform's":    {ats("<key>TSKConfiguration</key><dict><key>TSKPinnedDomains</key><dict>" + hashes + "</dict></dict>"), true, "it belongs in the top level"},
		"TrustKit's hashes at the top":        {tsk("<key>TSKConfiguration</key><dict><key>TSKPublicKeyHashes</key><array/></dict>"), true, "the dictionary of a domain within TSKPinnedDomains"},
		"one pin for TrustKit":                {tsk("<key>TSKConfiguration</key><dict><key>TSKPinnedDomains</key><dict><key>h.test</key><dict><key>TSKPublicKeyHashes</key><array><string>" + leafText + "</string></array></dict></dict></dict>"), true, "fewer than two"},
		"a property list with an unknown tag": {"<plist><dict><key>NSAppTransportSecurity</key><dikt/></dict></plist>", false, "not an element of property lists"},
		"a dot at the end in OkHttp":          {`val p = CertificatePinner.Builder().add("h.test.", "` + textA + `").build()`, true, "matches no host"},
		"a space in curl":                     {curlPrefix + leafText + "; " + curlPrefix + caText, true, "no space"},
		"upper case in Approov":               {`{"H.test": ["` + leafText + `"]}`, true, `write "h.test"`},
		"a wildcard in JSON":                  {`{"hosts": {"a.*.test": ["` + textA + `"]}}`, true, "wildcard"},
		"JSON that is truncated":              {`{"hosts": `, false, "not JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Detect([]byte(c.file))
			wantError(t, err, c.want)
			if client := new(ClientError); errors.As(err, &client) != c.no {
				t.Errorf("a *ClientError: %v, want %v: %v", !c.no, c.no, err)
			}
		})
	}
}

// TestPinsInTheirPlaces: pins may be in a file of their own, or in the app's property list.
func TestPinsInTheirPlaces(t *testing.T) {
	inner := "<key>TSKPinnedDomains</key><dict><key>h.test</key><dict><key>TSKPublicKeyHashes</key><array><string>" + leafText + "</string><string>" + caText + "</string></array></dict></dict>"
	domains := "<key>NSPinnedDomains</key><dict><key>h.test</key><dict><key>NSPinnedLeafIdentities</key><array><dict><key>SPKI-SHA256-BASE64</key><string>" + leafText + "</string></dict></array></dict></dict>"
	for name, dict := range map[string]string{
		"TrustKit alone":      inner,
		"TrustKit in the app": "<key>CFBundleName</key><string>x</string><key>TSKConfiguration</key><dict>" + inner + "</dict>",
		"iOS alone":           domains,
		"iOS in the app":      "<key>CFBundleName</key><string>x</string><key>NSAppTransportSecurity</key><dict>" + domains + "</dict>",
	} {
		_, rules, err := Detect([]byte(plistHead + "<plist version=\"1.0\"><dict>" + dict + "</dict></plist>"))
		if err != nil || len(rules.Requirements("h.test", asOf)) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestUnpinnedReasons: rules say why a host is not pinned.
func TestUnpinnedReasons(t *testing.T) {
	pinSet := func(attr string) string {
		return "<pin-set" + attr + "><pin digest=\"SHA-256\">" + leafText + "</pin></pin-set>"
	}
	file := config(`<domain-config><domain>parent.test</domain>` + pinSet("") + `</domain-config>
<domain-config><domain>expired.test</domain>` + pinSet(` expiration="2020-01-01"`) + `</domain-config>
<domain-config><domain>empty.test</domain><pin-set/></domain-config>
<domain-config><domain>bare.test</domain></domain-config>`)
	rules, err := decodeAndroid([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]string{
		"sub.parent.test": "Its entry for parent.test does not include subdomains.",
		"expired.test":    "in line 4 expired on 2020-01-01",
		"empty.test":      "in line 5 is empty",
		"bare.test":       "has no <pin-set>",
		"other.test":      "",
	} {
		if got := rules.(pins.Explainer).Unpinned(host, asOf); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
}

// TestRealJavaReadsTheSameDates: SimpleDateFormat itself reads expirations as we do.
func TestRealJavaReadsTheSameDates(t *testing.T) {
	t.Parallel()
	dates := []string{
		"2027-06-30", "2028-2-12", "2028-02-9", "2028-002-012", " 2028-2-12", "2028- 2- 12", "2028-2-12T00:00:00Z", "2028-2-12 ",
		"28-2-12", "12345-1-1", "2028-02-30", "2028-13-01", "2028-00-10", "2028-01-00", "2027-02-29", "2028-02-29", "2028/02/12", "2028-02",
		"", "soon", "2028-2-", "2028--2-12", "0-1-1", "2028-1-32", "2028-2 -12", "2028.5-1-1",
	}
	answers, err := program(t, []byte(strings.Join(dates, "\n")+"\n"), "java", "-XX:TieredStopAtLevel=1", "testdata/java/Dates.java")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(string(answers), "\n"), "\n")
	if len(lines) != len(dates) {
		t.Fatalf("%d answers for %d dates", len(lines), len(dates))
	}
	for i, date := range dates {
		got := "none"
		if day, err := androidDay(date); err == nil {
			got = fmt.Sprintf("%d-%d-%d", day.Year(), day.Month(), day.Day())
		}
		if lines[i] == "12345-1-1" {
			lines[i] = "9999-1-1" // the last year that we distinguish
		}
		if got != lines[i] {
			t.Errorf("%q: we read %s, and Java %s", date, got, lines[i])
		}
	}
}

// TestXMLEncodings: XML may declare the single-byte encodings that expat supports.
func TestXMLEncodings(t *testing.T) {
	doc := func(encoding, comment string) []byte {
		return []byte(`<?xml version="1.0" encoding="` + encoding + `"?><!-- ` + comment + ` -->` + strings.SplitN(config(`<domain-config><domain>h.test</domain>[P]</domain-config>`), "\n", 2)[1])
	}
	for name, c := range map[string]struct {
		data []byte
		want string // of the error; "" for none
	}{
		"US-ASCII":                   {doc("us-ascii", "release"), ""},
		"US-ASCII in capitals":       {doc("US-ASCII", "release"), ""},
		"ISO-8859-1":                 {doc("ISO-8859-1", "f\xfcr alle"), ""},
		"UTF-8":                      {doc("utf-8", "für alle"), ""},
		"US-ASCII with another byte": {doc("us-ascii", "f\xfcr alle"), `the byte 0xfc is not a character of "us-ascii"`},
		"another encoding":           {doc("utf-7", "release"), "save the file as UTF-8"},
		"a long one":                 {doc(strings.Repeat("x", 300), "release"), "is not supported; save"},
		"UTF-16, little-endian":      {utf16Of("\uFEFF"+string(doc("UTF-16", "für alle")), false), ""},
		"UTF-16, big-endian":         {utf16Of("\uFEFF"+string(doc("utf-16", "für alle")), true), ""},
		"UTF-16 without a mark":      {utf16Of(string(doc("UTF-16LE", "für alle")), false), ""},
		"UTF-16, said to be UTF-8":   {utf16Of("\uFEFF"+string(doc("UTF-8", "für alle")), false), ""}, // as PowerShell saves it
		"UTF-16 that is not":         {doc("UTF-16", "release"), `declares "utf-16" but is in another encoding`},
		"UTF-16, cut short":          {utf16Of("\uFEFF"+string(doc("UTF-16", "")), false)[:101], "cut short"},
	} {
		t.Run(name, func(t *testing.T) {
			f, rules, err := Detect(c.data)
			if c.want != "" {
				wantError(t, err, c.want)
				return
			}
			if err != nil || f.Name != "android" || len(rules.Requirements("h.test", asOf)) != 1 {
				t.Errorf("%s: %v", f.Name, err)
			}
		})
	}
}

// utf16Of encodes a text in UTF-16.
func utf16Of(s string, big bool) (out []byte) {
	for _, u := range utf16.Encode([]rune(s)) {
		if big {
			out = binary.BigEndian.AppendUint16(out, u)
		} else {
			out = binary.LittleEndian.AppendUint16(out, u)
		}
	}
	return out
}

// TestFilesInEncodingsOfEditors: files of every format are the same with a byte order mark, in
// UTF-16, and with the line ends of Windows and early Macintoshes.
func TestFilesInEncodingsOfEditors(t *testing.T) {
	for _, f := range All() {
		if f.Name == "curl" {
			continue // curl compares bytes: any other is a pin that never matches
		}
		data, err := f.Encode(sampleSet(t, pins.RoleLeaf))
		if err != nil {
			t.Fatal(err)
		}
		want, err := f.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		for how, data := range map[string][]byte{
			"a mark":                []byte("\uFEFF" + string(data)),
			"UTF-16, little-endian": utf16Of("\uFEFF"+string(data), false),
			"UTF-16, big-endian":    utf16Of("\uFEFF"+string(data), true),
			"carriage returns":      bytes.ReplaceAll(data, []byte("\n"), []byte("\r")),
			"both":                  bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n")),
		} {
			found, got, err := Detect(data)
			if err != nil || found.Name != f.Name {
				t.Errorf("%s with %s: %s, %v", f.Name, how, found.Name, err)
				continue
			}
			for _, p := range want.Patterns() {
				if diff := cmp.Diff(want.Requirements(p.Name, asOf), got.Requirements(p.Name, asOf)); diff != "" {
					t.Errorf("%s with %s: %s", f.Name, how, diff)
				}
			}
		}
	}
}

// TestTrustKitKeyAlgorithms: a set with keys that TrustKit cannot hash is refused.
func TestTrustKitKeyAlgorithms(t *testing.T) {
	a, b := pinOf(t, textA), pinOf(t, textB)
	for algorithm, ok := range map[string]bool{
		"": true, "RSA 2048": true, "RSA 3072": true, "RSA 4096": true, "ECDSA P-256": true, "ECDSA P-384": true,
		"RSA 1024": false, "RSA 8192": false, "ECDSA P-224": false, "ECDSA P-521": false, "Ed25519": false, "Ed448": false,
	} {
		set := leafSet(host(t, "api.example.com", []pins.Pin{a, b}))
		set.Algorithms = map[pins.Pin]string{a: "RSA 2048", b: algorithm}
		if _, err := trustkit().Encode(set); ok != (err == nil) {
			t.Errorf("%q: %v", algorithm, err)
		} else if !ok {
			wantRefused(t, trustkit(), set, "api.example.com", b.String(), algorithm)
		}
		if _, err := ios().Encode(set); err != nil {
			t.Errorf("ios, %q: %v", algorithm, err)
		}
	}
}

// OpenSSL compares a DANE record with the keys of its usage alone, and with what the
// server sends: so do our rules.
func TestRealOpenSSLMatchesAtSamePlaces(t *testing.T) {
	t.Parallel()
	s := startServers(t)
	sent := verifiedChain(t, s)
	leaf, issuer, root := sent.Pins[0], sent.Pins[1], sent.Pins[2]
	record := func(usage uint8, p pins.Pin) string { return fmt.Sprintf("%d 1 1 %x", usage, p[:]) }
	for name, c := range map[string]struct {
		records []string
		ok      bool
	}{
		"the leaf's key as a leaf's":      {[]string{record(daneEE, leaf)}, true},
		"the CA's key as a CA's":          {[]string{record(daneTA, issuer)}, true},
		"the CA's key as a leaf's":        {[]string{record(daneEE, issuer)}, false},
		"the leaf's key as a CA's":        {[]string{record(daneTA, leaf)}, false},
		"both, each as the other's":       {[]string{record(daneEE, issuer), record(daneTA, leaf)}, false},
		"one of both":                     {[]string{record(daneEE, leaf), record(daneTA, leaf)}, true},
		"a root that the server lacks":    {[]string{record(daneTA, root)}, false},
		"that root, and the leaf's key":   {[]string{record(daneTA, root), record(daneEE, leaf)}, true},
		"that root, and the CA's as such": {[]string{record(daneTA, root), record(daneTA, issuer)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"s_client", "-brief", "-verify_return_error", "-CAfile", s.root, "-dane_tlsa_domain", "api.example.com"}
			zone := ""
			for _, r := range c.records {
				args = append(args, "-dane_tlsa_rrdata", r)
				zone += "_443._tcp.api.example.com. IN TLSA " + r + "\n"
			}
			if got := exitCode(t, "openssl", append(args, "-connect", "127.0.0.1:"+s.right.port)...) == 0; got != c.ok {
				t.Errorf("OpenSSL accepts: %v, want %v", got, c.ok)
			}
			rules, err := decodeTLSA([]byte(zone))
			if err != nil {
				t.Fatal(err)
			}
			if got := pins.Accepts(rules.Requirements("api.example.com", asOf), sent); got != c.ok {
				t.Errorf("our rules accept: %v, want %v", got, c.ok)
			}
		})
	}
}

// verifiedChain is the chain of the right server as a client completes it.
func verifiedChain(t *testing.T, s servers) pins.Chain {
	t.Helper()
	read := func(file string) (out []*x509.Certificate) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, c)
		}
		return out
	}
	roots := x509.NewCertPool()
	roots.AddCert(read(s.root)[0])
	chains, err := chain.Verified(read(s.right.file)[:2], chain.Options{Roots: roots, At: time.Now()})
	if err != nil || len(chains) != 1 || chains[0].Added != 1 {
		t.Fatalf("%v, %v", chains, err)
	}
	return chains[0]
}
