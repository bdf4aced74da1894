package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/cmd/ctwatch/terminal"
	"ctwatch/ctwatch"
	"ctwatch/pins"
)

func (a *app) probeCommand() *cobra.Command {
	var name string
	var record bool
	c := &cobra.Command{
		Use: "probe HOST[:PORT]...", Short: "Show the chain that a host serves, and its pins",
		Long: `probe connects to every address of a host, IPv4 and IPv6, requests its ECDSA and its RSA
certificate, and prints the chains with their pins. A server with only TLS 1.3 returns
only its preferred certificate.

With --record, probe stores the result for plans and exports, as the daemon does. With
--record and no host, it probes all endpoints of the configuration.`,
		Example: `  ctwatch probe api.example.com
  ctwatch probe --servername api.example.com 192.0.2.7:8443
  ctwatch probe --record`,
		RunE: func(c *cobra.Command, args []string) error { return a.probe(c.Context(), args, name, record) },
	}
	c.Flags().StringVar(&name, "servername", "", "request this `name` (SNI) instead of the host")
	c.Flags().BoolVar(&record, "record", false, "store the result for plans and exports")
	return a.jsonFlag(c, "print a JSON array with an element for each host")
}

func (a *app) probe(ctx context.Context, args []string, name string, record bool) error {
	var endpoints []pins.Endpoint
	for _, arg := range args {
		e, err := pins.ParseEndpoint(arg)
		if err != nil {
			return &usageError{err}
		}
		if name != "" {
			p, err := setup.ParseHost(name)
			if err != nil || p.Reach != pins.Exact {
				return usagef("--servername %s: want a host name", ctwatch.Printable(name, 100))
			}
			e = pins.Endpoint{Host: p.Name, Target: e.HostPort(), Configured: true}
		}
		endpoints = append(endpoints, e)
	}
	if !record {
		if len(endpoints) == 0 {
			return usagef("probe needs a host, or --record for those of the configuration")
		}
		return a.showLooks(setup.Prober().LookAll(ctx, endpoints))
	}
	return a.session(ctx, func(s *session) error {
		for i, e := range endpoints {
			// Record it under the target of the configuration.
			for _, known := range s.inv.Endpoints {
				if known.Host == e.Host && known.HostPort() == e.HostPort() {
					endpoints[i] = known
				}
			}
		}
		if len(endpoints) == 0 {
			endpoints = s.inv.Endpoints
		}
		if len(endpoints) == 0 {
			return usagef("no host given, and the configuration has no endpoints to probe")
		}
		looks := setup.Prober().LookAll(ctx, endpoints)
		for _, l := range looks {
			if err := s.db.Endpoints.Observe(ctx, l, s.inv.List.Describe); err != nil {
				return err
			}
		}
		if err := s.Refresh(ctx); err != nil {
			return err
		}
		return a.showLooks(looks)
	})
}

func (a *app) showLooks(looks []pins.Look) error {
	show := a.printLooks
	if a.json {
		show = func(looks []pins.Look) error { return a.printJSON(looks) }
	}
	if err := show(looks); err != nil {
		return err
	}
	if slices.ContainsFunc(looks, func(l pins.Look) bool { return l.Failure() != nil }) {
		return errReported
	}
	return nil
}

func (a *app) printLooks(looks []pins.Look) error {
	t := a.table("ENDPOINT", "ADDRESS", "KEY", "NOT AFTER", "PINS, LEAF FIRST")
	for _, l := range looks {
		endpoint := l.Endpoint.String()
		if l.Err != nil {
			t.Row(endpoint, "-", "-", "-", l.Err.Error())
		}
		for _, addr := range l.Addresses {
			for _, s := range addr.Served {
				for i, pin := range s.Chain.Pins {
					t.Row(first(i, endpoint), first(i, addr.Addr), first(i, s.Algorithm), first(i, terminal.Day(s.NotAfter)), pin.String())
				}
				if s.Problem != "" {
					t.Row("", "", "", "", "! "+s.Problem)
				}
			}
			if err := addr.Problem(); err != nil {
				t.Row(endpoint, addr.Addr, "-", "-", err.Error())
			}
		}
	}
	return t.Flush()
}
