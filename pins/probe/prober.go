package probe

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"ctwatch/pins"
)

// Config configures a Prober. Every field is optional.
type Config struct {
	Resolver Resolver // default net.DefaultResolver
	// Dial connects to "ip:port" in the network "tcp". Default that of a net.Dialer.
	Dial  func(ctx context.Context, network, address string) (net.Conn, error)
	Now   func() time.Time // default time.Now
	Roots *x509.CertPool   // which verify and complete chains; default the system's
	// ID returns the ID of a certificate, in hex, given its DER. Default: all are "".
	ID func(der []byte) string

	ResolveTimeout   time.Duration // for all addresses of a name; default 10 s
	DialTimeout      time.Duration // for a connection; default 5 s
	HandshakeTimeout time.Duration // for a handshake; default 5 s
	Timeout          time.Duration // for a whole look; default 30 s

	Parallel        int // open connections of a look; default 2
	MaxAddresses    int // of a host; default 16
	MaxCertificates int // of a chain; default 16
	MaxBytes        int // read from a connection; default 128 KiB
}

// A Prober probes endpoints. It may be used concurrently.
type Prober struct{ cfg Config }

// New returns a Prober with the configuration's defaults filled in.
func New(cfg Config) *Prober {
	if cfg.Resolver == nil {
		cfg.Resolver = net.DefaultResolver
	}
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.ID == nil {
		cfg.ID = func([]byte) string { return "" }
	}
	setDefault(&cfg.ResolveTimeout, 10*time.Second)
	setDefault(&cfg.DialTimeout, 5*time.Second)
	setDefault(&cfg.HandshakeTimeout, 5*time.Second)
	setDefault(&cfg.Timeout, 30*time.Second)
	setDefault(&cfg.Parallel, 2)
	setDefault(&cfg.MaxAddresses, 16)
	setDefault(&cfg.MaxCertificates, 16)
	setDefault(&cfg.MaxBytes, 128<<10)
	return &Prober{cfg}
}

func setDefault[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Look resolves an endpoint and returns what each of its addresses serves. It takes no
// longer than Config.Timeout. Failures are part of the result; if ctx ends, what is
// missing has ctx's error.
func (p *Prober) Look(ctx context.Context, e pins.Endpoint) pins.Look {
	l := pins.Look{Endpoint: e, At: p.cfg.Now()}
	if l.Err = e.Check(); l.Err != nil {
		return l
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	var addrs []netip.AddrPort
	if addrs, l.More, l.Err = p.resolve(ctx, e); l.Err != nil {
		return l
	}

	l.Addresses = make([]pins.Address, len(addrs))
	refused := 0
	var looks errgroup.Group
	looks.SetLimit(p.cfg.Parallel)
	for i, addr := range addrs {
		l.Addresses[i].Addr = addr.String()
		if err := refusal(e, addr); err != nil {
			l.Addresses[i].Err = err
			refused++
			continue
		}
		looks.Go(func() error {
			l.Addresses[i] = p.address(ctx, e.Host, addr)
			return nil
		})
	}
	looks.Wait() //nolint:errcheck // the errors are in the addresses
	if refused == len(addrs) {
		l.Err = fmt.Errorf("%s leads to no public address: %w", e, l.Addresses[0].Err)
	}
	return l
}

// maxLooks is how many looks of LookAll run at once.
const maxLooks = 8

// LookAll probes endpoints, a few at once, and returns the looks in the same order.
func (p *Prober) LookAll(ctx context.Context, endpoints []pins.Endpoint) []pins.Look {
	looks := make([]pins.Look, len(endpoints))
	var group errgroup.Group
	group.SetLimit(maxLooks)
	for i, e := range endpoints {
		group.Go(func() error {
			looks[i] = p.Look(ctx, e)
			return nil
		})
	}
	group.Wait() //nolint:errcheck // the errors are in the looks
	return looks
}

// address returns every certificate that an address serves.
func (p *Prober) address(ctx context.Context, host string, addr netip.AddrPort) pins.Address {
	a := pins.Address{Addr: addr.String()}
	var leaves []*x509.Certificate
	for _, o := range offers() {
		if slices.ContainsFunc(leaves, o.asksFor) {
			continue // known already
		}
		state, err := p.handshake(ctx, host, addr, o)
		if err == nil {
			leaf := state.PeerCertificates[0]
			if !slices.ContainsFunc(leaves, leaf.Equal) {
				leaves = append(leaves, leaf)
				a.Served = append(a.Served, p.served(host, a.Addr, state))
			}
			continue
		}
		if a.Err == nil {
			a.Err = err
		}
		if isFinal(err) {
			a.Partial = err
			break
		}
	}
	if len(leaves) > 0 {
		a.Err = nil // to have no certificate of the other kind is not a failure
	} else {
		a.Partial = nil
	}
	return a
}
