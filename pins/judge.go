package pins

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The judge looks from the mildest finding to the worst; a later one replaces an
// earlier one.

func (j *judge) found(s Status, what, toDo string) {
	j.why = finding{status: s, what: what, toDo: toDo}
}

// findUnknown begins with ok, or with what is missing for a judgment.
func (j *judge) findUnknown() {
	switch {
	case len(j.app.Unreadable) > 0:
		j.found(StatusUnknown, unreadable(j.app), "")
	case len(j.versions) == 0:
		j.found(StatusUnknown, fmt.Sprintf("No version of %s is known.", j.app.Name),
			fmt.Sprintf("Tell what the released ones ship: ctwatch pins import --app %s --version VERSION FILE.", shellWord(j.app.Name)))
	case j.pinning == 0:
		j.found(StatusUnknown, fmt.Sprintf("No supported version of %s pins %s.", j.app.Name, j.Pattern), "Export pins for it, and ship them.")
	case len(j.served) == 0 && j.v.Unprobed(j.Pattern):
		j.found(StatusUnknown, fmt.Sprintf("What %s serves is not looked at: probing is off.", j.Pattern), howToLook(j.Pattern))
	case len(j.served) == 0 && j.Pattern.Reach != Exact:
		j.found(StatusUnknown, fmt.Sprintf("No host of %s is known.", j.Pattern), "Name its endpoints in the watch list.")
	case len(j.served) == 0:
		j.found(StatusUnknown, fmt.Sprintf("What %s serves is not known.", j.Pattern),
			fmt.Sprintf("Look: ctwatch probe --record %s.", j.Pattern))
	default:
		j.found(StatusOK, fmt.Sprintf("Every supported version of %s accepts what %s serves%s.", j.app.Name, j.Pattern, j.fallback()), "")
	}
}

// unreadable says which versions of an app cannot be judged, why, and what to do.
func unreadable(app *App) string {
	u := app.Unreadable[0]
	what := fmt.Sprintf("What was imported for version %s cannot be read: %s.", u.Name, strings.TrimRight(u.Why, "."))
	if n := len(app.Unreadable) - 1; n > 0 {
		what += fmt.Sprintf(" So it is with %d other versions.", n)
	}
	return what + fmt.Sprintf(" Import it again (ctwatch pins import --app %s --version %s --replace FILE), or take it out (ctwatch pins drop --app %[1]s --version %[2]s).", shellWord(app.Name), shellWord(u.Name))
}

func (j *judge) fallback() string {
	if j.app.MinPins > 1 {
		return ", and has another pin to fall back on"
	}
	return ""
}

// findNoBackup looks for a version that cannot accept another key than those served
// now: each of its other pins is one that nobody vouches for, or is on its way out
// (RFC 7469 §4.3). Where pins at two positions have to match, each needs its own.
func (j *judge) findNoBackup(p *HostPlan) {
	if j.app.MinPins < 2 {
		return
	}
	for i, ver := range j.versions {
		for n, h := range j.asked {
			for _, r := range j.requirements(i, n) {
				if len(j.served) == 0 && len(r.Pins) > 1 || j.v.hasBackup(r, h, j.served) {
					continue
				}
				j.noBackup = true
				what := fmt.Sprintf("Each %s that version %s ships for %s is in the chain served now, or is no backup: when the key changes, the app breaks.", r.At.pinWord(), ver.Name, h)
				if len(j.served) == 0 {
					what = fmt.Sprintf("Version %s ships a single %s for %s: when the key changes, the app breaks.", ver.Name, r.At.pinWord(), h)
				}
				toDo := j.addOrDeclare(p)
				if i > 0 { // a newer version has one
					toDo = fmt.Sprintf("Version %s has one: have users update, and drop version %s (ctwatch pins drop --app %s --version %s) when it is no longer used.",
						j.versions[0].Name, ver.Name, shellWord(j.app.Name), shellWord(ver.Name))
				}
				j.found(StatusNoBackup, what+j.v.doubts(r, h, j.served), toDo)
				return
			}
		}
	}
}

func (at Position) pinWord() string {
	switch at {
	case AtLeaf:
		return "leaf pin"
	case AtIssuers, AtSent:
		return "issuer pin"
	}
	return "pin"
}

