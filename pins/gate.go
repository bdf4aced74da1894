package pins

import (
	"fmt"
	"slices"
)

// A Problem is a reason of a gate to say no.
type Problem struct {
	App     string  `json:"app"`
	Version string  `json:"version,omitempty"` // the version concerned; "" for all
	Host    Pattern `json:"host"`
	Why     string  `json:"why"` // what would happen, and what to do
}

// Gate judges a certificate that is about to be served: which supported versions
// of an app would refuse it, at which of the app's hosts. It says nothing of hosts
// that none of the certificate's names covers; concerned counts the others.
func (v *View) Gate(app *App, names []Pattern, chain Chain) (problems []Problem, concerned int) {
	chain = v.complete(chain)
	versions := slices.Clone(app.Versions)
	SortVersions(versions)
	for _, p := range app.Hosts {
		if !namesCover(names, p) {
			continue
		}
		concerned++
		if k := v.Key(chain.Leaf(), RoleLeaf); k != nil && k.State == StateCompromised {
			problems = append(problems, Problem{app.Name, "", p, fmt.Sprintf("Its key %s is compromised.", k.Pin)})
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
				rs := ver.Rules.Requirements(h, v.now)
				if Accepts(rs, chain) {
					continue
				}
				problems = append(problems, Problem{app.Name, ver.Name, p, refusal(rs, chain, h)})
				break
			}
		}
	}
	return problems, concerned
}

// refusal says why requirements refuse a chain.
func refusal(rs []Requirement, chain Chain, host string) string {
	for _, r := range rs {
		if r.MetBy(chain) {
			continue
		}
		unsure := ""
		if chain.Open && r.At != AtLeaf {
			unsure = " The chain is not known to its end: if it is one of a higher CA's keys that is pinned, give the whole chain."
		}
		switch r.At {
		case AtLeaf:
			return fmt.Sprintf("At %s it wants a leaf key of %s; this one is %s.%s", host, pinList(r.Pins), chain.Leaf(), unsure)
		case AtIssuers:
			return fmt.Sprintf("At %s it wants an issuer key of %s, which this chain does not show.%s", host, pinList(r.Pins), unsure)
		}
		return fmt.Sprintf("At %s it wants one of %s; this key is %s.%s", host, pinList(r.Pins), chain.Leaf(), unsure)
	}
	return ""
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
			c.bad("The file does not pin %s.", h)
			continue
		}
		c.checkKeys(AllPins(rs))
		for _, s := range v.served[h] {
			if !Accepts(rs, s.Chain) {
				c.bad("It refuses what %s serves now at %s: none of its pins is that of %s.", h, s.Address, keyWords(s.Chain.Of(role), role))
			}
		}
		c.checkBackup(h, rs)
		if end := c.rules.Ends(h); !end.IsZero() && end.Before(v.now.Add(c.app.LeadTime)) {
			c.bad("Its pins for %s end on %s, before a version after this one can be out (lead time %s): from then on it does not pin.", h, day(end), c.app.LeadTime)
		}
		for _, next := range v.coming(&c.target) {
			if Accepts(rs, v.complete(next.Chain)) || !namesCover(next.Names, Pattern{Name: h}) && !namesCover(next.Names, c.Pattern) {
				continue
			}
			pin := next.Chain.Of(role)
			if v.Trusted(pin, role, c.Pattern) != nil {
				c.bad("It refuses the certificate issued on %s (%s), whose key %s is approved: add it.", day(next.NotBefore), shortID(next.ID), pin)
			} else {
				c.warn("It refuses the certificate issued on %s (%s), whose %s nobody has approved. Do not deploy that, or approve its key and add it.", day(next.NotBefore), shortID(next.ID), keyWords(pin, role))
			}
		}
	}
}

// checkKeys refuses pins that nobody vouches for.
func (c *checker) checkKeys(ps []Pin) {
	for _, pin := range ps {
		switch leaf, issuer := c.v.Trusted(pin, RoleLeaf, c.Pattern), c.v.Trusted(pin, RoleIssuer, c.Pattern); {
		case leaf != nil || issuer != nil:
		default:
			k := c.v.anyKey(pin)
			switch {
			case k == nil:
				c.bad("It pins %s, a key that nobody has declared. If it is yours: ctwatch certs authorize %s --domain %s --reason TEXT.", pin, pin, shellWord(c.Pattern.String()))
			case k.State.Trusted():
				c.bad("It pins %s, which is approved for %s and not for %s.", pin, patternList(k.ApprovedFor), c.Pattern)
			case k.State == StateSeen && slices.ContainsFunc(c.v.issuedFor[pin], func(i *Issued) bool { return i.Rejected }):
				c.bad("It pins %s, the key of a certificate that should not exist: leave it out. If it is yours after all: ctwatch certs authorize %s --reason TEXT.", pin, c.rejectedID(pin))
			case k.State == StateSeen:
				c.bad("It pins %s, which was seen in a certificate and approved by nobody. If it is yours: ctwatch pins approve %s --host %s --reason TEXT.", pin, pin, shellWord(c.Pattern.String()))
			default:
				c.bad("It pins %s, which is %s: leave it out.", pin, k.State)
			}
		}
	}
}

// rejectedID returns the ID of the certificate for which a key is refused.
func (c *checker) rejectedID(pin Pin) string {
	all := c.v.issuedFor[pin]
	return all[slices.IndexFunc(all, func(i *Issued) bool { return i.Rejected })].ID
}

// checkBackup wants a pin that is not in the chain, for each requirement.
func (c *checker) checkBackup(host string, rs []Requirement) {
	for _, r := range rs {
		if len(r.Pins) < c.app.MinPins {
			c.bad("It has %d of the %d %ss for %s that %s wants.", len(r.Pins), c.app.MinPins, r.At.pinWord(), host, c.app.Name)
		}
		served := c.v.served[host]
		if c.app.MinPins < 2 || len(served) == 0 {
			continue
		}
		if !slices.ContainsFunc(r.Pins, func(p Pin) bool { return !inChains(served, p) }) {
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
