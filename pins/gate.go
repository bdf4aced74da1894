package pins

import (
	"fmt"
	"slices"
)

// A Problem is a reason of a gate to say no.
type Problem struct {
	App     string  `json:"app"`
	Version string  `json:"version,omitempty"` // the version concerned; "" for all
	Host    Pattern `json:"host,omitzero"`     // zero where it concerns the file as a whole
	Place   string  `json:"place,omitempty"`   // in the file: "line:column"; "" where it has none
	Why     string  `json:"why"`               // what would happen, and what to do
}

// Gate judges a certificate that is about to be served: which supported versions
// of an app would refuse it, at which of the app's hosts. It says nothing of hosts
// that none of the certificate's names covers; concerned counts the others.
//
// Chains are those that clients may build for the certificate, at least one. Which of
// several a client builds nobody knows: each has to be accepted.
func (v *View) Gate(app *App, names []Pattern, chains ...Chain) (problems []Problem, concerned int) {
	chains = v.completeSent(chains)
	versions := slices.Clone(app.Versions)
	SortVersions(versions)
	for _, p := range app.Hosts {
		if !namesCover(names, p) {
			continue
		}
		concerned++
		if state := v.givenUp(chains[0].Leaf()); state != "" {
			// Whether or not a version ships its pin: it is in no set and no signed document.
			problems = append(problems, Problem{App: app.Name, Host: p, Why: fmt.Sprintf("Its key %s is %s.", chains[0].Leaf(), state)})
			continue
		}
		t := v.target(app, p)
		hosts := t.orSample()
		if p.Reach == OneBelow {
			// Of the hosts below, those that the certificate names count, known or not.
			for _, n := range names {
				if own := (Pattern{Name: n.Name}); n == own && p.Matches(n.Name) && !slices.Contains(hosts, n.Name) && !slices.Contains(app.Hosts, own) {
					hosts = append(slices.Clip(hosts), n.Name)
				}
			}
		}
		for _, ver := range versions {
			for _, h := range hosts {
				if !slices.ContainsFunc(names, func(n Pattern) bool { return n.Matches(h) }) {
					continue
				}
				if why := v.refusal(ver.Rules.Requirements(h, v.now), chains, h); why != "" {
					problems = append(problems, Problem{App: app.Name, Version: ver.Name, Host: p, Why: why})
					break
				}
			}
		}
	}
	return problems, concerned
}

// completeSent completes chains that a server sends.
func (v *View) completeSent(chains []Chain) (out []Chain) {
	for _, c := range chains {
		for _, full := range v.complete(c) {
			full.Added += len(full.Pins) - len(c.Pins)
			out = append(out, full)
		}
	}
	return out
}

// refusal says why requirements refuse one of the chains that a client may build; ""
// if they accept all.
func (v *View) refusal(rs []Requirement, chains []Chain, host string) string {
	for _, c := range chains {
		c = v.described(rs, c)
		for _, r := range rs {
			crash, met := r.meet(c)
			if met {
				continue
			}
			why := r.refusal(c, crash, host)
			if len(chains) > 1 && c.Root != "" {
				why += fmt.Sprintf(" This is so in the chain that ends at the root %s; clients may build that one or another.", c.Root)
			}
			return why
		}
	}
	return ""
}

// refusal says why a requirement refuses a chain. Where crash is not negative, it is
// the key of the chain at which the app crashes.
func (r Requirement) refusal(c Chain, crash int, host string) string {
	unsure := ""
	if c.Open && r.At != AtLeaf {
		unsure = " The chain is not known to its end: if it is one of a higher CA's keys that is pinned, give the whole chain."
	}
	switch {
	case crash >= 0:
		return fmt.Sprintf("At %s the app crashes at the key %s of the chain: it is %s, and its client can hash only %s.", host, c.Pins[crash], c.algorithm(crash), wordList(r.Algorithms))
	case r.At == AtLeaf:
		return fmt.Sprintf("At %s it wants a leaf key of %s; this one is %s.", host, pinList(r.Pins), c.Leaf())
	case r.At == AtIssuers, r.At == AtSent && r.Leaves == 0 && !r.unsent(c):
		return fmt.Sprintf("At %s it wants an issuer key of %s, which this chain does not show.%s", host, pinList(r.Pins), unsure)
	case r.unsent(c):
		return fmt.Sprintf("At %s it wants the server to send a certificate of the issuer key it names, of %s, and the file does not have it: add that certificate to the file.", host, pinList(r.Pins))
	}
	return fmt.Sprintf("At %s it wants one of %s; this key is %s.%s", host, pinList(r.Pins), c.Leaf(), unsure)
}

