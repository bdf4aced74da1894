package watchlist

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"ctwatch/ctwatch/entry"
	"ctwatch/pins"
)

// parseNetwork reads an IP address or a network in CIDR notation. It is not ok if s is
// neither; the error says what is wrong with an address or network.
func parseNetwork(s string) (network netip.Prefix, ok bool, err error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		if addr.Zone() != "" {
			return network, false, errors.New("has a zone, which no certificate has; want the address alone")
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), true, nil
	}
	text, _, slash := strings.Cut(s, "/")
	addr, err := netip.ParseAddr(text)
	if !slash || err != nil {
		return network, false, nil
	}
	network, err = netip.ParsePrefix(s)
	switch {
	case err != nil:
		return network, false, fmt.Errorf("is not a network; want a prefix length from 0 to %d after the slash", addr.BitLen())
	case addr.Is4In6() && network.Bits() >= 96:
		network = netip.PrefixFrom(addr.Unmap(), network.Bits()-96)
	}
	if masked := network.Masked(); masked != network {
		return network, false, fmt.Errorf("has bits set after its prefix; want %v, or the address alone", masked)
	}
	return network, true, nil
}

// networkSubject returns the form of a network in subjects (see the package comment). It is
// unique.
func networkSubject(n netip.Prefix) string {
	s := strings.NewReplacer(".", "-", ":", "-").Replace(n.Addr().String())
	if !n.IsSingleIP() {
		s += fmt.Sprintf("_%d", n.Bits())
	}
	return s + "." + pins.AddressDomain
}

// Networks finds rules with one look-up for each prefix length that is watched, of which
// there are at most 33 (IPv4) and 129 (IPv6).
type networks struct {
	rules  map[netip.Prefix][]int32
	v4, v6 []int // prefix lengths
}

func (n *networks) add(network netip.Prefix, rule int32) {
	if n.rules == nil {
		n.rules = make(map[netip.Prefix][]int32)
	}
	n.rules[network] = append(n.rules[network], rule)
	lengths := &n.v6
	if network.Addr().Is4() {
		lengths = &n.v4
	}
	if !slices.Contains(*lengths, network.Bits()) {
		*lengths = append(*lengths, network.Bits())
	}
}

// find calls hit with the rules about an address until it returns false.
func (n *networks) find(ip netip.Addr, hit func(rule int32) bool) {
	lengths := n.v6
	if ip.Is4() {
		lengths = n.v4
	}
	for _, bits := range lengths {
		network, err := ip.Prefix(bits)
		if err != nil {
			return // a length of the other family: cannot happen
		}
		for _, rule := range n.rules[network] {
			if !hit(rule) {
				return
			}
		}
	}
}

// has reports whether there is a rule about an address.
func (n *networks) has(ip netip.Addr) (found bool) {
	n.find(ip, func(int32) bool { found = true; return false })
	return found
}

// WatchesAddresses reports whether there is a rule about addresses. Without one, scan skips
// addresses.
func (l *List) WatchesAddresses() bool { return l.networks.rules != nil }

// MatchIP reports whether a rule matches an address of a certificate, of 4 or 16 octets (see
// entry.IP). It does not allocate for those.
func (l *List) MatchIP(b []byte) bool {
	if !l.WatchesAddresses() {
		return false
	}
	ip, ok := entry.IP(b)
	return ok && l.networks.has(ip)
}
