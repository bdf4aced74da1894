package entry

import (
	"bytes"
	"net/netip"
)

// Bounds of the length of an address written out.
const (
	minAddress = len("::")
	maxAddress = len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535")
)

// Address reads an IP address that is written out in a name in canonical form, in
// brackets and with a port or not. One of IPv4 that is mapped into IPv6 is of IPv4.
func Address(canonical []byte) (ip netip.Addr, ok bool) {
	if !mayBeAddress(canonical) {
		return ip, false
	}
	s := string(canonical)
	ip, err := netip.ParseAddr(s)
	if err != nil && s[0] == '[' {
		var p netip.AddrPort
		if p, err = netip.ParseAddrPort(s); err != nil {
			p, err = netip.ParseAddrPort(s + ":0")
		}
		ip = p.Addr()
	}
	return ip.Unmap(), err == nil && ip.Zone() == ""
}

// IP reads what a Visitor is told of an address: the 4 or 16 octets of RFC 5280
// §4.2.1.6, or an address written out, which some issuers put in their place.
func IP(b []byte) (ip netip.Addr, ok bool) {
	if ip, ok = netip.AddrFromSlice(b); ok {
		return ip.Unmap(), true
	}
	return Address(bytes.TrimSpace(b))
}

// mayBeAddress tells nearly every name from an address at a glance: no top-level
// domain ends in a digit, and no name has a colon.
func mayBeAddress(name []byte) bool {
	if len(name) < minAddress || len(name) > maxAddress {
		return false
	}
	last := name[len(name)-1]
	return '0' <= last && last <= '9' || bytes.IndexByte(name, ':') >= 0
}
