package probe_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/pins"
	"ctwatch/pins/probe"
)

// TestLookReturnsLeafAndChain: a look returns the leaf and the whole chain, up to the
// root that the server does not send.
func TestLookReturnsLeafAndChain(t *testing.T) {
	f := newFamily(t)
	at := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{chain(f.leaf, f.intermediate)}})
	now := time.Now()
	l := look(t, probe.Config{Roots: f.roots(), Now: func() time.Time { return now }, ID: func([]byte) string { return "ID" }}, at)
	if !l.At.Equal(now) || l.Failure() != nil || l.More != 0 {
		t.Errorf("look at %s, failure %v, %d more", l.At, l.Failure(), l.More)
	}
	want := []pins.Served{{
		Host: host, Address: at.String(), ID: "ID",
		Certificates: [][]byte{f.leaf.cert.Raw, f.intermediate.cert.Raw},
		Algorithm:    "ECDSA P-256",
		NotBefore:    f.leaf.cert.NotBefore, NotAfter: f.leaf.cert.NotAfter,
		CommonName: host, Names: []string{host},
		Chain: pins.Chain{
			Pins: []pins.Pin{f.leaf.pin(), f.intermediate.pin(), f.root.pin()}, Algorithms: []string{"ECDSA P-256", "ECDSA P-256", "ECDSA P-256"},
		},
		Version: "TLS 1.3",
	}}
	if diff := cmp.Diff(want, l.Addresses[0].Served); diff != "" {
		t.Errorf("served (-want +got):\n%s", diff)
	}
}

// TestRSAAndECDSA: a look finds the RSA and the ECDSA certificate of a server.
func TestRSAAndECDSA(t *testing.T) {
	f := newFamily(t)
	rsaLeaf := issue(t, f.intermediate, rsaKey(), nil)
	edLeaf := issue(t, f.intermediate, ed25519Key(t), nil)
	both := []tls.Certificate{chain(f.leaf, f.intermediate), chain(rsaLeaf, f.intermediate)}
	for name, c := range map[string]struct {
		config *tls.Config
		want   []string
	}{
		"both":                 {&tls.Config{Certificates: both}, []string{"ECDSA P-256", "RSA 2048"}},
		"both, in TLS 1.2":     {&tls.Config{Certificates: both, MaxVersion: tls.VersionTLS12}, []string{"ECDSA P-256", "RSA 2048"}},
		"both, RSA preferred":  {&tls.Config{Certificates: []tls.Certificate{both[1], both[0]}}, []string{"RSA 2048", "ECDSA P-256"}},
		"ECDSA":                {&tls.Config{Certificates: both[:1]}, []string{"ECDSA P-256"}},
		"RSA":                  {&tls.Config{Certificates: both[1:]}, []string{"RSA 2048"}},
		"Ed25519, in TLS 1.2":  {&tls.Config{Certificates: []tls.Certificate{chain(edLeaf)}, MaxVersion: tls.VersionTLS12}, []string{"Ed25519"}},
		"RSA and Ed25519":      {&tls.Config{Certificates: []tls.Certificate{chain(edLeaf), both[1]}}, []string{"Ed25519", "RSA 2048"}},
		"TLS 1.3 only":         {&tls.Config{Certificates: both[1:], MinVersion: tls.VersionTLS13}, []string{"RSA 2048"}},
		"TLS 1.3 only, of two": {&tls.Config{Certificates: both, MinVersion: tls.VersionTLS13}, []string{"ECDSA P-256"}}, // the limit in the package comment
		"RSA key exchange only": {
			&tls.Config{Certificates: both[1:], MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}},
			[]string{"RSA 2048"},
		},
		"clients without certificate refused": {&tls.Config{Certificates: both, ClientAuth: tls.RequireAnyClientCert}, []string{"ECDSA P-256", "RSA 2048"}},
		"so too in TLS 1.2": {
			&tls.Config{Certificates: both, ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12},
			[]string{"ECDSA P-256", "RSA 2048"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := look(t, probe.Config{Roots: f.roots()}, serveTLS(t, c.config)).Addresses[0]
			if a.Err != nil || a.Partial != nil {
				t.Errorf("error %v, partial %v", a.Err, a.Partial)
			}
			var got []string
			for _, s := range a.Served {
				got = append(got, s.Algorithm)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("served %q, want %q", got, c.want)
			}
		})
	}
}

// TestServerNameIndication: the host is sent as SNI, unless it is an address.
func TestServerNameIndication(t *testing.T) {
	f := newFamily(t)
	other := issue(t, f.root, ecdsaKey(t), func(c *x509.Certificate) {
		c.DNSNames, c.IPAddresses = nil, []net.IP{{127, 0, 0, 1}}
	})
	byName, byAddress := chain(f.leaf, f.intermediate), chain(other)
	at := serveTLS(t, &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.ServerName == host {
			return &byName, nil
		}
		if hello.ServerName != "" {
			t.Errorf("asked for %q", hello.ServerName)
		}
		return &byAddress, nil
	}})
	p := probe.New(probe.Config{Roots: f.roots()})
	for of, want := range map[string]identity{host: f.leaf, "127.0.0.1": other} {
		l := p.Look(t.Context(), pins.Endpoint{Host: of, Target: at.String(), Configured: true})
		if err := l.Failure(); err != nil {
			t.Fatal(err)
		}
		if s := l.Addresses[0].Served[0]; s.Chain.Leaf() != want.pin() || s.Problem != "" {
			t.Errorf("%s: %+v", of, s)
		}
	}
}

