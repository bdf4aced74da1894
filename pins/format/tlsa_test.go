package format

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ctwatch/pins"
)

func TestTLSAWritesTheGoldenFiles(t *testing.T) { checkGolden(t, tlsa()) }

func TestTLSARefusesUnknownPatterns(t *testing.T) {
	set := sampleSet(t, pins.RoleLeaf)
	set.Hosts[1].Names = nil
	_, err := encodeTLSA(set)
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Host != "*.example.org" {
		t.Errorf("got %v", err)
	}
}

// zoneOf puts the hexadecimal digits of pins in the place of $A, $B and $C.
func zoneOf(t testing.TB, s string) []byte {
	digits := func(text string) string {
		p := pinOf(t, text)
		return hex.EncodeToString(p[:])
	}
	a := digits(textA)
	return []byte(strings.NewReplacer("$A1", a[:30], "$A2", a[30:], "$A", a, "$B", digits(textB), "$C", digits(textC)).Replace(s))
}

func TestTLSAReadsZoneFiles(t *testing.T) {
	for name, tt := range map[string]struct {
		zone string
		want map[string]string
	}{
		"a leaf's key":      {"_443._tcp.h.test. IN TLSA 3 1 1 $A", map[string]string{"h.test": "leaf A", "x.h.test": "", "test": ""}},
		"an issuer's key":   {"_443._tcp.h.test. IN TLSA 2 1 1 $A\n", map[string]string{"h.test": "sent issuer A"}},
		"several":           {"_443._tcp.h.test. IN TLSA 3 1 1 $A\n_443._tcp.h.test. IN TLSA 3 1 1 $B\n_443._tcp.h.test. IN TLSA 3 1 1 $A\n", map[string]string{"h.test": "leaf AB"}},
		"both usages":       {"_443._tcp.h.test. IN TLSA 3 1 1 $A\n_443._tcp.h.test. IN TLSA 2 1 1 $B\n", map[string]string{"h.test": "leaf A or sent issuer B"}},
		"without class":     {"_443._tcp.h.test. TLSA 3 1 1 $A", map[string]string{"h.test": "leaf A"}},
		"a TTL":             {"_443._tcp.h.test. 3600 IN TLSA 3 1 1 $A\n_443._tcp.i.test. IN 1h30m TLSA 3 1 1 $B", map[string]string{"h.test": "leaf A", "i.test": "leaf B"}},
		"lower case":        {"_443._TCP.H.test. in tlsa 3 1 1 $A", map[string]string{"h.test": "leaf A"}},
		"several lines":     {"_443._tcp.h.test. IN TLSA ( 3 1 ; the leaf\n\t1 $A1\n\t$A2 )\n", map[string]string{"h.test": "leaf A"}},
		"the same owner":    {"_443._tcp.h.test. IN TLSA 3 1 1 $A\n\tIN TLSA 3 1 1 $B\n", map[string]string{"h.test": "leaf AB"}},
		"an origin":         {"$TTL 1h\n$ORIGIN h.test.\n@ IN SOA a b ( 1 2 3 4 5 )\n_443._tcp IN TLSA 3 1 1 $A\n_443._tcp.x IN TLSA 3 1 1 $B\n", map[string]string{"h.test": "leaf A", "x.h.test": "leaf B"}},
		"other records":     {"h.test. IN TXT \"a ; b ( \\\" c\" d\nh.test. IN A 192.0.2.1\n_443._tcp.h.test. IN TLSA 3 1 1 $A ; here\n", map[string]string{"h.test": "leaf A"}},
		"the unknown type":  {"_443._tcp.h.test. IN TYPE52 \\# 35 030101$A", map[string]string{"h.test": "leaf A"}}, // RFC 3597
		"the same on ports": {"_443._tcp.h.test. IN TLSA 3 1 1 $A\n_8443._tcp.h.test. IN TLSA 3 1 1 $A\n", map[string]string{"h.test": "leaf A"}},
	} {
		rules, err := decodeTLSA(zoneOf(t, tt.zone))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var hosts []string
		for h := range tt.want {
			hosts = append(hosts, h)
		}
		got := wanted(t, rules, hosts...)
		for h, s := range got { // the order of pins is not that of the file
			got[h] = strings.Replace(s, "BA", "AB", 1)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}

func TestTLSAErrorsHaveAPlace(t *testing.T) {
	for name, tt := range map[string]struct{ zone, want string }{
		"nothing":                {"h.test. IN A 192.0.2.1\n", "no TLSA record"},
		"a whole certificate":    {"; one\n_443._tcp.h.test. IN TLSA 3 0 1 $A", "2:1: selector 0"},
		"usage 1":                {"_443._tcp.h.test. IN TLSA 1 1 1 $A", "1:1: usage 1"},
		"usage 0":                {"_443._tcp.h.test. IN TLSA 0 1 1 $A", "1:1: usage 0"},
		"SHA-512":                {"_443._tcp.h.test. IN TLSA 3 1 2 $A$A", "1:1: matching type 2"},
		"a short hash":           {"_443._tcp.h.test. IN TLSA 3 1 1 abcd", "1:1: want the 64 hexadecimal digits"},
		"zeros":                  {"_443._tcp.h.test. IN TLSA 3 1 1 " + strings.Repeat("0", 64), "1:1: want the 64"},
		"no data":                {"_443._tcp.h.test. IN TLSA 3 1", "1:26: bad TLSA MatchingType"},
		"a relative name":        {"_443._tcp.h.test IN TLSA 3 1 1 $A", `1:1: "_443._tcp.h.test" is not a whole name`},
		"no owner":               {" IN TLSA 3 1 1 $A", `1:2: "" is not a whole name`},
		"no port":                {"h.test. IN TLSA 3 1 1 $A", `1:1: "h.test.": want the name`},
		"a wildcard":             {"_443._tcp.*.h.test. IN TLSA 3 1 1 $A", "1:1:"},
		"another wildcard":       {"*._tcp.h.test. IN TLSA 3 1 1 $A", "1:1:"},
		"UDP":                    {"_443._udp.h.test. IN TLSA 3 1 1 $A", "1:1:"},
		"an alias":               {"_443._tcp.h.test. IN CNAME _dane.h.test.", "1:1: the TLSA records of"},
		"generated records":      {"$GENERATE 1-2 _443._tcp.h$.test. IN TLSA 3 1 1 $A", `1:1: "$GENERATE" is not followed`},
		"generated after others": {"$ORIGIN h.test.\na A 192.0.2.1 ; here\n\n; there\n$generate 1-2 a$ A 192.0.2.1", `5:1: "$GENERATE" is not followed`},
		"an unknown record":      {"h.test. IN FLAG 1\n", "1:"},
		"included files":         {"$INCLUDE other.zone", `1:1: "$INCLUDE" is not followed`},
		"an open parenthesis":    {"_443._tcp.h.test. IN TLSA ( 3 1 1 $A\n", "unbalanced brace"},
		"a closed parenthesis":   {"_443._tcp.h.test. IN TLSA 3 1 1 $A )\n", "1:98: bad TLSA Certificate: \"extra closing brace\""},
		"an open quotation":      {"h.test. IN TXT \"a\n", "1:15: bad TXT"},
		"other keys on a port":   {"_443._tcp.h.test. IN TLSA 3 1 1 $A\n_8443._tcp.h.test. IN TLSA 3 1 1 $B\n", "2:1: h.test has other records on port 8443"},
		"other usage on a port":  {"_443._tcp.h.test. IN TLSA 3 1 1 $A\n_8443._tcp.h.test. IN TLSA 2 1 1 $A\n", "2:1: h.test has other records on port"},
	} {
		_, err := decodeTLSA(zoneOf(t, tt.zone))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

func TestTLSAKeepsTheSet(t *testing.T) {
	at := func(role pins.Role) pins.Position {
		if role == pins.RoleIssuer {
			return pins.AtSent
		}
		return pins.AtLeaf
	}
	checkClient(t, tlsa(), at, always, 1)
}

func FuzzDecodeTLSA(f *testing.F) {
	f.Add(zoneOf(f, "$ORIGIN h.test.\n_443._tcp 1h IN TLSA ( 3 1 1 ; x\n $A1 $A2 )\n\tTLSA 2 1 1 $B\n"))
	f.Add(zoneOf(f, "a. TXT \"\\\"\" b\n_443._tcp.h.test. IN TLSA 3 1 1 $A"))
	f.Fuzz(func(t *testing.T, data []byte) { checkDecoded(t, decodeTLSA, data) })
}
