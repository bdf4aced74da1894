package pins

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// A Refusal says why no pin set is made for a host.
type Refusal struct {
	App  string  `json:"app"`
	Host Pattern `json:"host"`
	Why  string  `json:"why"` // what is wrong, and what to do
}

func (r Refusal) Error() string { return fmt.Sprintf("%s: %s: %s", r.App, r.Host, r.Why) }

// Refusals are all the reasons against a pin set.
type Refusals []Refusal

func (rs Refusals) Error() string {
	var lines []string
	for _, r := range rs {
		lines = append(lines, r.Error())
	}
	return strings.Join(lines, "\n")
}

// Recommend makes the pin set that an app should ship or load: for each host the
// keys that are served now, and those approved for it that are to come.
//
// It fails with Refusals rather than make a set that would cut the app off, or that
// nobody vouches for: when a key that is served is not approved for the host; when
// there are fewer pins than the app wants, or, if it wants several, none besides
// what is served; when hosts of one pattern serve different keys. Of a host that
// was never seen to be served nothing can be said; it is listed in unseen, for the
// caller to decide.
func (v *View) Recommend(app *App) (set Set, unseen []Pattern, err error) {
	set = Set{App: app.Name, Role: app.Role}
	var refusals Refusals
	for _, p := range app.Hosts {
		t := v.target(app, p)
		hs, why := v.recommend(app, &t)
		if why != "" {
			refusals = append(refusals, Refusal{app.Name, p, why})
			continue
		}
		if len(t.served) == 0 {
			unseen = append(unseen, p)
		}
		set.Hosts = append(set.Hosts, hs)
	}
	if refusals != nil {
		return Set{}, nil, refusals
	}
	slices.SortFunc(set.Hosts, func(a, b HostSet) int { return strings.Compare(a.Pattern.String(), b.Pattern.String()) })
	v.date(app, &set)
	return set, unseen, nil
}

func (v *View) recommend(app *App, t *target) (hs HostSet, why string) {
	p, served := t.Pattern, v.pinnable(t.Pattern, t.served, app.Role)
	if why := v.differ(app, t); why != "" {
		return hs, why
	}
	for _, pin := range served {
		k := v.Key(pin, app.Role)
		switch {
		case k != nil && k.State == StateCompromised:
			return hs, fmt.Sprintf("The key served now, %s, is compromised. Serve another one first.", pin)
		case v.givenUp(pin) != "":
			return hs, fmt.Sprintf("The key served now, %s, is %s. Serve another one first.", pin, v.givenUp(pin))
		case k == nil || v.Trusted(pin, app.Role, p) == nil:
			return hs, fmt.Sprintf("The key served now, %s, is not approved for it. If it is %s: %s.", pin, app.Role.words(), v.approve(pin, app.Role, p))
		}
	}
	if len(t.served) > 0 && len(served) == 0 {
		return hs, "The chain served now does not show its issuer's key."
	}
	hs = HostSet{Pattern: p, Pins: served}
	for _, k := range v.TrustedFor(p, app.Role) {
		if v.belongs(k, t) && !slices.Contains(hs.Pins, k.Pin) {
			hs.Pins = append(hs.Pins, k.Pin)
		}
	}
	switch n := len(hs.Pins); {
	case n == 0:
		return hs, fmt.Sprintf("No key is approved for it.%s", v.perhaps(app, t))
	case n < app.MinPins:
		return hs, fmt.Sprintf("%s wants %d pins, and there are %d keys approved for it.%s", app.Name, app.MinPins, n, v.perhaps(app, t))
	case n == len(served) && app.MinPins > 1:
		return hs, fmt.Sprintf("All keys approved for it are served now: none is a backup.%s", v.perhaps(app, t))
	}
	if p.Reach == OneBelow {
		hs.Names = slices.Clone(t.hosts)
		for _, k := range v.TrustedFor(p, app.Role) {
			for _, c := range v.issuedFor[k.Pin] {
				for _, name := range c.Names {
					if name.Reach == Exact && p.Matches(name.Name) && !c.Rejected {
						hs.Names = append(hs.Names, name.Name)
					}
				}
			}
		}
		slices.Sort(hs.Names)
		hs.Names = slices.Compact(hs.Names)
	}
	return hs, ""
}