// addOrDeclare says how to get a backup.
func (j *judge) addOrDeclare(p *HostPlan) string {
	if len(p.Add) > 0 {
		return "Ship " + pinList(p.Add) + " in the next version."
	}
	if j.app.Role == RoleIssuer {
		return fmt.Sprintf("Choose the CA that you would change to, declare its key (%s), and ship its pin.", declareAnother(RoleIssuer, j.Pattern))
	}
	return fmt.Sprintf("Make the next key now, declare it (%s), and ship its pin.", declareAnother(RoleLeaf, j.Pattern))
}

// findExpiring looks for pins that end by themselves, and for a certificate that
// ends with nothing to follow it.
func (j *judge) findExpiring() {
	soon := j.v.now.Add(j.app.LeadTime)
	for _, ver := range j.versions {
		for _, h := range j.asked {
			if end := ver.Rules.Ends(h); !end.IsZero() && end.Before(soon) {
				verb := "end"
				if end.Before(j.v.now) {
					verb = "ended"
				}
				j.found(StatusExpiring,
					fmt.Sprintf("The pins that version %s ships for %s %s on %s: after that it does not pin at all.", ver.Name, h, verb, day(end)),
					"Release a version with a later date, or with none.")
				j.why.ends = end
				return
			}
		}
	}
	for _, s := range j.served {
		if !j.v.expiring(s, j.app.LeadTime) || j.succeeded(s) {
			continue
		}
		verb := "ends"
		if s.NotAfter.Before(j.v.now) {
			verb = "ended"
		}
		j.found(StatusExpiring,
			fmt.Sprintf("The certificate that %s serves at %s %s on %s, and no successor that every supported version accepts is known.", s.Host, s.Address, verb, day(s.NotAfter)),
			j.renew(s))
		return
	}
}

// renew says with which key to renew a certificate that is served.
func (j *judge) renew(s *Served) string {
	var with []string
	keys := j.v.pinnable(j.Pattern, []*Served{s}, j.app.Role)
	if len(keys) > 0 && !slices.ContainsFunc(keys, func(pin Pin) bool {
		k := j.v.Trusted(pin, j.app.Role, j.Pattern)
		return k == nil || !k.State.Coming()
	}) {
		with = append(with, "the same "+j.app.Role.keyWord())
	}
	if spares := j.spares(); len(spares) > 0 {
		with = append(with, "one that every supported version has, "+pinList(spares))
	}
	if with == nil {
		return "Renew it with a key that is shipped."
	}
	return "Renew it with " + strings.Join(with, ", or with ") + "."
}

func (r Role) keyWord() string {
	if r == RoleIssuer {
		return "issuer's key"
	}
	return "key"
}

// succeeded reports whether a certificate is known that outlives what is served, and
// that every version accepts.
func (j *judge) succeeded(s *Served) bool { return j.lastOf(s).After(s.NotAfter) }

// lastOf returns when the last certificate ends, of the one that is served and its
// successors that every version accepts.
func (j *judge) lastOf(s *Served) time.Time {
	last := s.NotAfter
	for _, c := range j.v.coming(&j.target) {
		if c.NotAfter.After(last) && namesCover(c.Names, Pattern{Name: s.Host}) && len(j.refusing(s.Host, c.Chain)) == 0 {
			last = c.NotAfter
		}
	}
	return last
}

// findWillBreak looks at what may be deployed next.
func (j *judge) findWillBreak(p *HostPlan) {
	var worst *Coming
	for _, c := range j.v.coming(&j.target) {
		pin := c.Chain.Of(j.app.Role)
		next := Coming{
			Pin: pin, Certificate: c.ID, NotBefore: c.NotBefore.UTC(),
			Trusted: j.v.Trusted(pin, j.app.Role, j.Pattern) != nil,
		}
		for _, h := range j.asked {
			if !namesCover(c.Names, j.Pattern) && !namesCover(c.Names, Pattern{Name: h}) {
				continue
			}
			for _, name := range j.refusing(h, c.Chain) {
				if !slices.Contains(next.Refused, name) {
					next.Refused = append(next.Refused, name)
				}
			}
		}
		if len(next.Refused) > 0 {
			what := fmt.Sprintf("A certificate was issued on %s (%s) with the %s, which %s not accept: deployed at %s, it breaks %s.",
				day(c.NotBefore), shortID(c.ID), keyWords(next.Pin, j.app.Role), versionsDo(next.Refused), j.Pattern, themOrIt(next.Refused))
			toDo := j.aboutComing(c, &next)
			next.Why = what + " " + toDo
			if worst == nil || worst.Trusted && !next.Trusted {
				worst = &next
				j.found(StatusWillBreak, what, toDo)
			}
		}
		p.Coming = append(p.Coming, next)
	}
}