func TestEveryAddressIsProbed(t *testing.T) {
	f := newFamily(t)
	six := issue(t, f.intermediate, ecdsaKey(t), nil)
	at4 := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{chain(f.leaf, f.intermediate)}})
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skipf("this machine has no IPv6 loopback address: %v", err)
	} else {
		l.Close()
	}
	at6 := listen(t, "[::1]:0", shakeHands(&tls.Config{Certificates: []tls.Certificate{chain(six, f.intermediate)}}))

	// One name, one port, three addresses: the ports of the listeners are found here.
	p := probe.New(probe.Config{
		Roots:    f.roots(),
		Resolver: names{host: {"::1", "127.0.0.1", "127.0.0.9", "127.0.0.1", "::ffff:127.0.0.1"}},
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			switch address {
			case "127.0.0.1:443":
				address = at4.String()
			case "[::1]:443":
				address = at6.String()
			default:
				return nil, &net.OpError{Op: "dial", Net: network, Err: errNotDialed}
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	})
	l := p.Look(t.Context(), pins.Endpoint{Host: host, Configured: true})
	if l.Err != nil || l.Failure() != nil {
		t.Fatal(l.Err, l.Failure())
	}
	var got []string
	for _, a := range l.Addresses {
		got = append(got, a.Addr)
	}
	if diff := cmp.Diff([]string{"127.0.0.1:443", "[::1]:443", "127.0.0.9:443"}, got); diff != "" {
		t.Fatalf("addresses (-want +got):\n%s", diff)
	}
	if a := l.Addresses[0]; len(a.Served) != 1 || a.Served[0].Chain.Leaf() != f.leaf.pin() {
		t.Errorf("%s: %+v", a.Addr, a)
	}
	if a := l.Addresses[1]; len(a.Served) != 1 || a.Served[0].Chain.Leaf() != six.pin() {
		t.Errorf("%s: %+v", a.Addr, a)
	}
	mustFail(t, l.Addresses[2].Err, "127.0.0.9:443", "not dialed")
}

func TestAddressesOfAHostAreBounded(t *testing.T) {
	var four, six []string
	ip4, ip6 := netip.MustParseAddr("1.1.1.1"), netip.MustParseAddr("2606:4700::1")
	for range 100 {
		four, six = append(four, ip4.String()), append(six, ip6.String())
		ip4, ip6 = ip4.Next(), ip6.Next()
	}
	slices.Reverse(four)
	var mu sync.Mutex
	var dialed []string
	p := probe.New(probe.Config{
		Resolver:     names{host: append(four, six...)},
		MaxAddresses: 4,
		Dial: func(_ context.Context, _, address string) (net.Conn, error) {
			mu.Lock()
			defer mu.Unlock()
			dialed = append(dialed, address)
			return nil, errNotDialed
		},
	})
	l := p.Look(t.Context(), pins.Endpoint{Host: host})
	if l.More != 196 || len(l.Addresses) != 4 {
		t.Errorf("%d addresses, %d more, want 4 and 196", len(l.Addresses), l.More)
	}
	slices.Sort(dialed)
	if diff := cmp.Diff([]string{"1.1.1.1:443", "1.1.1.2:443", "[2606:4700::1]:443", "[2606:4700::2]:443"}, dialed); diff != "" {
		t.Errorf("dialed (-want +got):\n%s", diff)
	}
	mustFail(t, l.Failure(), "1.1.1.1:443", "at 3 more")
}

// TestLookAllKeepsTheOrder: the looks are in the order of the endpoints, failed ones too.
func TestLookAllKeepsTheOrder(t *testing.T) {
	f := newFamily(t)
	at := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{chain(f.leaf, f.intermediate)}})
	endpoints := []pins.Endpoint{{Host: "*"}, {Host: host, Target: at.String(), Configured: true}, {Host: "10.0.0.1"}}
	looks := probe.New(probe.Config{Roots: f.roots()}).LookAll(t.Context(), endpoints)
	if len(looks) != len(endpoints) {
		t.Fatalf("%d looks", len(looks))
	}
	for i, l := range looks {
		if l.Endpoint != endpoints[i] || (l.Failure() == nil) != (i == 1) {
			t.Errorf("look %d is at %v: %v", i, l.Endpoint, l.Failure())
		}
	}
}

// TestUnresolvableNameFailsTheLook: a name without addresses is an error of the look
// itself.
func TestUnresolvableNameFailsTheLook(t *testing.T) {
	p := probe.New(probe.Config{Resolver: names{}})
	mustFail(t, p.Look(t.Context(), pins.Endpoint{Host: host}).Err, host, "no such name", "check the spelling")
	mustFail(t, p.Look(t.Context(), pins.Endpoint{Host: "UPPER\x1b[1m"}).Err, "endpoint")
	mustFail(t, p.Look(t.Context(), pins.Endpoint{Host: host, Target: "x:0"}).Err, "port")

	slow := probe.New(probe.Config{Resolver: silentResolver{}, ResolveTimeout: 20 * time.Millisecond})
	mustFail(t, slow.Look(t.Context(), pins.Endpoint{Host: host}).Err, host, "did not answer in time")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	mustFail(t, slow.Look(ctx, pins.Endpoint{Host: host}).Err, host, "canceled")
}

// A silentResolver does not answer.
type silentResolver struct{}

func (silentResolver) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