// unsent reports whether it is only for not being sent that no pin matches.
func (r Requirement) unsent(c Chain) bool {
	sent := c
	sent.Added = 0
	return r.MetBy(sent)
}

// Check judges rules that an app is about to be released with: whether they pin
// each of its hosts, accept what is served now and what is approved to come, have
// a backup, do not end before they are replaced, and name no key that is not
// approved for its host. Warnings are what a person should know, and no reason to
// say no.
func (v *View) Check(app *App, rules Rules) (problems, warnings []Problem) {
	for _, p := range app.Hosts {
		c := checker{v: v, app: app, target: v.target(app, p), rules: rules}
		c.check()
		problems = append(problems, c.problems...)
		warnings = append(warnings, c.warnings...)
	}
	return problems, warnings
}

// Unseen lists the hosts and patterns of an app of which nothing is known to be served,
// so that Check could compare nothing with the rules there.
func (v *View) Unseen(app *App) []Pattern {
	var out []Pattern
	for _, p := range app.Hosts {
		if t := v.target(app, p); len(t.served) == 0 {
			out = append(out, p)
		}
	}
	return out
}

type checker struct {
	v   *View
	app *App
	target
	rules Rules

	problems, warnings []Problem
}

func (c *checker) bad(format string, args ...any) {
	c.add(&c.problems, format, args...)
}

func (c *checker) warn(format string, args ...any) {
	c.add(&c.warnings, format, args...)
}

func (c *checker) add(to *[]Problem, format string, args ...any) {
	p := Problem{App: c.app.Name, Host: c.Pattern, Why: fmt.Sprintf(format, args...)}
	if !slices.Contains(*to, p) {
		*to = append(*to, p)
	}
}

func (c *checker) check() {
	v, role := c.v, c.app.Role
	for _, h := range c.orSample() {
		rs := c.rules.Requirements(h, v.now)
		if len(rs) == 0 {
			c.bad("%s", unpinned(c.rules, h, v.now))
			continue
		}
		for _, r := range rs {
			c.checkKeys(r)
		}
		for _, s := range v.served[h] {
			if d, leaked := v.danger(s); d == compromised && !v.accepts(rs, s.Chain) {
				c.warn("It refuses what %s serves now at %s, where the key %s is compromised: serve another one.", h, s.Address, leaked)
			} else if !v.accepts(rs, s.Chain) {
				c.bad("It refuses what %s serves now at %s: %s.", h, s.Address, v.mismatch(rs, s.Chain, role))
			}
		}
		c.checkBackup(h, rs)
		if end := c.rules.Ends(h); !end.IsZero() && end.Before(v.now.Add(c.app.LeadTime)) {
			c.bad("Its pins for %s end on %s, before a version after this one can be out (lead time %s): from then on it does not pin.", h, day(end), c.app.LeadTime)
		}
		for _, next := range v.coming(&c.target) {
			if v.accepts(rs, next.Chain) || !namesCover(next.Names, Pattern{Name: h}) && !namesCover(next.Names, c.Pattern) {
				continue
			}
			pin := next.Chain.Of(role)
			if v.Trusted(pin, role, c.Pattern) != nil {
				c.bad("It refuses the certificate issued on %s (%s), whose key %s is approved: add it.", day(next.NotBefore), shortID(next.ID), pin)
			} else if state := v.givenUp(pin); state != "" {
				c.warn("It refuses the certificate issued on %s (%s), whose %s is %s: do not deploy that.", day(next.NotBefore), shortID(next.ID), keyWords(pin, role), state)
			} else {
				c.warn("It refuses the certificate issued on %s (%s), whose %s nobody has approved. Do not deploy that, or approve its key and add it.", day(next.NotBefore), shortID(next.ID), keyWords(pin, role))
			}
		}
	}
}