// differ tells of hosts of one pattern that serve different keys: they must not
// share pins.
func (v *View) differ(app *App, t *target) string {
	var first []Pin
	for i, h := range t.hosts {
		keys := v.pinnable(t.Pattern, v.served[h], app.Role)
		if i == 0 {
			first = keys
		} else if !slices.Equal(first, keys) {
			return fmt.Sprintf("%s and %s serve different keys, which are not to share pins. Name the hosts one by one among the app's hosts.", t.hosts[0], h)
		}
	}
	return ""
}

// perhaps names keys that are known for a host and approved by nobody.
func (v *View) perhaps(app *App, t *target) string {
	p := t.Pattern
	var waiting []Pin
	for _, c := range v.coming(t) {
		if pin := c.Chain.Of(app.Role); !pin.IsZero() && v.Trusted(pin, app.Role, p) == nil && v.givenUp(pin) == "" && !slices.Contains(waiting, pin) {
			waiting = append(waiting, pin)
		}
	}
	if len(waiting) == 0 {
		return fmt.Sprintf(" Declare another: %s.", declareAnother(app.Role, p))
	}
	command := fmt.Sprintf("ctwatch pins approve PIN --host %s --reason TEXT", shellWord(p.String()))
	if len(waiting) == 1 {
		command = v.approve(waiting[0], app.Role, p)
	}
	return fmt.Sprintf(" Certificates were issued for %s, which nobody has approved: if that is %s, %s.", pinList(waiting), app.Role.words(), command)
}

// date fills in what the set rests on and for how long, and what is revoked.
func (v *View) date(app *App, set *Set) {
	digest := sha256.New()
	fmt.Fprintf(digest, "%q %s\n", set.App, set.Role)
	latest := func(t time.Time) {
		if t.After(set.AsOf) {
			set.AsOf = t.UTC()
		}
	}
	for _, hs := range set.Hosts {
		fmt.Fprintf(digest, "%s %s\n", hs.Pattern, hs.Pins)
		for _, s := range v.target(app, hs.Pattern).served {
			if !s.NotAfter.IsZero() && (set.Until.IsZero() || s.NotAfter.Before(set.Until)) {
				set.Until = s.NotAfter.UTC()
			}
			latest(s.Since)
		}
		for _, pin := range hs.Pins {
			if algorithm := v.algorithm(pin); algorithm != "" {
				if set.Algorithms == nil {
					set.Algorithms = make(map[Pin]string)
				}
				set.Algorithms[pin] = algorithm
			}
			latest(v.Key(pin, app.Role).ChangedAt)
		}
	}
	for _, r := range v.keys {
		k := r.in(app.Role)
		if k != nil && k.State == StateCompromised && slices.ContainsFunc(app.Hosts, func(p Pattern) bool { return v.concerns(k, p) }) {
			set.Revoked = append(set.Revoked, k.Pin)
			latest(k.ChangedAt)
		}
	}
	set.Revoked = sortedPins(set.Revoked)
	io.WriteString(digest, fmt.Sprint(set.Revoked))
	set.Plan = hex.EncodeToString(digest.Sum(nil)[:8])
}

// concerns reports whether a key was ever approved or certified for a pattern's
// hosts.
func (v *View) concerns(k *Key, p Pattern) bool {
	return slices.ContainsFunc(k.ApprovedFor, func(a Pattern) bool { return a.Covers(p) || p.Covers(a) }) ||
		slices.ContainsFunc(k.Hosts, func(h string) bool {
			name, err := ParsePattern(h)
			return err == nil && (name.Covers(p) || p.Covers(name))
		})
}
