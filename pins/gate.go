package pins

import (
	"cmp"
	"reflect"
	"slices"
	"time"
)

// An Answer is the result of a gate.
type Answer struct {
	Problems []Finding // they make the answer "no"
	Warnings []Finding // worth knowing; they do not make it "no"
	Unknown  []Finding // what would have to be known to say yes
	Hosts    int       // of apps, that were compared
}

// Safe reports whether it is known that nothing is wrong.
func (a *Answer) Safe() bool { return len(a.Problems)+len(a.Unknown) == 0 }

// A Candidate is a certificate that is about to be served.
type Candidate struct {
	Names    []Pattern
	NotAfter time.Time // zero if it has no end that can be read
	// Chains are those that clients may build for it, at least one. Which of several a
	// client builds is not known: each has to be accepted.
	Chains []Chain
}

// Gate judges a certificate that is about to be served: which supported versions of apps
// would refuse it, and at which of their hosts. Hosts that no name of the certificate covers
// are left out.
func (v *View) Gate(apps []App, c Candidate) (a Answer) {
	c.Chains = v.completeSent(c.Chains)
	var asked []string
	for i := range apps {
		app, before := &apps[i], a.Hosts
		asked = append(asked, app.Name)
		for _, p := range app.Hosts {
			if namesCover(c.Names, p) {
				a.Hosts++
				a.Problems = append(a.Problems, v.gate(app, p, &c)...)
			}
		}
		if a.Hosts == before {
			continue
		}
		for _, p := range app.Hosts {
			if !c.NotAfter.IsZero() && v.now.After(c.NotAfter) && slices.ContainsFunc(c.Names, func(n Pattern) bool { return n.Covers(p) }) {
				a.Problems = append(a.Problems, Finding{Code: CertificateEnded, App: app.Name, Host: p, Until: c.NotAfter})
			}
		}
		a.Unknown = append(a.Unknown, Unreadables(app)...)
		if len(app.Versions)+len(app.Unreadable) == 0 {
			a.Unknown = append(a.Unknown, NoReleasedVersion(app))
		}
	}
	if a.Hosts == 0 {
		a.Unknown = append(a.Unknown, Finding{Code: NoHostConcerned, Names: asked})
	}
	return a
}

// gate returns why versions of an app refuse a certificate at a pattern's hosts.
func (v *View) gate(app *App, p Pattern, c *Candidate) (problems []Finding) {
	add := func(f Finding) {
		f.App, f.Host = app.Name, p
		problems = append(problems, f)
	}
	leaf := c.Chains[0].Leaf()
	if state := v.outOfUse(leaf); state != "" {
		// Even if a version ships its pin: it is in no set and in no signed document.
		add(Finding{Code: KeyOutOfUse, Pin: leaf, State: state})
		return problems
	}
	t := v.target(app, p)
	hosts := t.orSample()
	if p.Reach == OneBelow {
		// Hosts below that the certificate names count, even unknown ones.
		for _, n := range c.Names {
			if own := (Pattern{Name: n.Name}); n == own && p.Matches(n.Name) && !slices.Contains(hosts, n.Name) && !slices.Contains(app.Hosts, own) {
				hosts = append(slices.Clip(hosts), n.Name)
			}
		}
	}
	versions := slices.Clone(app.Versions)
	SortVersions(versions)
	for _, ver := range versions {
		for _, h := range hosts {
			if !slices.ContainsFunc(c.Names, func(n Pattern) bool { return n.Matches(h) }) {
				continue
			}
			if f := v.refusal(ver.Rules.Requirements(h, v.now), c.Chains, h); f != nil {
				f.Versions = []string{ver.Name}
				add(*f)
				break
			}
		}
	}
	return problems
}

// completeSent completes chains that a server sends.
func (v *View) completeSent(chains []Chain) (out []Chain) {
	for _, c := range chains {
		for _, full := range v.completions(c) {
			full.Added += len(full.Pins) - len(c.Pins)
			out = append(out, full)
		}
	}
	return out
}