// mismatch says in what a chain that is served does not meet requirements.
func (v *View) mismatch(rs []Requirement, c Chain, role Role) string {
	for _, full := range v.complete(c) {
		full = v.described(rs, full)
		for _, r := range rs {
			if crash, _ := r.meet(full); crash >= 0 {
				return fmt.Sprintf("the app crashes at the key %s of the chain, which is %s", full.Pins[crash], full.algorithm(crash))
			}
		}
	}
	return fmt.Sprintf("none of its pins is that of %s", keyWords(c.Of(role), role))
}

// checkKeys refuses pins that the client can make no use of, and those that nobody
// vouches for.
func (c *checker) checkKeys(r Requirement) {
	for i, pin := range r.Pins {
		useless, unsure := c.v.unusable(r, i)
		switch {
		case useless != "":
			c.bad("%s", useless)
		case !c.v.trustedAt(pin, r.Place(i), c.Pattern):
			c.bad("%s", c.untrusted(pin, r.Place(i)))
		case unsure != "":
			c.warn("%s", unsure)
		}
	}
}

// untrusted says why a pin that nobody vouches for at the host is not to be shipped.
func (c *checker) untrusted(pin Pin, place Position) string {
	k, role := c.v.anyKey(pin), c.app.Role
	if !place.Takes(role) {
		role = map[Role]Role{RoleLeaf: RoleIssuer, RoleIssuer: RoleLeaf}[role]
	}
	switch {
	case k == nil:
		return fmt.Sprintf("It pins %s, a key that nobody has declared. If it is %s: %s.", pin, role.words(), c.v.approve(pin, role, c.Pattern))
	case c.v.givenUp(pin) != "":
		return fmt.Sprintf("It pins %s, which is %s: leave it out.", pin, c.v.givenUp(pin))
	case k.State.Trusted():
		return fmt.Sprintf("It pins %s, which is approved for %s and not for %s.", pin, patternList(k.ApprovedFor), c.Pattern)
	case k.State == StateSeen && slices.ContainsFunc(c.v.issuedFor[pin], func(i *Issued) bool { return i.Rejected }):
		return fmt.Sprintf("It pins %s, the key of a certificate that should not exist (%s), and nobody has approved it. If the key is not yours, leave it out. If it is, the certificate was issued for it without you: approve the key (ctwatch pins approve %s --host %s --reason TEXT), and reject the certificate.",
			pin, shortID(c.rejectedID(pin)), pin, shellWord(c.Pattern.String()))
	case k.State == StateSeen:
		return fmt.Sprintf("It pins %s, which was seen in a certificate and approved by nobody. If it is %s: %s.", pin, role.words(), c.v.approve(pin, role, c.Pattern))
	}
	return fmt.Sprintf("It pins %s, which is %s: leave it out.", pin, k.State)
}

// rejectedID returns the ID of the certificate for which a key is refused.
func (c *checker) rejectedID(pin Pin) string {
	all := c.v.issuedFor[pin]
	return all[slices.IndexFunc(all, func(i *Issued) bool { return i.Rejected })].ID
}

// checkBackup wants a pin that is not in the chain, for each requirement.
func (c *checker) checkBackup(host string, rs []Requirement) {
	for _, r := range rs {
		if n := len(AllPins([]Requirement{r})); n < c.app.MinPins {
			c.bad("It has %d of the %d %ss for %s that %s wants.", n, c.app.MinPins, r.At.pinWord(), host, c.app.Name)
		}
		served := c.v.served[host]
		if c.app.MinPins < 2 || len(served) == 0 {
			continue
		}
		if !c.v.hasUsable(r, func(p Pin) bool { return !inChains(served, p) }) {
			c.bad("Each %s for %s is in the chain served now: there is no backup.", r.At.pinWord(), host)
		}
	}
}

func patternList(ps []Pattern) string {
	var out []string
	for _, p := range ps[:min(3, len(ps))] {
		out = append(out, p.String())
	}
	if n := len(ps) - 3; n > 0 {
		out = append(out, fmt.Sprintf("%d more", n))
	}
	return wordList(out)
}
