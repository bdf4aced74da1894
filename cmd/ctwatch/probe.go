package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/entry"
	"ctwatch/ctwatch/watchlist"
	"ctwatch/pins"
	"ctwatch/pins/probe"
	"ctwatch/store"
)

func (a *app) probeCommand() *cobra.Command {
	var name string
	var record bool
	c := &cobra.Command{
		Use: "probe HOST[:PORT]...", Short: "Show the chain that a host serves now, and its pins",
		Long: `probe connects to every address of a host, IPv4 and IPv6, asks for its ECDSA and its
RSA certificate, and prints the chains with their pins. Of a server that speaks only
TLS 1.3 it sees the certificate that the server prefers.

With --record, what was seen is kept for plans and exports, as if the daemon had
looked. Without a host it looks at all endpoints of the configuration.`,
		Example: `  ctwatch probe api.example.com
  ctwatch probe --servername api.example.com 192.0.2.7:8443
  ctwatch probe --record`,
		RunE: func(c *cobra.Command, args []string) error { return a.probe(c.Context(), args, name, record) },
	}
	c.Flags().StringVar(&name, "servername", "", "ask for this `name` (SNI) instead of the host's own")
	c.Flags().BoolVar(&record, "record", false, "keep what was seen for plans and exports")
	return a.jsonFlag(c, "print a JSON array with an element for each host")
}

func (a *app) probe(ctx context.Context, args []string, name string, record bool) error {
	var endpoints []probe.Endpoint
	for _, arg := range args {
		e, err := probe.ParseEndpoint(arg)
		if err != nil {
			return &usageError{err}
		}
		if name != "" {
			p, err := setup.ParseHost(name)
			if err != nil || p.Reach != pins.Exact {
				return usagef("--servername %s: want a host name", ctwatch.Printable(name, 100))
			}
			e = probe.Endpoint{Host: p.Name, Target: setup.Target(e), Configured: true}
		}
		endpoints = append(endpoints, e)
	}
	if !record {
		if len(endpoints) == 0 {
			return usagef("probe needs a host, or --record for those of the configuration")
		}
		return a.showLooks(look(ctx, endpoints))
	}
	return a.desk(ctx, func(d *desk) error {
		for i, e := range endpoints {
			// Recorded under the target that the configuration knows it by.
			for _, known := range d.inv.Endpoints {
				if known.Host == e.Host && setup.Target(known) == setup.Target(e) {
					endpoints[i] = known
				}
			}
		}
		if len(endpoints) == 0 {
			endpoints = d.inv.Endpoints
		}
		if len(endpoints) == 0 {
			return usagef("the configuration names no endpoint to look at, and no host was given")
		}
		looks := look(ctx, endpoints)
		list := watchlist.New(d.inv.Rules())
		for _, l := range looks {
			if err := d.db.Endpoints.Observe(ctx, observation(l, list)); err != nil {
				return err
			}
		}
		if err := d.refresh(ctx); err != nil {
			return err
		}
		return a.showLooks(looks)
	})
}

// look looks at endpoints, a few at once.
func look(ctx context.Context, endpoints []probe.Endpoint) []probe.Look {
	p := probe.New(probe.Config{})
	looks := make([]probe.Look, len(endpoints))
	free := make(chan struct{}, 8)
	var wg sync.WaitGroup
	for i, e := range endpoints {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			looks[i] = p.Look(ctx, e)
		})
	}
	wg.Wait()
	return looks
}

// A shownLook is what "probe --json" prints of one host.
type shownLook struct {
	Host      string         `json:"host"`
	Endpoint  string         `json:"endpoint"`
	At        time.Time      `json:"at"`
	Addresses []shownAddress `json:"addresses"`
	Error     string         `json:"error,omitempty"`
}

type shownAddress struct {
	Address string       `json:"address"`
	Chains  []shownChain `json:"chains"`
	Error   string       `json:"error,omitempty"`
}

type shownChain struct {
	Certificate string     `json:"certificate"` // ID
	Algorithm   string     `json:"algorithm"`
	Pins        []pins.Pin `json:"pins"` // leaf first, as far as the chain is known
	Complete    bool       `json:"complete"`
	Names       []string   `json:"names"`
	NotBefore   time.Time  `json:"not_before"`
	NotAfter    time.Time  `json:"not_after"`
	Version     string     `json:"tls_version"`
	Problem     string     `json:"problem,omitempty"`
}