// refusal returns why requirements refuse one of the chains that a client may build; nil
// if they accept all.
func (v *View) refusal(rs []Requirement, chains []Chain, host string) *Finding {
	for _, c := range chains {
		c = v.withAlgorithms(rs, c)
		for _, r := range rs {
			crash, met := r.meet(c)
			if met {
				continue
			}
			f := r.refusal(c, crash)
			f.Names = []string{host}
			if len(chains) > 1 {
				f.Root = c.Root
			}
			return &f
		}
	}
	return nil
}

// refusal returns why a requirement refuses a chain. Where crash is not negative, it is the
// index of the key at which the app crashes.
func (r Requirement) refusal(c Chain, crash int) Finding {
	if crash >= 0 {
		return Finding{Code: ChainCrashes, Pin: c.Pins[crash], Algorithm: c.algorithm(crash), Algorithms: r.Algorithms}
	}
	f := Finding{Code: ChainRefused, At: r.At, Pins: r.Pins, Pin: c.Leaf()}
	switch {
	case r.At == AtLeaf:
	case r.At == AtIssuers, r.At == AtSent && r.Leaves == 0 && !r.unsent(c):
		f.Open = c.Open
	case r.unsent(c):
		f.Code, f.Do = IssuerNotSent, []Action{{Do: SendIssuer}}
	default:
		f.At, f.Open = Anywhere, c.Open
	}
	return f
}

// unsent reports whether it is only for not being sent that no pin matches.
func (r Requirement) unsent(c Chain) bool {
	sent := c
	sent.Added = 0
	return r.MetBy(sent)
}

// Check judges rules that an app is about to be released with: whether they pin each of
// its hosts, accept what is served now and what is approved to come, have a backup, do not
// end before they are replaced, and name no key that is not approved for its host. What is
// served is unknown for a host that was never reached.
func (v *View) Check(app *App, rules Rules) (a Answer) {
	for _, p := range app.Hosts {
		c := checker{v: v, app: app, target: v.target(app, p), rules: rules}
		c.check()
		a.Hosts++
		a.Problems = append(a.Problems, c.problems...)
		a.Warnings = append(a.Warnings, c.warnings...)
	}
	for _, p := range app.Hosts {
		if at := v.LastProbe(app, p); !at.IsZero() {
			a.Warnings = append(a.Warnings, lastProbed(app, p, at))
		}
		if t := v.target(app, p); len(t.served) == 0 {
			a.Unknown = append(a.Unknown, v.unseen(app, p))
		}
	}
	return a
}

type checker struct {
	v   *View
	app *App
	target
	rules Rules

	problems, warnings []Finding
}

func (c *checker) bad(f Finding)  { c.add(&c.problems, f) }
func (c *checker) warn(f Finding) { c.add(&c.warnings, f) }

func (c *checker) add(to *[]Finding, f Finding) {
	f.App, f.Host, f.Role = c.app.Name, c.Pattern, cmp.Or(f.Role, c.app.Role)
	if !slices.ContainsFunc(*to, func(o Finding) bool { return reflect.DeepEqual(o, f) }) {
		*to = append(*to, f)
	}
}

func (c *checker) check() {
	v, role := c.v, c.app.Role
	for _, h := range c.orSample() {
		rs := c.rules.Requirements(h, v.now)
		if len(rs) == 0 {
			c.bad(notPinning(c.rules, h, v.now))
			continue
		}
		for _, r := range rs {
			c.checkKeys(r)
		}
		for _, s := range v.served[h] {
			if v.accepts(rs, s.Chain) {
				continue
			}
			f := Finding{Names: []string{h}, Address: s.Address}
			if d, leaked := v.danger(s); d == compromised {
				f.Code, f.Pin, f.Do = FileRefusesCompromised, leaked, []Action{{Do: ServeKey}}
				c.warn(f)
			} else {
				f.Code, f.Because = FileRefusesServed, []Finding{v.mismatch(rs, s.Chain, role)}
				c.bad(f)
			}
		}
		c.checkBackup(h, rs)
		if end := c.rules.Ends(h); !end.IsZero() && end.Before(v.now.Add(c.app.LeadTime)) {
			c.bad(Finding{Code: FilePinsEnd, Names: []string{h}, Until: end, Lead: c.app.LeadTime})
		}
		for _, next := range v.coming(&c.target) {
			if !v.accepts(rs, next.Chain) && (namesCover(next.Names, Pattern{Name: h}) || namesCover(next.Names, c.Pattern)) {
				c.refusesComing(next)
			}
		}
	}
}

