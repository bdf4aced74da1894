package setup

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"ctwatch/configs"
	"ctwatch/ctwatch/policy"
	"ctwatch/ctwatch/words"
	"ctwatch/pins"
)

// Warnings lists what a configuration without mistakes probably does not mean, each with
// its place.
func (inv *Inventory) Warnings() configs.Errors {
	w := warner{inv: inv}
	for i := range inv.Watched {
		w.watched(&inv.Watched[i])
	}
	w.files()
	for i := range inv.Apps {
		w.app(i)
	}
	return w.found
}

// A warner collects warnings.
type warner struct {
	inv   *Inventory
	found configs.Errors
}

func (w *warner) say(path, format string, args ...any) {
	var placed *configs.Error
	if errors.As(w.inv.Config.Errorf(path, format, args...), &placed) {
		w.found = append(w.found, placed)
	}
}

// watched checks a line of the watch list.
func (w *warner) watched(line *Watched) {
	p, named := Pattern(line.Rule)
	if named && p.Reach == pins.AllBelow && publicSuffix(p.Name) {
		w.say(line.Where.sub("domain"), "%s is a public suffix: everyone's certificates below it match; name your own domains, or set subdomains: false", p.Name)
	}
	never := seenTwice[pins.Pattern]{}
	for i, n := range line.Policy.Never {
		at := line.Where.sub("never[%d]", i)
		never.look(w, at, n, n.String())
		if named && !p.Covers(n) && !n.Covers(p) && !oneBelow(n, p) {
			w.say(at, "%s is not in %s: %s", n, line.entry.Domain, w.neverElsewhere(n))
		}
	}
	w.issuers(line)
	keys := seenTwice[pins.Pin]{}
	for i, k := range line.entry.Keys {
		keys.look(w, line.Where.sub("keys[%d]", i), k, k.String())
	}
	endpoints := seenTwice[pins.Endpoint]{}
	for i, ep := range line.entry.Endpoints {
		at, s := line.Where.sub("endpoints[%d]", i), ep.HostPort()
		endpoints.look(w, at, ep, s)
		if _, err := netip.ParseAddr(ep.Host); err != nil && named && !p.Matches(ep.Host) {
			w.say(at, "%s is not in %s: it is probed for the certificate of %s; to probe for its own, watch it in a line of its own", s, line.entry.Domain, p.Name)
		}
	}
}

// neverElsewhere returns what to do with a "never" name in a line about another domain.
func (w *warner) neverElsewhere(n pins.Pattern) string {
	if rule, _, ok := w.inv.narrowest(n); ok {
		return fmt.Sprintf("move it to the line of %s", rule.Domain)
	}
	return "no certificate for it is found; watch its domain, too"
}

// oneBelow reports whether wildcards that n stands for are valid for a name that p
// stands for: such certificates match p.
func oneBelow(n, p pins.Pattern) bool { return n.Reach == pins.OneBelow && n.Matches(p.Name) }

// issuers looks for a CA that a rule names twice, in any way.
func (w *warner) issuers(line *Watched) {
	cas, issuers := policy.NewCAs(), seenTwice[string]{}
	for i, issuer := range line.Policy.Issuers {
		key := issuer.String()
		if ca, ok := cas.Named(key); ok && issuer.Pin.IsZero() {
			key = ca.Name
		}
		issuers.look(w, line.Where.sub("issuers[%d]", i), key, issuer.String())
	}
}

// files checks the files of the watch list.
func (w *warner) files() {
	const most = 3
	var suffixes []string
	for part, r := range w.inv.List.Rules() {
		if p, named := Pattern(r); part > 0 && named && p.Reach == pins.AllBelow && publicSuffix(p.Name) {
			suffixes = append(suffixes, p.Name)
		}
	}
	if len(suffixes) > 0 {
		w.say("watch_files", "public suffixes are watched with all below them (%s): everyone's certificates below them match; name your own domains", words.Short(suffixes, most))
	}
}

// app checks the hosts of app i. Signed documents withhold hosts that are never probed,
// and hosts for which no certificate is ever seen, unless a person approves their keys.
func (w *warner) app(i int) {
	inv := w.inv
	hosts := seenTwice[pins.Pattern]{}
	for j, p := range inv.Config.Apps[i].Hosts {
		at := fmt.Sprintf("apps[%d].hosts[%d]", i, j)
		if hosts.look(w, at, p, p.String()) {
			continue
		}
		if p.Reach == pins.OneBelow && publicSuffix(p.Name) {
			w.say(at, "%s matches everyone's names below the public suffix %s: name your own hosts", p, p.Name)
		}
		if inv.Unprobed(p) {
			w.say(at, "probing of %s is off, so its pins are withheld from signed documents (%s) until it is probed: ctwatch probe --record", p, pins.NotProbed)
		} else if !slices.ContainsFunc(inv.Endpoints, func(ep pins.Endpoint) bool {
			return p.Matches(ep.Host) && (p.Reach == pins.Exact || !slices.Contains(inv.Apps[i].Hosts, pins.Pattern{Name: ep.Host}))
		}) {
			w.say(at, "no host of %s is probed, so its pins are withheld from signed documents (%s): name endpoints of it in the watch list", p, pins.NotProbed)
		}
		if _, _, ok := inv.narrowest(p); !ok {
			w.say(at, "%s is in no watched domain: no certificate for it is found, and its pins are withheld from signed documents (%s) until a person approves its keys: add it to the watch list", p, pins.NotApproved)
		}
	}
	for j, v := range inv.Config.Apps[i].Shipped {
		for _, p := range slices.SortedFunc(maps.Keys(v.Pins), func(a, b pins.Pattern) int { return strings.Compare(a.String(), b.String()) }) {
			if !slices.ContainsFunc(inv.Apps[i].Hosts, func(host pins.Pattern) bool { return host.Covers(p) || p.Covers(host) }) {
				w.say(fmt.Sprintf("apps[%d].shipped[%d].pins", i, j), "%s is not one of the app's hosts, so nothing is checked for it: add it to hosts, or correct the name", p)
			}
		}
	}
}

// seenTwice finds what a list has twice.
type seenTwice[T comparable] map[T]bool

// look reports whether a value was there before, and warns if it was.
func (s seenTwice[T]) look(w *warner, at string, value T, shown string) (again bool) {
	if again = s[value]; again {
		w.say(at, "%s is listed twice", shown)
	}
	s[value] = true
	return again
}

// publicSuffix reports whether everyone may register names below a domain, such as
// co.uk or github.io (publicsuffix.org). A domain
// that is in no list, as in private networks, is not one.
func publicSuffix(domain string) bool {
	suffix, icann := publicsuffix.PublicSuffix(domain)
	return suffix == domain && (icann || strings.Contains(domain, "."))
}
