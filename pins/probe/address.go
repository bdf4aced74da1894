package probe

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"ctwatch/pins"
)

// A Resolver looks up the addresses of a name, as *net.Resolver does.
type Resolver interface {
	// LookupNetIP is called with the network "ip", and with a trailing dot after names
	// that contain a dot, so that no search list applies to them.
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// resolve returns the addresses to probe, and how many more there are.
func (p *Prober) resolve(ctx context.Context, e pins.Endpoint) (addrs []netip.AddrPort, more int, err error) {
	host, port, err := e.Dial()
	if err != nil {
		return nil, 0, err
	}
	var ips []netip.Addr
	if ip, err := netip.ParseAddr(host); err == nil {
		ips = []netip.Addr{ip}
	} else {
		ctx, cancel := context.WithTimeout(ctx, p.cfg.ResolveTimeout)
		defer cancel()
		name := host
		if strings.Contains(name, ".") {
			name += "."
		}
		if ips, err = p.cfg.Resolver.LookupNetIP(ctx, "ip", name); err != nil {
			return nil, 0, resolveFailure(host, err)
		}
		if len(ips) == 0 {
			return nil, 0, &failure{text: host + ": the name has no address; check that DNS has an A or AAAA record for it"}
		}
	}
	ips = interleave(ips)
	more = max(0, len(ips)-p.cfg.MaxAddresses)
	for _, ip := range ips[:len(ips)-more] {
		addrs = append(addrs, netip.AddrPortFrom(ip, port))
	}
	return addrs, more, nil
}

// interleave sorts addresses and alternates IPv4 and IPv6. So a bound always leaves out
// the same addresses, whatever the order of the DNS reply, and never a whole family.
func interleave(ips []netip.Addr) []netip.Addr {
	var four, six []netip.Addr
	for _, ip := range ips {
		if ip = ip.Unmap(); ip.Is4() {
			four = append(four, ip)
		} else {
			six = append(six, ip)
		}
	}
	var out []netip.Addr
	slices.SortFunc(four, netip.Addr.Compare)
	slices.SortFunc(six, netip.Addr.Compare)
	four, six = slices.Compact(four), slices.Compact(six)
	for i := range max(len(four), len(six)) {
		if i < len(four) {
			out = append(out, four[i])
		}
		if i < len(six) {
			out = append(out, six[i])
		}
	}
	return out
}

// refusal returns an error if an endpoint must not lead to an address.
func refusal(e pins.Endpoint, addr netip.AddrPort) error {
	if e.Configured || public(addr.Addr()) {
		return nil
	}
	return &failure{text: fmt.Sprintf("%s: not connected to, since this is not a public address; if the endpoint is meant to be there, name it in the configuration", addr)}
}

// public reports whether the public Internet routes an address to a single machine, by
// the registries of special-purpose addresses (RFC 6890). Of IPv6, only global unicast
// addresses are public.
func public(ip netip.Addr) bool {
	ip = ip.Unmap()
	if ip.Zone() != "" {
		return false
	}
	if nat64 := netip.MustParsePrefix("64:ff9b::/96"); nat64.Contains(ip) {
		// DNS64 writes IPv4 addresses so where there is only IPv6 (RFC 6052 §2.1).
		b := ip.As16()
		return public(netip.AddrFrom4([4]byte(b[12:])))
	}
	if ip.Is6() && !netip.MustParsePrefix("2000::/3").Contains(ip) {
		return false
	}
	return ip.IsValid() && !slices.ContainsFunc(special, func(prefix string) bool {
		return netip.MustParsePrefix(prefix).Contains(ip)
	})
}

// special are the blocks without public addresses: all special blocks of IPv4, and those
// of IPv6 inside 2000::/3.
var special = []string{
	"0.0.0.0/8",       // this network (RFC 791)
	"10.0.0.0/8",      // private (RFC 1918)
	"100.64.0.0/10",   // shared by carriers (RFC 6598)
	"127.0.0.0/8",     // loopback (RFC 1122)
	"169.254.0.0/16",  // link-local, and the metadata services of clouds (RFC 3927)
	"172.16.0.0/12",   // private (RFC 1918)
	"192.0.0.0/24",    // protocol assignments (RFC 6890)
	"192.0.2.0/24",    // documentation (RFC 5737)
	"192.88.99.0/24",  // relays of 6to4 (RFC 7526)
	"192.168.0.0/16",  // private (RFC 1918)
	"198.18.0.0/15",   // benchmarks (RFC 2544)
	"198.51.100.0/24", // documentation (RFC 5737)
	"203.0.113.0/24",  // documentation (RFC 5737)
	"224.0.0.0/4",     // multicast (RFC 5771)
	"240.0.0.0/4",     // reserved, and broadcast (RFC 1112)

	"2001::/23",     // protocol assignments; Teredo, which tunnels to IPv4 (RFC 2928)
	"2001:db8::/32", // documentation (RFC 3849)
	"2002::/16",     // 6to4, which tunnels to IPv4 (RFC 3056)
	"3fff::/20",     // documentation (RFC 9637)
}
