package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"ctwatch/configs"
	"ctwatch/ctwatch/policy"
	"ctwatch/ctwatch/watchlist"
	"ctwatch/pins"
	"ctwatch/pins/probe"
	"ctwatch/store"
)

// An estate is what the configuration says of apps, of trust, and of where things
// are served.
type estate struct {
	cfg       *configs.Config
	rules     []watchlist.Rule // the first ones are those of cfg.Watch, in its order
	apps      []pins.App       // with the versions that the configuration names
	grants    []store.PolicyGrant
	endpoints []probe.Endpoint

	verdictRules []policy.Rule // by which certificates are judged: those of cfg.Watch, in its order
}

// readEstate reads what the configuration says, with its watch list and the files that it
// names. An error has all mistakes.
func readEstate(cfg *configs.Config) (*estate, error) {
	wrong := configs.Mistakes{Config: cfg}
	rules, err := watchRules(cfg, nil)
	wrong.Add(err)
	e, err := newEstate(cfg, rules)
	wrong.Add(err)
	return e, wrong.Err()
}

// newEstate reads the configuration, with the files that it names. An error has all
// mistakes.
func newEstate(cfg *configs.Config, rules []watchlist.Rule) (*estate, error) {
	wrong := configs.Mistakes{Config: cfg}
	e := &estate{cfg: cfg, rules: rules}
	var err error
	e.apps, err = configuredApps(cfg)
	wrong.Add(err)
	e.verdictRules = e.policyRules(&wrong)
	e.grants = e.policyGrants()
	e.endpoints = e.allEndpoints(&wrong)
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	return e, nil
}

// pattern returns the names that a rule of the watch list stands for; ok is false
// for one about addresses.
func rulePattern(r watchlist.Rule) (p pins.Pattern, ok bool) {
	p = pins.Pattern{Name: r.Domain}
	if r.Subdomains {
		p.Reach = pins.AllBelow
	}
	return p, !r.Network.IsValid()
}

// policyGrants lists the keys that the watch list trusts: those authorised for a
// domain, and the keys of its issuers that are named by pin.
func (e *estate) policyGrants() []store.PolicyGrant {
	var out []store.PolicyGrant
	for i, w := range e.cfg.Watch {
		p, ok := rulePattern(e.rules[i])
		if !ok {
			continue
		}
		for _, pin := range w.Keys {
			out = append(out, store.PolicyGrant{Pin: pin, Role: pins.RoleLeaf, Pattern: p, Reason: "among the keys of " + w.Domain + " in the configuration"})
		}
		for _, issuer := range w.Issuers {
			if pin, err := pins.Parse(issuer); err == nil {
				out = append(out, store.PolicyGrant{Pin: pin, Role: pins.RoleIssuer, Pattern: p, Reason: "among the issuers of " + w.Domain + " in the configuration"})
			}
		}
	}
	return out
}

// ruleFor returns the index of the narrowest rule of the watch list that covers a
// host; -1 if none does.
func (e *estate) ruleFor(host pins.Pattern) int {
	best, length := -1, -1
	for i, r := range e.rules {
		if p, ok := rulePattern(r); ok && p.Covers(host) && len(p.Name) > length {
			best, length = i, len(p.Name)
		}
	}
	return best
}

// subject returns the watched domain that a host lies in, which events about it
// have as their subject.
func (e *estate) subject(host pins.Pattern) string {
	if i := e.ruleFor(host); i >= 0 {
		return e.rules[i].Domain
	}
	return host.Name
}

// allEndpoints lists where watched names and the hosts of apps are served: the
// endpoints that the watch list names, or the names themselves at port 443.
//
// An endpoint with a name of its own that the rule covers is asked for by that
// name. Any other, such as an address, is asked for by the name that the rule is
// about, and by the apps' hosts below it.
func (e *estate) allEndpoints(wrong *configs.Mistakes) []probe.Endpoint {
	var out []probe.Endpoint
	add := func(ep probe.Endpoint) {
		if !slices.Contains(out, ep) {
			out = append(out, ep)
		}
	}
	hosts := e.appHosts()
	covered := make(map[string]bool) // hosts that have an endpoint by the watch list
	for i, w := range e.cfg.Watch {
		rule, ok := rulePattern(e.rules[i])
		if !ok {
			continue
		}
		for j, s := range w.Endpoints {
			ep, err := probe.ParseEndpoint(s)
			if err != nil {
				wrong.At(err, "watch[%d].endpoints[%d]", i, j)
				continue
			}
			if rule.Matches(ep.Host) {
				add(ep)
				covered[ep.Host] = true
				continue
			}
			ask := []string{rule.Name}
			for _, h := range hosts {
				if e.ruleFor(pins.Pattern{Name: h}) == i && !slices.Contains(ask, h) && !e.ownEndpoint(i, h) {
					ask = append(ask, h)
				}
			}
			for _, h := range ask {
				add(probe.Endpoint{Host: h, Target: targetOf(ep), Configured: true})
				covered[h] = true
			}
		}
		if w.Endpoints == nil { // auto
			add(probe.Endpoint{Host: rule.Name})
			covered[rule.Name] = true
		}
	}
	for _, h := range hosts {
		if !covered[h] && !e.silenced(pins.Pattern{Name: h}) {
			add(probe.Endpoint{Host: h})
		}
	}
	return out
}

