package scan_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/ctwatch/scan"
)

// Common names of every string type match.
func TestTrap36CommonNames(t *testing.T) {
	wide := func(n int, s string) string {
		pad := strings.Repeat("\x00", n-1)
		return pad + strings.Join(strings.Split(s, ""), pad)
	}
	inBothKinds(t, func(t *testing.T, lab *lab) {
		for _, s := range [][]byte{
			subject(str(0x13, "a.shop.example")),
			subject(str(0x0c, "a.shop.example")),
			subject(str(0x14, "a.shop.example")),
			subject(str(0x16, "a.shop.example")),
			subject(str(0x1a, "a.shop.example")),
			subject(str(0x1e, wide(2, "a.shop.example"))),
			subject(str(0x1c, wide(4, "a.shop.example"))),
			subject(str(0x1e, "a.shop.example")),                 // declared as UTF-16, but is not
			subject(str(0x04, "a.shop.example")),                 // an OCTET STRING
			subject(str(0x2c, "\x0c\x07a.shop.\x0c\x07example")), // in parts
			subject(str(0x13, "other.test"), str(0x13, "b.test"), str(0x13, "a.shop.example")),
			str(0x30, string(str(0x31, string(commonName(str(0x13, "other.test")))+string(commonName(str(0x13, "a.shop.example")))))),
			subject(str(0x13, "other.test, a.shop.example")),
			subject(str(0x13, " a.shop.example\n")),
			subject(str(0x13, "HTTPS://A.Shop.Example/")),
		} {
			lab.add(ctlogtest.Request{Subject: s})                                // no SAN at all
			lab.add(ctlogtest.Request{Subject: s, Names: []string{"other.test"}}) // and one that says something else
		}
		got := matched(lab.scan("shop.example"))
		for i := range uint64(30) {
			if diff := cmp.Diff([]string{"a.shop.example"}, got[i]); diff != "" {
				t.Errorf("entry %d:\n%s", i, diff)
			}
		}
	})
}

// Names in unusual forms match.
func TestTrap37NameForms(t *testing.T) {
	odd := []string{
		"a.shop.example\x00.evil.test", "evil.test\x00.a.shop.example", "http://a.shop.example", "https://a.shop.example/path?q", "a.shop.example/",
		"a.shop.example.", "a.shop.example...", " a.shop.example", "a.shop.example\r\n", "A.SHOP.Example", "a.shop.example:443", "me@a.shop.example",
		"evil.test a.shop.example", "http://me@A.shop.example.:8443/", "192.0.2.7", "http://192.0.2.7/", "192.0.2.7\x00.evil.test",
	}
	inBothKinds(t, func(t *testing.T, lab *lab) {
		for _, name := range odd {
			lab.add(ctlogtest.Request{Names: []string{"first.test", name}})
		}
		b := lab.scan("shop.example", "192.0.2.7")
		got := matched(b)
		for i, name := range odd {
			if len(got[uint64(i)]) == 0 {
				t.Errorf("%q does not match", name)
			}
		}
		if len(b.Malformed) > 0 {
			t.Errorf("malformed: %+v", b.Malformed)
		}
	})
}

// Names beyond ASCII match, and unreadable ones are reported.
func TestTrap38UnreadableNames(t *testing.T) {
	odd := []string{
		"www.bücher.example", "www.b\xfccher.example", "www.BÜCHER.example", "www.xn--bcher-kva.example", "WWW.XN--Bcher-KVA.example", "www。bücher。example",
		"?.xn--bcher-kva.example", "www.?.example", "\x01\x02.xn--bcher-kva.example", "www.\u202ebücher.example",
	}
	inBothKinds(t, func(t *testing.T, lab *lab) {
		for _, name := range odd {
			lab.add(ctlogtest.Request{Names: []string{name}})
		}
		lab.add(ctlogtest.Request{Subject: subject(str(0x14, "www.b\xfccher.example"))})
		lab.add(ctlogtest.Request{Names: []string{"www.xn--b14cher-xwa2143e.example"}}) // what bücher in UTF-8 is as Latin-1
		got := matched(lab.scan("www.bücher.example"))
		for i := range odd {
			if len(got[uint64(i)]) == 0 {
				t.Errorf("%q does not match", odd[i])
			}
		}
		if n := uint64(len(odd)); got[n] == nil || got[n+1] != nil {
			t.Errorf("%v", got)
		}
		// What is UTF-8 and also Latin-1 matches as both, and is reported as the first.
		b := lab.scan("xn--b14cher-xwa2143e.example")
		if got := matched(b); got[0] == nil || got[1] != nil || got[uint64(len(odd))+1] == nil {
			t.Fatalf("as Latin-1: %v", got)
		}
		if diff := cmp.Diff([]string{"www.xn--bcher-kva.example"}, b.Found[0].Certificate.Names); diff != "" {
			t.Error(diff)
		}
	})
}

