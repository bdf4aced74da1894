package setup

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"ctwatch/ctwatch/entry"
	"ctwatch/ctwatch/words"
	"ctwatch/pins"
	"ctwatch/pins/probe"
)

// findEndpoints lists where watched names and the hosts of apps are served: the endpoints
// that the watch list names, or the names themselves at port 443.
func (inv *Inventory) findEndpoints() {
	hosts := inv.appHosts()
	covered := make(map[string]bool) // hosts that have an endpoint by the watch list
	for i := range inv.Watched {
		w := &inv.Watched[i]
		inv.endpointsOf(w, hosts)
		for _, ep := range w.Endpoints {
			inv.addEndpoint(ep)
			covered[ep.Host] = true
		}
	}
	for _, h := range hosts {
		if !covered[h] && !inv.silenced(pins.Pattern{Name: h}) {
			inv.addEndpoint(pins.Endpoint{Host: h})
		}
	}
}

func (inv *Inventory) addEndpoint(ep pins.Endpoint) {
	if !slices.Contains(inv.Endpoints, ep) {
		inv.Endpoints = append(inv.Endpoints, ep)
	}
}

// endpointsOf finds the endpoints of a line of the watch list.
//
// An endpoint whose name the rule covers is probed for that name. Any other, such as an
// address, is probed for the name that the rule is about, and for the apps' hosts below it.
func (inv *Inventory) endpointsOf(w *Watched, hosts []string) {
	rule, named := Pattern(w.Rule)
	if !named {
		return
	}
	if w.entry.Endpoints == nil { // auto
		w.Endpoints = []pins.Endpoint{{Host: rule.Name}}
	}
	for _, ep := range w.entry.Endpoints {
		if rule.Matches(ep.Host) {
			w.Endpoints = append(w.Endpoints, ep)
			continue
		}
		ask := []string{rule.Name}
		for _, h := range hosts {
			if _, line, _ := inv.narrowest(pins.Pattern{Name: h}); line == w && !slices.Contains(ask, h) && !w.namesEndpoint(h) {
				ask = append(ask, h)
			}
		}
		for _, h := range ask {
			w.Endpoints = append(w.Endpoints, pins.Endpoint{Host: h, Target: ep.HostPort(), Configured: true})
		}
	}
}

// namesEndpoint reports whether a line names an endpoint of exactly this name.
func (w *Watched) namesEndpoint(host string) bool {
	return slices.ContainsFunc(w.entry.Endpoints, func(ep pins.Endpoint) bool { return ep.Host == host })
}

// silenced reports whether the narrowest line for a host turns off probing.
func (inv *Inventory) silenced(host pins.Pattern) bool {
	_, line, _ := inv.narrowest(host)
	return line != nil && line.entry.Unprobed()
}

// Unprobed reports whether probing of a pattern's hosts is turned off: everywhere, or for
// their domain.
func (inv *Inventory) Unprobed(p pins.Pattern) bool {
	return inv.Config.Probe.Interval == 0 || inv.silenced(p) && !slices.ContainsFunc(inv.Endpoints, func(ep pins.Endpoint) bool { return p.Matches(ep.Host) })
}

// Probing says in a sentence which endpoints are probed.
func (inv *Inventory) Probing() string {
	if inv.Config.Probe.Interval == 0 {
		return "probing is off (probe.interval is 0): plans and gates do not know what hosts serve"
	}
	const most = 5
	var all []string
	for _, ep := range inv.Endpoints {
		all = append(all, ep.String())
	}
	if len(all) == 0 {
		return "probes no endpoints"
	}
	every := strings.NewReplacer("h0m0s", "h", "m0s", "m").Replace(inv.Config.Probe.Interval.String())
	return fmt.Sprintf("probes %s every %s: %s; to turn off, set endpoints: [] for a domain, or probe: {interval: 0}", words.Count(len(all), "endpoint"), every, words.Short(all, most))
}

// appHosts lists the hosts of all apps that are not patterns.
func (inv *Inventory) appHosts() []string {
	var out []string
	for _, app := range inv.Apps {
		for _, p := range app.Hosts {
			if p.Reach == pins.Exact && !slices.Contains(out, p.Name) {
				out = append(out, p.Name)
			}
		}
	}
	return out
}

// HostsFor returns the endpoints' hosts that a certificate's names cover. There may be many
// of either.
func (inv *Inventory) HostsFor(names []pins.Pattern) []string {
	covered := pins.NewPatternSet(names...)
	seen := make(map[string]bool)
	var out []string
	for _, ep := range inv.Endpoints {
		if _, err := netip.ParseAddr(ep.Host); err == nil || seen[ep.Host] || !covered.Covers(pins.Pattern{Name: ep.Host}) {
			continue
		}
		seen[ep.Host] = true
		out = append(out, ep.Host)
	}
	return out
}

// Prober returns a prober of servers, from this machine.
func Prober() *probe.Prober {
	return probe.New(probe.Config{ID: func(der []byte) string {
		tbs, err := entry.TBS(der)
		if err != nil {
			return ""
		}
		id, _, err := entry.Identity(tbs)
		if err != nil {
			return ""
		}
		return id.String()
	}})
}