// silenced reports whether the narrowest rule for a host says that nothing is looked at.
func (e *estate) silenced(host pins.Pattern) bool {
	i := e.ruleFor(host)
	return i >= 0 && i < len(e.cfg.Watch) && e.cfg.Watch[i].Unprobed()
}

// unprobed reports whether looking at a pattern's hosts is turned off: everywhere, or for
// their domain.
func (e *estate) unprobed(p pins.Pattern) bool {
	return e.cfg.Probe.Interval == 0 || e.silenced(p) && !slices.ContainsFunc(e.endpoints, func(ep probe.Endpoint) bool { return p.Matches(ep.Host) })
}

// probing says in a sentence which endpoints are looked at, and why those that nobody
// named.
func (e *estate) probing() string {
	if e.cfg.Probe.Interval == 0 {
		return "probing is off (probe.interval is 0): plans and gates do not know what hosts serve"
	}
	var all []string
	watched, apps := 0, 0
	hosts := e.appHosts()
	for _, ep := range e.endpoints {
		all = append(all, ep.String())
		switch {
		case ep.Configured:
		case slices.Contains(hosts, ep.Host):
			apps++
		default:
			watched++
		}
	}
	if len(all) == 0 {
		return "probes no endpoints"
	}
	s := fmt.Sprintf("probes %s every %s: %s", countOf(len(all), "endpoint"), e.cfg.Probe.Interval, few(all, 5))
	if watched > 0 {
		s += fmt.Sprintf("; of them %d because they are watched (endpoints: auto)", watched)
	}
	if apps > 0 {
		s += fmt.Sprintf("; of them %d because an app names them", apps)
	}
	return s + "; turn off with endpoints: [] for a domain, or probe: {interval: 0}"
}

// countOf writes a number of things.
func countOf(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// ownEndpoint reports whether a rule names an endpoint of exactly this name.
func (e *estate) ownEndpoint(rule int, host string) bool {
	return slices.ContainsFunc(e.cfg.Watch[rule].Endpoints, func(s string) bool {
		ep, err := probe.ParseEndpoint(s)
		return err == nil && ep.Host == host
	})
}

// targetOf returns what is dialled for an endpoint.
func targetOf(ep probe.Endpoint) string {
	if ep.Target != "" {
		return ep.Target
	}
	return net.JoinHostPort(ep.Host, "443")
}

// appHosts lists the hosts of all apps that are no patterns.
func (e *estate) appHosts() []string {
	var out []string
	for _, app := range e.apps {
		for _, p := range app.Hosts {
			if p.Reach == pins.Exact && !slices.Contains(out, p.Name) {
				out = append(out, p.Name)
			}
		}
	}
	return out
}

// kept lists the endpoints as the store knows them.
func (e *estate) kept() []store.HostTarget {
	var out []store.HostTarget
	for _, ep := range e.endpoints {
		out = append(out, store.HostTarget{Host: ep.Host, Target: targetOf(ep)})
	}
	return out
}

// apply brings the store in line with the configuration: who is trusted by it, and
// what its rules say of each certificate.
func (e *estate) apply(ctx context.Context, db *store.DB, v *policy.Live) error {
	if err := db.Keys.SyncPolicy(ctx, e.grants); err != nil {
		return err
	}
	return v.Apply(ctx, db.Issuers)
}

// hostsFor lists the endpoints' hosts that a certificate's names cover.
func (e *estate) hostsFor(names []pins.Pattern) []string {
	var out []string
	for _, ep := range e.endpoints {
		if _, err := netip.ParseAddr(ep.Host); err == nil || slices.Contains(out, ep.Host) {
			continue
		}
		if slices.ContainsFunc(names, func(n pins.Pattern) bool { return n.Matches(ep.Host) }) {
			out = append(out, ep.Host)
		}
	}
	return out
}

// words joins names for a sentence.
func words[T fmt.Stringer](list []T) string {
	var out []string
	for _, v := range list {
		out = append(out, v.String())
	}
	return strings.Join(out, ", ")
}

// pinned returns the first app that pins a host for which a certificate's name stands.
func (e *estate) pinned(name string) (app, host string, ok bool) {
	n, err := pins.PatternOf(name)
	if err != nil {
		return "", "", false
	}
	for _, a := range e.apps {
		for _, h := range a.Hosts {
			if h.Covers(n) || n.Covers(h) {
				return a.Name, h.String(), true
			}
		}
	}
	return "", "", false
}
