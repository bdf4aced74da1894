package pins

import (
	"slices"
	"strings"
	"time"
)

// A Document is a pin document of an app, before it is signed.
type Document struct {
	App     string
	Serial  int64  // greater than that of every earlier document of the app
	Plan    string // Set.Plan, by which an issuer finds out whether the pins changed
	Issued  time.Time
	Payload []byte // what is signed
}

// A Leaf is a whole certificate, not only its precertificate, that a server of an app
// serves, or that a log has and a server may serve next.
type Leaf struct {
	Names      []Pattern // what it is served for, or its names: Exact or OneBelow
	Pin        Pin
	CommonName string // of its subject
	DER        []byte
	NotAfter   time.Time // zero: unreadable
}

// Published is the content of the last document of an app. The zero value means that
// there is none.
type Published struct {
	Hosts   map[Pattern][]Pin
	Revoked []Pin
}

// Publish makes the set of a signed document, which replaces the one before. It has the
// right pins for each host even if other hosts are withheld. A host is withheld for the
// reasons for which Recommend refuses, and if what it serves is not known. Two rules differ
// from those for a file that is built into an app:
//
// A compromised key is revoked at once. Devices are better off with the remaining pins than
// with the ones they have, even if there are fewer than min_pins and none of them is served.
// That is a warning.
//
// A withheld host keeps the pins that were published before and whose keys are still
// trusted, so that devices that replace all their pins do not stop pinning it.
//
// It fails with Refusals if every host is withheld and no key is revoked.
func (v *View) Publish(app *App, before Published) (Set, error) {
	set := Set{App: app.Name, Role: app.Role, Revoked: v.revoked(app, before)}
	for _, p := range app.Hosts {
		t := v.target(app, p)
		hs, withheld, warning := v.publishable(app, &t)
		if warning != nil {
			set.Warnings = append(set.Warnings, *warning)
		}
		if withheld != nil {
			set.Withheld = append(set.Withheld, *withheld)
			hs = HostSet{Pattern: p}
			for _, pin := range before.Hosts[p] {
				if !v.isCompromised(pin) && v.Trusted(pin, app.Role, p) != nil {
					hs.Pins = append(hs.Pins, pin)
				}
			}
		}
		if len(hs.Pins) > 0 {
			set.Hosts = append(set.Hosts, hs)
		}
	}
	if len(set.Withheld) == len(app.Hosts) && len(set.Revoked) == 0 {
		return Set{}, Refusals(set.Withheld)
	}
	for _, list := range [][]Finding{set.Withheld, set.Warnings} {
		slices.SortFunc(list, func(a, b Finding) int { return strings.Compare(a.Host.String(), b.Host.String()) })
	}
	v.date(app, &set)
	return set, nil
}

// publishable returns the pins of a target's hosts for a signed document; or why they are
// withheld; or the pins and what is wrong with them.
func (v *View) publishable(app *App, t *target) (hs HostSet, withheld, warning *Finding) {
	hs, wrong := v.recommend(app, t)
	switch {
	case wrong == nil && len(t.served) == 0:
		unseen := v.unseen(app, t.Pattern)
		return hs, &Finding{Code: NotProbed, App: app.Name, Host: t.Pattern, Role: app.Role, Because: []Finding{unseen}, Do: unseen.Do}, nil
	case wrong == nil:
		return hs, nil, nil
	case len(hs.Pins) > 0 && len(t.served) > 0 && v.afterCompromise(app, t, wrong):
		return hs, nil, wrong
	}
	return hs, wrong, nil
}

// afterCompromise reports whether the compromise of a key caused what is wrong with a
// target's pins.
func (v *View) afterCompromise(app *App, t *target, wrong *Finding) bool {
	switch wrong.Code {
	case KeyCompromised:
		return true
	case BelowMinPins, NoBackupKey:
		return slices.ContainsFunc(v.compromisedKeys, func(k *Key) bool {
			return k.Role == app.Role && v.isFor(k, t.Pattern) || ships(app, t.orSample(), k.Pin, v)
		})
	}
	return false
}

// revoked lists the compromised keys that devices of an app may trust: those that were
// ever approved or certified for one of its hosts, that a supported version ships, or
// that the last document has.
func (v *View) revoked(app *App, before Published) (out []Pin) {
	for _, k := range v.compromisedKeys {
		known := slices.Contains(before.Revoked, k.Pin)
		for _, list := range before.Hosts {
			known = known || slices.Contains(list, k.Pin)
		}
		for _, p := range app.Hosts {
			if known {
				break
			}
			known = k.Role == app.Role && v.isFor(k, p)
			if !known && len(app.Versions) > 0 {
				t := v.target(app, p)
				known = ships(app, t.orSample(), k.Pin, v)
			}
		}
		if known {
			out = append(out, k.Pin)
		}
	}
	return sortedPins(out)
}

// ships reports whether a version of an app pins a key for one of some hosts.
func ships(app *App, hosts []string, pin Pin, v *View) bool {
	for _, ver := range app.Versions {
		for _, h := range hosts {
			if slices.ContainsFunc(ver.Rules.Requirements(h, v.now), func(r Requirement) bool { return slices.Contains(r.Pins, pin) }) {
				return true
			}
		}
	}
	return false
}

// isFor reports whether a key was ever approved or certified for a pattern's
// hosts.
func (v *View) isFor(k *Key, p Pattern) bool {
	return slices.ContainsFunc(k.ApprovedFor, func(a Pattern) bool { return a.Covers(p) || p.Covers(a) }) ||
		slices.ContainsFunc(k.Hosts, func(h string) bool {
			name, err := PatternOf(h)
			return err == nil && (name.Covers(p) || p.Covers(name))
		})
}