func (a *app) showLooks(looks []probe.Look) error {
	var shown []shownLook
	failed := false
	for _, l := range looks {
		s := shownLook{Host: l.Endpoint.Host, Endpoint: l.Endpoint.String(), At: l.At.UTC(), Addresses: []shownAddress{}}
		if l.Err != nil {
			s.Error = l.Err.Error()
		}
		failed = failed || l.Failure() != nil
		for _, addr := range l.Addresses {
			sa := shownAddress{Address: addr.Addr.String(), Chains: []shownChain{}}
			if err := errors.Join(addr.Err, addr.Partial); err != nil {
				sa.Error = err.Error()
			}
			for _, c := range addr.Served {
				sc := shownChain{
					Algorithm: c.Algorithm, Pins: c.Chain.Pins, Complete: !c.Chain.Open, Names: c.Names,
					NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), Version: c.Version, Problem: c.Problem,
				}
				if tbs, err := entry.TBS(c.Certificates[0]); err == nil {
					if id, _, err := entry.Identity(tbs); err == nil {
						sc.Certificate = id.String()
					}
				}
				sa.Chains = append(sa.Chains, sc)
			}
			s.Addresses = append(s.Addresses, sa)
		}
		shown = append(shown, s)
	}
	if a.json {
		if err := a.printJSON(shown); err != nil {
			return err
		}
	} else if err := a.printLooks(shown); err != nil {
		return err
	}
	if failed {
		return errTold
	}
	return nil
}

func (a *app) printLooks(shown []shownLook) error {
	t := a.table("ENDPOINT", "ADDRESS", "KEY", "NOT AFTER", "PINS, LEAF FIRST")
	for _, s := range shown {
		if s.Error != "" {
			t.row(s.Endpoint, "-", "-", "-", s.Error)
		}
		for _, addr := range s.Addresses {
			for _, c := range addr.Chains {
				for i, pin := range c.Pins {
					t.row(first(i, s.Endpoint), first(i, addr.Address), first(i, c.Algorithm), first(i, day(c.NotAfter)), pin.String())
				}
				if c.Problem != "" {
					t.row("", "", "", "", "! "+c.Problem)
				}
			}
			if addr.Error != "" {
				t.row(s.Endpoint, addr.Address, "-", "-", addr.Error)
			}
		}
	}
	return t.flush()
}

// observation is what the store keeps of a look.
func observation(l probe.Look, list *watchlist.List) store.Look {
	out := store.Look{Host: l.Endpoint.Host, Target: setup.Target(l.Endpoint), At: l.At, Complete: l.Err == nil && l.More == 0}
	for _, addr := range l.Addresses {
		r := store.Reached{Address: addr.Addr.String(), Partial: addr.Partial != nil}
		if addr.Err != nil {
			r.Error = addr.Err.Error()
		}
		for _, s := range addr.Served {
			r.Served = append(r.Served, store.ServedChain{
				Chain: s.Chain, Leaf: s.Certificates[0], Issuers: s.Certificates[1:], CommonName: s.CommonName, Certificate: describeServed(s, list, l.At),
				Accepted: s.Problem == "",
			})
		}
		out.Addresses = append(out.Addresses, r)
	}
	return out
}

// describeServed describes the leaf of a chain that is served.
func describeServed(s probe.Served, list *watchlist.List, at time.Time) ctwatch.Certificate {
	der := s.Certificates[0]
	tbs, err := entry.TBS(der)
	if err != nil {
		tbs = der // what can be read of it is
	}
	c := entry.Describe(tbs)
	c.Matches = list.Matches(append(c.Names[:len(c.Names):len(c.Names)], c.IPAddresses...))
	c.Issuer.Pin = s.Chain.Issuer()
	sum := ctwatch.Hash(sha256.Sum256(der))
	c.Fingerprints.Certificate = &sum
	c.Verdict, c.FirstSeen = ctwatch.Unreviewed, at
	c.SetPins()
	return c
}

// record keeps what the daemon saw of an endpoint.
func (d *daemon) record(ctx context.Context, l probe.Look) error {
	if err := d.db.Endpoints.Observe(ctx, observation(l, d.list.Current())); err != nil {
		return fmt.Errorf("%s: %w", strings.TrimSpace(l.Endpoint.String()), err)
	}
	return nil
}
