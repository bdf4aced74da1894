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

// A Set is the pins that an app should ship or load, for each of its hosts. Only keys that
// were approved for a host are among its pins. Recommend makes sets for files, in which
// every host has the keys that its servers serve now; Publish makes sets for signed
// documents, in which hosts may be withheld.
type Set struct {
	App  string
	Role Role // whether the pins are of leaf or issuer keys

	// Plan identifies the pins: a hash, the same for the same pins.
	Plan string
	// AsOf is when the newest fact behind the set became known. It changes only with the
	// set.
	AsOf time.Time
	// Until is when the first served certificate ends: review the set before. Zero if
	// nothing served is known.
	Until time.Time

	Hosts []HostSet // sorted by pattern
	// Algorithms has those of the pins' keys, as Key.Algorithm names them, where they
	// are known: not every client can hash every key.
	Algorithms map[Pin]string
	// Revoked are compromised keys. They are in no host's pins.
	Revoked []Pin // sorted

	// Withheld are the hosts for which no new pins are published, and Warnings what is
	// wrong with those that are: sorted by host. A withheld host is among Hosts with the
	// pins that were published before and are still good, if there are any.
	Withheld, Warnings []Finding
}

// A HostSet is the pins of one host, or of all hosts that a pattern stands for.
type HostSet struct {
	Pattern Pattern // Exact or OneBelow, as configured
	Pins    []Pin   // those served now first, then the others; each part sorted
	// Names are the hosts known to exist that the pattern stands for, sorted. A
	// format that cannot express the pattern spells these out instead.
	Names []string
}

// Refusals are all the reasons for which no pin set is made. Their codes are among the
// constants from KeysDiffer to NotProbed.
type Refusals []Finding

// Error lists hosts, codes and pins.
func (rs Refusals) Error() string {
	var lines []string
	for _, r := range rs {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s: %s: %s %s", r.App, r.Host, r.Code, r.Pin)))
	}
	return strings.Join(lines, "\n")
}

// Recommend makes the pin set that an app should ship or load: for each host the
// keys that are served now, and the approved ones that come next.
//
// It fails with Refusals rather than make a set that would break the app, or that has keys
// without approval: if a served key is not approved for the host; if there are fewer pins
// than min_pins, or, with min_pins above 1, no backup; if hosts of one pattern serve
// different keys. Hosts that were never reached cannot be checked, and are in unseen.
func (v *View) Recommend(app *App) (set Set, unseen []Finding, err error) {
	set = Set{App: app.Name, Role: app.Role}
	var refusals Refusals
	for _, p := range app.Hosts {
		t := v.target(app, p)
		hs, refusal := v.recommend(app, &t)
		if refusal != nil {
			refusals = append(refusals, *refusal)
			continue
		}
		if len(t.served) == 0 {
			unseen = append(unseen, v.unseen(app, p))
		}
		set.Hosts = append(set.Hosts, hs)
	}
	if refusals != nil {
		return Set{}, nil, refusals
	}
	set.Revoked = v.revoked(app, Published{})
	v.date(app, &set)
	return set, unseen, nil
}

