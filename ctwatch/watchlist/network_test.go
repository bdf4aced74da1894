package watchlist_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/watchlist"

	"github.com/google/go-cmp/cmp"
)

func TestRulesAboutAddresses(t *testing.T) {
	for in, want := range map[string]struct{ domain, network string }{
		"192.0.2.7":            {"192-0-2-7.ip", "192.0.2.7/32"},
		"192.0.2.7/32":         {"192-0-2-7.ip", "192.0.2.7/32"},
		"192.0.2.0/24":         {"192-0-2-0_24.ip", "192.0.2.0/24"},
		"0.0.0.0/0":            {"0-0-0-0_0.ip", "0.0.0.0/0"},
		"2001:DB8::1":          {"2001-db8--1.ip", "2001:db8::1/128"},
		"2001:db8::/32":        {"2001-db8--_32.ip", "2001:db8::/32"},
		"::ffff:192.0.2.7":     {"192-0-2-7.ip", "192.0.2.7/32"},
		"::ffff:192.0.2.0/120": {"192-0-2-0_24.ip", "192.0.2.0/24"},
		"::/0":                 {"--_0.ip", "::/0"},
		"1::2:0:112":           {"1--2-0-112.ip", "1::2:0:112/128"},
		"1::2:0/112":           {"1--2-0_112.ip", "1::2:0/112"},
	} {
		for _, subdomains := range []bool{false, true} {
			got, err := watchlist.NewRule(in, subdomains)
			want := watchlist.Rule{Watch: in, Domain: want.domain, Network: netip.MustParsePrefix(want.network)}
			if diff := cmp.Diff(want, got, prefixes); diff != "" || err != nil {
				t.Errorf("NewRule(%q): %v\n%s", in, err, diff)
			}
			if _, err := watchlist.NewRule(got.Domain, true); err == nil {
				t.Errorf("%q is a domain as well", got.Domain)
			}
			// What cannot stand in a NATS subject, but for the dots between tokens.
			if subject := (ctwatch.Event{Type: ctwatch.CertificateIssued, Subject: got.Domain}).NATSSubject("x"); strings.ContainsAny(subject, " *>\t\r\n") || strings.Contains(subject, "..") {
				t.Errorf("%q is no subject", subject)
			}
		}
	}
	for in, want := range map[string]string{
		"192.0.2.7/24":  "want 192.0.2.0/24",
		"192.0.2.0/33":  "prefix length from 0 to 32",
		"2001:db8::/x":  "prefix length from 0 to 128",
		"fe80::1%eth0":  "has a zone",
		"192.0.2.0/":    "prefix length",
		"192.0.2":       "",
		"192.0.2.7.":    "is an IP address",
		".192.0.2.7":    "is an IP address",
		"[2001:db8::1]": "characters",
	} {
		if got, err := watchlist.NewRule(in, true); want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("NewRule(%q) = %+v, %v, want an error about %q", in, got, err, want)
		}
	}
}

// TestTrap40AddressesMatchWatchedNetworks in either form.
func TestTrap40AddressesMatchWatchedNetworks(t *testing.T) {
	for _, tt := range []struct {
		rule, ip string
		want     bool
	}{
		{"192.0.2.7", "192.0.2.7", true},
		{"192.0.2.7", "192.0.2.8", false},
		{"192.0.2.0/24", "192.0.2.255", true},
		{"192.0.2.0/24", "192.0.3.0", false},
		{"192.0.2.0/31", "192.0.2.1", true},
		{"0.0.0.0/0", "198.51.100.1", true},
		{"0.0.0.0/0", "2001:db8::1", false},
		{"::/0", "192.0.2.7", false},
		{"::/0", "2001:db8::1", true},
		{"2001:db8::/32", "2001:db8:ffff::1", true},
		{"2001:db8::/32", "2001:db9::1", false},
		{"2001:db8::1", "2001:db8::1", true},
		{"192.0.2.7", "::ffff:192.0.2.7", true},
		{"::ffff:192.0.2.0/120", "192.0.2.7", true},
	} {
		l := watchlist.New(rules(t, tt.rule, "198.18.0.0/15", "2001:2::/48", ".unrelated.test"))
		ip := netip.MustParseAddr(tt.ip)
		if got := l.MatchIP(ip.AsSlice()); got != tt.want {
			t.Errorf("iPAddress %v matches rule %s: %v, want %v", ip, tt.rule, got, tt.want)
		}
		for _, text := range []string{
			ip.String(), ip.StringExpanded(), strings.ToUpper(ip.String()), " " + ip.String() + "\n",
			ip.String() + ".", "https://" + bracketed(ip) + "/", bracketed(ip) + ":8443", ip.String() + "\x00.example.com",
		} {
			if got := l.MatchName([]byte(text)); got != tt.want {
				t.Errorf("dNSName %q matches rule %s: %v, want %v", text, tt.rule, got, tt.want)
			}
			if got := len(l.Matches([]string{text})) > 0; got != tt.want {
				t.Errorf("Matches of %q has rule %s: %v, want %v", text, tt.rule, got, tt.want)
			}
		}
		if got := l.MatchIP([]byte(ip.StringExpanded())); got != tt.want && ip.Is6() {
			t.Errorf("iPAddress that holds the text of %v matches rule %s: %v, want %v", ip, tt.rule, got, tt.want)
		}
	}
}

