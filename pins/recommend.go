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
	Code string  `json:"code"` // one of the constants below
	Why  string  `json:"why"`  // what is wrong, and what to do
}

// The codes of refusals, which programs and apps may go by.
const (
	KeysDiffer     = "keys_differ"             // hosts of one pattern serve different keys
	NotApproved    = "served_key_not_approved" // nobody vouches for a key that is served
	ChainNotKnown  = "chain_not_known"         // the issuer's key of what is served is not known
	KeyCompromised = "served_key_compromised"  // a key that is served leaked
	NoKey          = "no_approved_key"         // nobody vouches for any key
	BelowMinPins   = "below_min_pins"          // there are fewer keys than the app's min_pins
	NoBackupKey    = "no_backup"               // all keys are in the chains that are served
	NotProbed      = "not_probed"              // what is served is not known
)

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
		hs, refusal := v.recommend(app, &t)
		if refusal != nil {
			refusals = append(refusals, *refusal)
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
	set.Revoked = v.revoked(app, Published{})
	v.date(app, &set)
	return set, unseen, nil
}

// recommend chooses the pins of a target's hosts, and says what is wrong with them, the
// worst first; nil if nothing is. Unless hosts differ, the pins are there all the same:
// those of all keys that somebody vouches for.
func (v *View) recommend(app *App, t *target) (hs HostSet, refusal *Refusal) {
	p := t.Pattern
	refuse := func(code, format string, args ...any) {
		if refusal == nil {
			refusal = &Refusal{App: app.Name, Host: p, Code: code, Why: fmt.Sprintf(format, args...)}
		}
	}
	hs = HostSet{Pattern: p}
	if why := v.differ(app, t); why != "" {
		refuse(KeysDiffer, "%s", why)
		return hs, refusal
	}
	served, leaked := v.pinnable(p, t.served, app.Role), Pin{}
	for _, pin := range served {
		switch {
		case v.isCompromised(pin):
			leaked = pin
		case v.givenUp(pin) != "":
			refuse(NotApproved, "The key served now, %s, is %s. Serve another one first.", pin, v.givenUp(pin))
		case v.Trusted(pin, app.Role, p) != nil:
			hs.Pins = append(hs.Pins, pin)
		case v.isRejected(pin):
			refuse(NotApproved, "The key served now, %s, is that of a certificate that was rejected: serve another one.", pin)
		default:
			refuse(NotApproved, "The key served now, %s, is not approved for it. If it is %s: %s.", pin, app.Role.words(), v.approve(pin, app.Role, p))
		}
	}
	if len(t.served) > 0 && len(served) == 0 {
		refuse(ChainNotKnown, "The chain served now does not show its issuer's key.")
	}
	if !leaked.IsZero() {
		refuse(KeyCompromised, "The key served now, %s, is compromised. Serve another one first.", leaked)
	}
	count, backup := len(hs.Pins), false
	for _, k := range v.TrustedFor(p, app.Role) {
		if !v.belongs(app, k, t) || slices.Contains(hs.Pins, k.Pin) {
			continue
		}
		hs.Pins = append(hs.Pins, k.Pin)
		if k.State.Coming() { // what stays for a rollback is no backup
			count++
			backup = backup || !inChains(t.served, k.Pin)
		}
	}
	switch {
	case count == 0:
		refuse(NoKey, "No key is approved for it.%s", v.perhaps(app, t))
	case count < app.MinPins:
		refuse(BelowMinPins, "%s needs %d pins (min_pins), and %s approved for it.%s", app.Name, app.MinPins, keysAre(count), v.perhaps(app, t))
	case !backup && app.MinPins > 1 && len(served) > 0:
		refuse(NoBackupKey, "All keys approved for it are served now: none is a backup.%s", v.perhaps(app, t))
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

// date fills in what the set rests on and for how long.
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
	for _, k := range v.leaked {
		if slices.Contains(set.Revoked, k.Pin) {
			latest(k.ChangedAt)
		}
	}
	io.WriteString(digest, fmt.Sprint(set.Revoked))
	set.Plan = hex.EncodeToString(digest.Sum(nil)[:8])
}

func keysAre(n int) string {
	if n == 1 {
		return "only 1 key is"
	}
	return fmt.Sprintf("only %d keys are", n)
}
