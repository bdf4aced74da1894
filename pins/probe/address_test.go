package probe_test

import (
	"context"
	"net"
	"testing"

	"ctwatch/pins"
	"ctwatch/pins/probe"
)

// TestOnlyConfiguredEndpointsMayBePrivate: only an endpoint that a person named may lead
// to an address that is not public.
func TestOnlyConfiguredEndpointsMayBePrivate(t *testing.T) {
	for ip, public := range map[string]bool{
		"1.1.1.1": true, "8.8.8.8": true, "100.63.255.255": true, "100.128.0.1": true, "172.15.0.1": true, "172.32.0.1": true,
		"192.0.1.1": true, "198.17.0.1": true, "198.20.0.1": true, "223.255.255.254": true, "11.0.0.1": true, "126.255.255.255": true,
		"::ffff:1.1.1.1": true, "2606:4700:4700::1111": true, "2001:4860:4860::8888": true, "2a00:1450::1": true,
		"64:ff9b::1.1.1.1": true,

		"0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "10.255.255.255": false, "100.64.0.1": false, "100.127.255.255": false,
		"127.0.0.1": false, "127.255.255.254": false, "169.254.169.254": false, "172.16.0.1": false, "172.31.255.255": false,
		"192.0.0.1": false, "192.0.2.1": false, "192.88.99.1": false, "192.168.0.1": false, "198.18.0.1": false, "198.19.255.255": false,
		"198.51.100.1": false, "203.0.113.1": false, "224.0.0.1": false, "239.255.255.255": false, "240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "::7f00:1": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false,
		"64:ff9b::127.0.0.1": false, "64:ff9b::10.0.0.1": false, "64:ff9b:1::1.1.1.1": false, "100::1": false,
		"2001::1": false, "2001:2::1": false, "2001:20::1": false, "2001:db8::1": false, "2002:7f00:1::1": false, "2002:101:101::1": false,
		"3fff::1": false, "5f00::1": false, "fc00::1": false, "fd00::1": false, "fd00:ec2::254": false, "fe80::1": false, "fe80::1%lo": false,
		"2606:4700::1%eth0": false, "fec0::1": false, "ff02::1": false, "ff0e::1": false,
	} {
		t.Run(ip, func(t *testing.T) {
			dialed := false
			p := probe.New(probe.Config{
				Resolver: names{host: {ip}},
				Dial: func(context.Context, string, string) (net.Conn, error) {
					dialed = true
					return nil, errNotDialed
				},
			})
			l := p.Look(t.Context(), pins.Endpoint{Host: host})
			if dialed != public || len(l.Addresses) != 1 {
				t.Errorf("dialed: %v, want %v: %+v", dialed, public, l)
			}
			if !public {
				mustFail(t, l.Err, host, "not a public address", "name it in the configuration")
				mustFail(t, l.Addresses[0].Err, l.Addresses[0].Addr)
			}

			dialed = false
			if p.Look(t.Context(), pins.Endpoint{Host: host, Configured: true}); !dialed {
				t.Error("configured, and not dialed")
			}
		})
	}
}

// TestPrivateAddressAmongPublicOnes: of a host with public and private addresses, only
// the public ones are dialed.
func TestPrivateAddressAmongPublicOnes(t *testing.T) {
	p := probe.New(probe.Config{
		Resolver: names{host: {"127.0.0.1", "1.1.1.1", "fd00::1"}},
		Dial: func(_ context.Context, _, address string) (net.Conn, error) {
			if address != "1.1.1.1:8443" {
				t.Errorf("dialed %s", address)
			}
			return nil, errNotDialed
		},
	})
	l := p.Look(t.Context(), pins.Endpoint{Host: host, Target: host + ":8443"})
	if l.Err != nil || len(l.Addresses) != 3 {
		t.Fatalf("%+v", l)
	}
	for i, want := range []string{"not dialed", "not a public address", "not a public address"} {
		mustFail(t, l.Addresses[i].Err, want)
	}
	// The same holds for private addresses as hosts and as targets.
	for _, e := range []pins.Endpoint{{Host: "10.0.0.1"}, {Host: host, Target: "[::1]:443"}} {
		mustFail(t, p.Look(t.Context(), e).Err, "not a public address")
	}
}