// recommend chooses the pins of a target's hosts, and returns what is wrong with them, the
// worst alone; nil if nothing is. Unless hosts differ, the pins are there anyway:
// those of all trusted keys.
func (v *View) recommend(app *App, t *target) (hs HostSet, refusal *Finding) {
	p := t.Pattern
	refuse := func(f Finding) {
		if refusal == nil {
			f.App, f.Host, f.Role = app.Name, p, app.Role
			refusal = &f
		}
	}
	hs = HostSet{Pattern: p}
	if names := v.differ(app, t); names != nil {
		refuse(Finding{Code: KeysDiffer, Names: names, Do: []Action{{Do: ListHosts, App: app.Name}}})
		return hs, refusal
	}
	served, leaked := v.pinnable(p, t.served, app.Role), Pin{}
	for _, pin := range served {
		switch {
		case v.isCompromised(pin):
			leaked = pin
		case v.outOfUse(pin) != "":
			refuse(Finding{Code: NotApproved, Pin: pin, State: v.outOfUse(pin), Do: []Action{{Do: ServeKey}}})
		case v.Trusted(pin, app.Role, p) != nil:
			hs.Pins = append(hs.Pins, pin)
		case v.isRejected(pin):
			refuse(Finding{Code: NotApproved, Pin: pin, Certificate: v.rejectedID(pin), Do: []Action{{Do: ServeKey}}})
		default:
			refuse(Finding{Code: NotApproved, Pin: pin, Do: []Action{v.approve(pin, app.Role, p)}})
		}
	}
	if len(t.served) > 0 && len(served) == 0 {
		refuse(Finding{Code: ChainNotKnown})
	}
	if !leaked.IsZero() {
		refuse(Finding{Code: KeyCompromised, Pin: leaked, Do: []Action{{Do: ServeKey}}})
	}
	count, backup := len(hs.Pins), false
	for _, k := range v.TrustedFor(p, app.Role) {
		if !v.belongs(app, k, t) || slices.Contains(hs.Pins, k.Pin) {
			continue
		}
		hs.Pins = append(hs.Pins, k.Pin)
		if k.State.Coming() { // a key that stays for a rollback is not a backup
			count++
			backup = backup || !inChains(t.served, k.Pin)
		}
	}
	few := Finding{Have: count, Want: app.MinPins}
	switch {
	case count == 0:
		few.Code = NoKey
	case count < app.MinPins:
		few.Code = BelowMinPins
	case !backup && app.MinPins > 1 && len(served) > 0:
		few.Code = NoBackupKey
	}
	if few.Code != "" && refusal == nil {
		few.Because, few.Do = v.another(app, t)
		refuse(few)
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
	return hs, refusal
}

// differ returns two hosts of one pattern that serve different keys, which must not share
// pins; nil if there are none.
func (v *View) differ(app *App, t *target) []string {
	var first []Pin
	for i, h := range t.hosts {
		keys := v.pinnable(t.Pattern, v.served[h], app.Role)
		if i == 0 {
			first = keys
		} else if !slices.Equal(first, keys) {
			return []string{t.hosts[0], h}
		}
	}
	return nil
}

// another returns how to get another key: which ones are known for a host and wait for
// approval, or that one has to be declared.
func (v *View) another(app *App, t *target) (because []Finding, do []Action) {
	p := t.Pattern
	var waiting []Pin
	for _, c := range v.coming(t) {
		if pin := c.Chain.Of(app.Role); !pin.IsZero() && v.Trusted(pin, app.Role, p) == nil && v.outOfUse(pin) == "" && !slices.Contains(waiting, pin) {
			waiting = append(waiting, pin)
		}
	}
	switch len(waiting) {
	case 0:
		return nil, []Action{{Do: Declare, Role: app.Role, Host: p}}
	case 1:
		do = []Action{v.approve(waiting[0], app.Role, p)}
	default:
		do = []Action{{Do: Approve, If: Ours, Role: app.Role, Host: p, Pins: waiting}}
	}
	return []Finding{{Code: KeysWaiting, Pins: waiting}}, do
}

// date fills in the set's hash, since when it is right and until when.
func (v *View) date(app *App, set *Set) {
	slices.SortFunc(set.Hosts, func(a, b HostSet) int { return strings.Compare(a.Pattern.String(), b.Pattern.String()) })
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
	for _, r := range set.Withheld {
		fmt.Fprintf(digest, "%s withheld: %s\n", r.Host, r.Code)
	}
	for _, k := range v.compromisedKeys {
		if slices.Contains(set.Revoked, k.Pin) {
			latest(k.ChangedAt)
		}
	}
	io.WriteString(digest, fmt.Sprint(set.Revoked))
	set.Plan = hex.EncodeToString(digest.Sum(nil)[:8])
}