// Wildcards match the watched names that they cover.
func TestTrap39Wildcards(t *testing.T) {
	for name, want := range map[string]bool{
		"*.shop.example": true, "a*.shop.example": true, "*i.shop.example": true, "a*i.shop.example": true, "A*P*I*.shop.example": true, "*.*.example": true,
		strings.Repeat("*", 8) + ".shop.example": true, "*a*p*i*********.shop.example": true, "*.api.shop.example": false, "b*.shop.example": false, "*.example": false,
		strings.Repeat("a*", 8) + "b.shop.example": false,
	} {
		lab := newLab(t, ctwatch.KindStatic, ctlogtest.CAOptions{})
		lab.add(ctlogtest.Request{Names: []string{name}})
		l := oneName(t, "api.shop.example")
		if got := len(scanAll(t, lab.l, lab.log, &scan.Scanner{Log: lab.l.Info(), List: l}).Found) > 0; got != want {
			t.Errorf("%q covers api.shop.example: %v, want %v", name, got, want)
		}
	}
}

// IP addresses match.
func TestTrap40AddressesMatch(t *testing.T) {
	v4, v6 := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")
	inBothKinds(t, func(t *testing.T, lab *lab) {
		lab.add(ctlogtest.Request{IPs: []netip.Addr{v4}})
		lab.add(ctlogtest.Request{IPs: []netip.Addr{netip.AddrFrom16(v4.As16())}, Names: []string{"other.test"}})
		lab.add(ctlogtest.Request{Names: []string{"192.0.2.7"}})
		lab.add(ctlogtest.Request{CommonName: "192.0.2.7"})
		lab.add(ctlogtest.Request{IPs: []netip.Addr{v6}})
		lab.add(ctlogtest.Request{Names: []string{"2001:DB8:0::7"}})
		lab.add(ctlogtest.Request{CommonName: "2001:db8::7"})
		lab.add(ctlogtest.Request{IPs: []netip.Addr{v4.Next(), v6.Next()}, CommonName: "192.0.2.8", Names: []string{"192.0.3.7"}})
		b := lab.scan("192.0.2.7", "2001:db8::7")
		want := map[uint64][]string{
			0: {"192.0.2.7"}, 1: {"192.0.2.7"}, 2: {"192.0.2.7"}, 3: {"192.0.2.7"}, 4: {"2001:db8::7"}, 5: {"2001:db8::7"}, 6: {"2001:db8::7"},
		}
		got := matched(b)
		got[5] = slices.Compact(append(got[5][:0:0], "2001:db8::7")) // also as it is spelled
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		for _, f := range b.Found {
			if len(f.Certificate.IPAddresses) != 1 || f.Certificate.Matches[0].Domain != map[bool]string{true: "192-0-2-7.ip", false: "2001-db8--7.ip"}[f.Certificate.IPAddresses[0] == "192.0.2.7"] {
				t.Errorf("%q: %+v", f.Certificate.IPAddresses, f.Certificate.Matches)
			}
		}
		if got := matched(lab.scan("192.0.2.0/24", "2001:db8::/32")); len(got) != 8 {
			t.Errorf("%d match the networks, want 8: %v", len(got), got)
		}
		if got := matched(lab.scan("com", "test.example")); len(got) != 0 {
			t.Errorf("addresses match names: %v", got)
		}
	})
}