// aboutComing says what to do about a certificate that would cut apps off.
func (j *judge) aboutComing(c *Issued, next *Coming) string {
	switch {
	case next.Pin.IsZero():
		return fmt.Sprintf("Do not deploy it before its issuer's key is known: ctwatch certs show %s.", shortID(c.ID))
	case next.Trusted:
		return fmt.Sprintf("Ship %s, and do not deploy the certificate while %s in use.", next.Pin, versionsAre(next.Refused))
	}
	if state := j.v.givenUp(next.Pin); state != "" {
		return fmt.Sprintf("This key is %s: do not deploy the certificate.", state)
	}
	return fmt.Sprintf("Nobody has approved this key for %s. If it is %s, do not deploy it yet: approve it (%s) and ship its pin first. If it is not, reject the certificate (ctwatch certs reject %s --reason TEXT).",
		j.Pattern, j.app.Role.words(), j.v.approve(next.Pin, j.app.Role, j.Pattern), shortID(c.ID))
}

// findDanger looks for what is served and has to be replaced, even if every version accepts it.
func (j *judge) findDanger() {
	for _, s := range j.served {
		d, pin := j.v.danger(s)
		if d == safe {
			continue
		}
		change := "Every key that its versions share is served already: declare another, and ship its pin."
		if j.app.Role == RoleIssuer && pin == s.Chain.Leaf() {
			change = "Have a certificate issued for a new key by a CA that is shipped, and serve that."
		} else if spares := j.spares(); len(spares) > 0 {
			change = "Every supported version has " + pinList(spares) + ": serve that."
		}
		what, toDo := fmt.Sprintf("%s at %s serves the key %s, which is compromised: anyone who has it can pose as the server.", s.Host, s.Address, pin), change
		if d == rejected {
			what = fmt.Sprintf("%s at %s serves the certificate %s, with the key %s, which was rejected.", s.Host, s.Address, shortID(s.ID), pin)
			toDo = "If it is not yours, somebody is between you and the server. " + change
		}
		j.found(StatusWillBreak, what, toDo)
		j.why.urgent = true
		return
	}
}

// findLeaked looks for versions that accept a key which is compromised, served or not.
func (j *judge) findLeaked() {
	for _, k := range j.v.leaked {
		var names []string
		for i, ver := range j.versions {
			for n := range j.asked {
				if slices.ContainsFunc(j.requirements(i, n), func(r Requirement) bool { return slices.Contains(r.Pins, k.Pin) }) {
					names = append(names, ver.Name)
					break
				}
			}
		}
		if len(names) == 0 {
			continue
		}
		what := fmt.Sprintf("The key %s is compromised, and %s it for %s: anyone who has the key can pose as the server.", k.Pin, versionsAccept(names), j.Pattern)
		const toDo = "Release a version without it, and have users update."
		if j.why.status != StatusOK {
			j.more = append(j.more, what, toDo)
			return
		}
		j.found(StatusWillBreak, what, toDo)
		j.why.urgent = true
		return
	}
}

func versionsAccept(names []string) string {
	if len(names) == 1 {
		return "version " + names[0] + " accepts"
	}
	return "versions " + wordList(names) + " accept"
}

// findNever looks for a version whose client can make no use of any of its pins for a
// host: it refuses every server. Of a host that was seen, what it serves decides.
func (j *judge) findNever() {
	for i, ver := range j.versions {
		for n, h := range j.asked {
			if len(j.v.served[h]) > 0 {
				continue
			}
			for _, r := range j.requirements(i, n) {
				if len(r.Pins) == 0 || j.v.hasUsable(r, func(Pin) bool { return true }) {
					continue
				}
				why, _ := j.v.unusable(r, 0)
				j.found(StatusBroken, fmt.Sprintf("The client of version %s can make no use of any %s for %s: connections fail, whatever is served. %s", ver.Name, r.At.pinWord(), h, why),
					"Release a version whose pins are right: ctwatch pins export writes them.")
				return
			}
		}
	}
}

