package watchlist

import (
	"errors"
	"fmt"
	"net/netip"
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

// networkNodes calls visit with the nodes of the networks that have an address, until it
// returns false. It looks up each prefix length that is watched, of which there are at most
// 33 (IPv4) and 129 (IPv6).
func (l *List) networkNodes(ip netip.Addr, visit func(n uint32) bool) {
	lengths := l.v6
	if ip.Is4() {
		lengths = l.v4
	}
	for _, bits := range lengths {
		network, err := ip.Prefix(bits)
		if err != nil {
			return // a length of the other family: cannot happen
		}
		label := labelOf(network)
		if n := l.child(networks, label.octets[:label.length]); n != 0 && !visit(n) {
			return
		}
	}
}

// findNetworks calls hit with the rules about an address.
func (l *List) findNetworks(ip netip.Addr, hit func(rule uint32)) {
	l.networkNodes(ip, func(n uint32) bool {
		for r := l.nodes[n].rule; r != 0; r = l.rules[r].next {
			hit(r)
		}
		return true
	})
}

// watches reports whether there is a rule about an address.
func (l *List) watches(ip netip.Addr) (found bool) {
	l.networkNodes(ip, func(n uint32) bool { found = l.nodes[n].flags&watched != 0; return !found })
	return found
}

// WatchesAddresses reports whether there is a rule about addresses. Without one, scan skips
// addresses.
func (l *List) WatchesAddresses() bool { return l.nodes[networks].flags&childWatched != 0 }

// MatchIP reports whether a rule matches an address of a certificate, of 4 or 16 octets (see
// entry.IP). It does not allocate for those.
func (l *List) MatchIP(b []byte) bool {
	if !l.WatchesAddresses() {
		return false
	}
	ip, ok := entry.IP(b)
	return ok && l.watches(ip)
}