// refusesComing adds that the file refuses a certificate that may be deployed next. It is a
// problem if its key is approved.
func (c *checker) refusesComing(next *Issued) {
	pin := next.Chain.Of(c.app.Role)
	f := Finding{Code: FileRefusesComing, From: next.NotBefore, Certificate: next.ID, Pin: pin}
	if c.v.Trusted(pin, c.app.Role, c.Pattern) != nil {
		f.State, f.Do = StateApproved, []Action{{Do: AddPin, Pin: pin}}
		c.bad(f)
		return
	}
	f.State, f.Do = c.v.outOfUse(pin), []Action{{Do: DoNotDeploy, Certificate: next.ID}}
	if f.State == "" && !pin.IsZero() {
		f.Do = append(f.Do, c.v.approve(pin, c.app.Role, c.Pattern), Action{Do: AddPin, If: Ours, Pin: pin})
	}
	c.warn(f)
}

// mismatch returns in what a chain that is served does not meet requirements.
func (v *View) mismatch(rs []Requirement, c Chain, role Role) Finding {
	for _, full := range v.completions(c) {
		full = v.withAlgorithms(rs, full)
		for _, r := range rs {
			if crash, _ := r.meet(full); crash >= 0 {
				return Finding{Code: ChainCrashes, Pin: full.Pins[crash], Algorithm: full.algorithm(crash), Algorithms: r.Algorithms}
			}
		}
	}
	return Finding{Code: ChainUnmatched, Pin: c.Of(role), Role: role}
}

// checkKeys refuses pins that the client cannot use, and those of keys that are not
// trusted.
func (c *checker) checkKeys(r Requirement) {
	for i, pin := range r.Pins {
		unusable, unsure := c.v.unusable(r, i)
		switch {
		case unusable != nil:
			c.bad(*unusable)
		case !c.v.trustedAt(pin, r.Place(i), c.Pattern):
			c.bad(c.untrusted(pin, r.Place(i)))
		case unsure != nil:
			c.warn(*unsure)
		}
	}
}

// untrusted returns why a pin whose key is not trusted for the host must not be shipped.
func (c *checker) untrusted(pin Pin, place Position) Finding {
	k, role := c.v.anyKey(pin), c.app.Role
	if !place.Takes(role) {
		role = map[Role]Role{RoleLeaf: RoleIssuer, RoleIssuer: RoleLeaf}[role]
	}
	if k != nil && k.State.Trusted() && c.v.outOfUse(pin) == "" {
		return Finding{Code: KeyOtherHosts, Pin: pin, Role: k.Role, Scope: k.ApprovedFor}
	}
	f := *c.v.Doubt(pin, role, c.Pattern)
	if f.Code == KeyRejected { // anyone can have a certificate issued for our key
		f.Do = []Action{
			{Do: LeaveOut, If: NotOurs, Pin: pin},
			c.v.approve(pin, role, c.Pattern),
			{Do: RejectCert, If: Ours, Certificate: f.Certificate},
		}
	}
	return f
}

// checkBackup checks that each requirement has enough pins, and one that is not in the
// served chains.
func (c *checker) checkBackup(host string, rs []Requirement) {
	for _, r := range rs {
		f := Finding{Names: []string{host}, At: r.At, Want: c.app.MinPins, Have: len(AllPins([]Requirement{r}))}
		if f.Have < c.app.MinPins {
			f.Code = FileFewPins
			c.bad(f)
		}
		served := c.v.served[host]
		if c.app.MinPins < 2 || len(served) == 0 {
			continue
		}
		if !c.v.hasUsable(r, func(p Pin) bool { return !inChains(served, p) }) {
			f.Code = FileNoBackup
			c.bad(f)
		}
	}
}