// findBroken looks at what is served now.
func (j *judge) findBroken(p *HostPlan) {
	for _, s := range j.served {
		names := j.refusing(s.Host, s.Chain)
		if len(names) == 0 {
			continue
		}
		pin := s.Chain.Of(j.app.Role)
		unsure := ""
		if s.Chain.Open {
			unsure = " (its chain is known only as far as the server sends it)"
		}
		what := fmt.Sprintf("%s at %s serves the %s%s, which %s not accept: connections fail.",
			s.Host, s.Address, keyWords(pin, j.app.Role), unsure, versionsDo(names))
		toDo := "Serve a key that is shipped again, until a version with the new pin is out."
		d, key := j.v.danger(s)
		switch {
		case d == compromised:
			toDo = fmt.Sprintf("The key %s is compromised. Serve another one that is shipped.", key)
		case d == rejected:
			toDo = "Its certificate was rejected. If it is not yours, somebody is between you and the server. If it is, serve a key that is shipped again."
		case pin.IsZero():
		case j.v.givenUp(pin) != "":
			toDo = fmt.Sprintf("This key is %s. Serve another one that is shipped.", j.v.givenUp(pin))
		case j.v.Trusted(pin, j.app.Role, j.Pattern) == nil:
			toDo = fmt.Sprintf("Nobody has approved this key for %s. If it is not yours, somebody is between you and the server. If it is, serve a key that is shipped again, approve this one (%s) and ship its pin.",
				j.Pattern, j.v.approve(pin, j.app.Role, j.Pattern))
		case slices.Contains(p.Add, pin):
			toDo = fmt.Sprintf("Serve a key that is shipped again, until a version with %s is out.", pin)
		}
		if p.Broken == nil {
			j.found(StatusBroken, what, toDo)
			j.why.urgent = true
		}
		p.Broken = append(p.Broken, Broken{s, pin, names, what + " " + toDo})
	}
}

// sentence joins what is wrong, what to do and by when.
func (j *judge) sentence(p *HostPlan) string {
	parts := []string{j.why.what}
	if j.why.toDo != "" {
		parts = append(parts, j.why.toDo)
	}
	if (p.Status == StatusOK || p.Status == StatusExpiring) && len(p.Add) > 0 {
		parts = append(parts, "Ship "+pinList(p.Add)+" in the next version.")
	}
	if len(p.Remove) > 0 {
		parts = append(parts, "Leave out "+pinList(p.Remove)+".")
	}
	parts = append(parts, j.more...)
	if len(j.lax) > 0 && j.pinning > 0 {
		parts = append(parts, fmt.Sprintf("%s not pin %s.", capital(versionsDo(j.lax)), j.Pattern))
	}
	if p.Deadline != nil {
		if j.why.urgent {
			parts = append(parts, "Do it now.")
		} else if p.Deadline.After(j.v.now) {
			parts = append(parts, fmt.Sprintf("Release by %s.", day(*p.Deadline)))
		} else {
			parts = append(parts, fmt.Sprintf("The time to release was %s: do it now.", day(*p.Deadline)))
		}
	}
	return strings.Join(parts, " ")
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func shortID(id string) string { return id[:min(16, len(id))] }

func keyWords(p Pin, r Role) string {
	switch {
	case p.IsZero():
		return "key of an issuer that is not known"
	case r == RoleIssuer:
		return "issuer key " + p.String()
	}
	return "key " + p.String()
}

func pinList(ps []Pin) string {
	const most = 3
	var out []string
	for _, p := range ps[:min(most, len(ps))] {
		out = append(out, p.String())
	}
	if n := len(ps) - most; n > 0 {
		out = append(out, fmt.Sprintf("%d more", n))
	}
	return wordList(out)
}

func wordList(words []string) string {
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
	return strings.Join(words, "")
}

func versionsDo(names []string) string {
	if len(names) == 1 {
		return "version " + names[0] + " does"
	}
	return "versions " + wordList(names) + " do"
}

func versionsAre(names []string) string {
	if len(names) == 1 {
		return "version " + names[0] + " is"
	}
	return "versions " + wordList(names) + " are"
}

func themOrIt(names []string) string {
	if len(names) == 1 {
		return "it"
	}
	return "them"
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// shellWord quotes a word for a shell where it needs to be.
func shellWord(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@%+=,") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