func bracketed(ip netip.Addr) string {
	if ip.Is4() {
		return ip.String()
	}
	return "[" + ip.String() + "]"
}

func TestAddressesAndNamesDoNotMeet(t *testing.T) {
	l := watchlist.New(append(rules(t, "192.0.2.0/24", ".localhost", ".com"), watchlist.Rule{Domain: "7", Subdomains: true}))
	for name, want := range map[string]bool{
		"192.0.2.7": true, "a.7": true, "198.51.100.7": false, "2001:db8::1": false, "192-0-2-0_24.ip": false, "*.ip": false, "?": true,
	} {
		if got := l.MatchName([]byte(name)); got != want {
			t.Errorf("%q matches: %v, want %v", name, got, want)
		}
		if got := len(l.Matches([]string{name})) > 0; got != want {
			t.Errorf("Matches of %q: %v, want %v", name, got, want)
		}
	}
	if watchlist.New(rules(t, ".example.com")).WatchesAddresses() || !l.WatchesAddresses() {
		t.Error("WatchesAddresses is wrong")
	}
}

func TestMatchesOfAddressesAreInOrderOfRules(t *testing.T) {
	l := watchlist.New(rules(t, "192.0.2.0/24", ".example.com", "192.0.2.7", "192.0.0.0/16", "192.0.2.7/32", "10.0.0.0/8"))
	got := l.Matches([]string{"www.example.com", "192.0.2.7", "192.0.9.9"})
	want := []ctwatch.Match{
		{Watch: "192.0.2.0/24", Name: "192.0.2.7", Domain: "192-0-2-0_24.ip"},
		{Watch: ".example.com", Name: "www.example.com", Domain: "example.com"},
		{Watch: "192.0.2.7", Name: "192.0.2.7", Domain: "192-0-2-7.ip"},
		{Watch: "192.0.0.0/16", Name: "192.0.2.7", Domain: "192-0-0-0_16.ip"},
		{Watch: "192.0.0.0/16", Name: "192.0.9.9", Domain: "192-0-0-0_16.ip"},
		{Watch: "192.0.2.7/32", Name: "192.0.2.7", Domain: "192-0-2-7.ip"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAddressesAllocateNothing(t *testing.T) {
	l := watchlist.New(rules(t, "192.0.2.0/24", "2001:db8::/32"))
	v4, v6 := netip.MustParseAddr("198.51.100.1").AsSlice(), netip.MustParseAddr("2001:db9::1").AsSlice()
	if n := testing.AllocsPerRun(100, func() {
		if l.MatchIP(v4) || l.MatchIP(v6) || l.MatchIP([]byte{1, 2, 3}) {
			t.Error("a match")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMatchIP(b *testing.B) {
	for _, n := range []int{1, 1_000, 1_000_000} {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			rs := make([]watchlist.Rule, n)
			for i := range rs {
				rs[i].Network = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 12), byte(i >> 4), byte(i << 4)}), 28)
			}
			l := watchlist.New(rs)
			ip := []byte{192, 0, 2, 7}
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if l.MatchIP(ip) {
					b.Fatal("a match")
				}
			}
		})
	}
}
