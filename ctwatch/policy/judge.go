package policy

import (
	"slices"
	"sync"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// Judge says whether a certificate should exist. It reads the names, matches, issuer, key
// and validity, but neither the certificate's present verdict nor its CAA identity. What
// the chain shows about the issuer has to be learned before (CAs.Shown, CAs.Add).
func (p *Policy) Judge(c *ctwatch.Certificate, k ctwatch.Standing) ctwatch.Judgment {
	j := p.judging(c, k)
	if c.Issuer.Proven { // else the key is only what a log says
		j.issuers = j.owners
	}
	if k.Compromised {
		j.note(ctwatch.ReasonKeyCompromised, "", nil)
	}
	if len(k.OtherIssuers) > 0 {
		j.note(ctwatch.ReasonIssuerConflict, "", nil)
	}
	j.bans()
	p.parts(c, j.part)
	if !j.any {
		j.note(ctwatch.ReasonNoRule, "", nil)
	}
	return j.conclude()
}

// judging starts a judgment.
func (p *Policy) judging(c *ctwatch.Certificate, k ctwatch.Standing) judging {
	j := judging{p: p, c: c, known: k, owners: p.cas.Of(c), approved: pins.NewPatternSet(k.ApprovedFor...), servedFor: make(map[string]bool)}
	j.records = sync.OnceValue(func() map[string]CAAResult { return decodeCAA(k.CAA) })
	for _, name := range k.ServedFor {
		j.servedFor[name] = true
	}
	return j
}

// judging is a judgment in progress.
type judging struct {
	p     *Policy
	c     *ctwatch.Certificate
	known ctwatch.Standing

	// The standing, indexed: a certificate may have thousands of names.
	approved  pins.PatternSet             // ApprovedFor
	servedFor map[string]bool             // ServedFor
	records   func() map[string]CAAResult // CAA

	owners  []*CA // the CAs that have the issuer's key
	issuers []*CA // the same, if a signature proves who issued the certificate
	any     bool  // a name has been judged

	found  map[string]*finding // by code
	grants []pins.Pattern
}

// A finding is a reason in progress, with the first name and rule it was found at.
type finding struct {
	ctwatch.Reason
	rule *Rule // nil if none
}

// note adds a name to a reason. It returns the reason, and whether it is new.
func (j *judging) note(code, name string, r *Rule) (f *finding, first bool) {
	f = j.found[code]
	if f == nil {
		f = &finding{ctwatch.Reason{Code: code, Name: name}, r}
		if r != nil {
			f.Rule = r.where()
		}
		if j.found == nil {
			j.found = make(map[string]*finding)
		}
		j.found[code] = f
	}
	f.Names++
	return f, f.Names == 1
}

// bans finds names that must never be issued.
func (j *judging) bans() {
	if len(j.p.never) == 0 {
		return
	}
	for _, name := range j.c.Names {
		for _, b := range j.p.never {
			if overlaps(b.pattern, name) {
				if f, first := j.note(ctwatch.ReasonNameNever, name, nil); first {
					f.Rule, f.Never = b.where, b.pattern
				}
				break
			}
		}
	}
}

// part judges one part of a name by each of its rules.
func (j *judging) part(t *part) {
	j.any = true
	trusted, served := j.trusted(t), j.served(t)
	if trusted {
		j.note(ctwatch.ReasonKeyAuthorized, t.name, nil)
	}
	if served {
		j.note(ctwatch.ReasonKeyServed, t.name, nil)
	}
	expected, granted, decided := trusted || served, false, false
	for _, r := range t.rule {
		j.checkIssuance(t, r)
		listed := !j.c.Key.Pin.IsZero() && slices.Contains(r.Keys, j.c.Key.Pin)
		if listed {
			j.note(ctwatch.ReasonKeyAuthorized, t.name, r)
			expected, granted = true, true
		}
		switch j.issuer(r) {
		case ctwatch.ReasonIssuerAllowed:
			j.note(ctwatch.ReasonIssuerAllowed, t.name, r)
			expected = true
			// If a rule lists keys, no others may be pinned.
			granted = granted || len(r.Keys) == 0
		case ctwatch.ReasonIssuerNotAllowed:
			j.note(ctwatch.ReasonIssuerNotAllowed, t.name, r)
			decided = true
		case ctwatch.ReasonIssuerUnproven:
			j.note(ctwatch.ReasonIssuerUnproven, t.name, r)
			decided = true
		case ctwatch.ReasonIssuerUnknown:
			j.note(ctwatch.ReasonIssuerUnknown, t.name, r)
			decided = true
		case ctwatch.ReasonNoRule:
			if len(r.Keys) > 0 && !listed && !trusted {
				j.note(ctwatch.ReasonKeyNotAllowed, t.name, r)
				decided = true
			}
		}
	}
	switch {
	case granted && t.hosts != (pins.Pattern{}):
		j.grants = append(j.grants, t.hosts)
	case !expected && !decided:
		var r *Rule
		if len(t.rule) > 0 {
			r = t.rule[0]
		}
		j.note(ctwatch.ReasonNoRule, t.name, r)
	}
}

// checkIssuance checks wildcards, algorithm, validity and CAA records, regardless of the key.
func (j *judging) checkIssuance(t *part, r *Rule) {
	if t.wild && r.Wildcards != nil && !*r.Wildcards {
		j.note(ctwatch.ReasonWildcardNotAllowed, t.name, r)
	}
	if !r.allowsAlgorithm(j.c.Key.Algorithm) {
		j.note(ctwatch.ReasonAlgorithmNotAllowed, t.name, r)
	}
	if r.MaxValidity > 0 {
		from, to := j.c.NotBefore, j.c.NotAfter
		if from.IsZero() || to.IsZero() || to.Sub(from) > r.MaxValidity {
			j.note(ctwatch.ReasonValidityTooLong, t.name, r)
		}
	}
	if r.CAA {
		j.caa(t, r)
	}
}

// issuer compares the issuer with those that a rule allows, and returns the code of a
// reason: no_rule if the rule names none. An issuer that no signature proves is never
// allowed.
func (j *judging) issuer(r *Rule) string {
	if len(r.Issuers) == 0 {
		return ctwatch.ReasonNoRule
	}
	pin := j.c.Issuer.Pin
	owners := j.owners
	guess, guessed := (*CA)(nil), false
	if len(owners) == 0 {
		guess, guessed = j.p.cas.claimed(pin)
	}
	allowed, claimed := false, false
	for _, i := range r.Issuers {
		allowed = allowed || !i.Pin.IsZero() && i.Pin == pin || slices.ContainsFunc(owners, i.is)
		claimed = claimed || guessed && i.is(guess)
	}
	switch {
	case !j.c.Issuer.Proven && (allowed || claimed || pin.IsZero()):
		return ctwatch.ReasonIssuerUnproven
	case allowed:
		return ctwatch.ReasonIssuerAllowed
	case claimed:
		return ctwatch.ReasonIssuerUnknown
	}
	return ctwatch.ReasonIssuerNotAllowed // by what the entry itself says, proven or not
}

// guess returns the CA that issued according to a name only: the name in the certificate
// while the issuer is not proven, or the one that an earlier version used.
func (j *judging) guess() (*CA, bool) {
	switch {
	case len(j.issuers) > 0:
		return nil, false
	case !j.c.Issuer.Proven:
		return j.p.cas.Guess(j.c.Issuer.Name)
	}
	return j.p.cas.claimed(j.c.Issuer.Pin)
}

// caa checks the issuer against the CAA records of a part's domain.
func (j *judging) caa(t *part, r *Rule) {
	result, ok := j.records()[t.host]
	if !ok {
		j.note(ctwatch.ReasonCAAUnknown, t.name, r)
		return
	}
	issuers := j.issuers
	if guess, guessed := j.guess(); guessed {
		issuers = []*CA{guess}
	}
	var identities []string
	for _, ca := range issuers {
		identities = append(identities, ca.CAA...)
	}
	if !result.Forbids(identities, t.wild) {
		if len(j.issuers) == 0 && len(issuers) > 0 && result.Forbids(nil, t.wild) {
			j.note(ctwatch.ReasonIssuerUnknown, t.name, r) // permitted if it is the CA that it claims to be
		}
		return
	}
	// An unknown CA may be a permitted one that is not in the table.
	if len(issuers) == 0 && slices.ContainsFunc(result.permitted(t.wild), func(identity string) bool {
		return !j.c.Issuer.Proven || !j.p.cas.knows(identity)
	}) {
		j.note(ctwatch.ReasonIssuerUnknown, t.name, r)
		return
	}
	if f, first := j.note(ctwatch.ReasonCAAForbids, t.name, r); first {
		f.CAA = result.limit(t.wild)
	}
}

// trusted reports whether a person approved the key for all hosts of a part.
func (j *judging) trusted(t *part) bool {
	return t.hosts != (pins.Pattern{}) && j.approved.Covers(t.hosts)
}

// served reports whether the key was served before for the whole name of a part: one host
// does not cover a wildcard. Where rules list keys, no others count.
func (j *judging) served(t *part) bool {
	if t.host == "" || slices.ContainsFunc(t.rule, func(r *Rule) bool { return len(r.Keys) > 0 }) {
		return false
	}
	name := pins.Pattern{Name: t.host}
	if t.wild {
		name.Reach = pins.OneBelow
	}
	return j.servedFor[name.String()]
}

// conclude returns the judgment.
func (j *judging) conclude() ctwatch.Judgment {
	out := ctwatch.Judgment{Verdict: ctwatch.Expected}
	besides := ctwatch.Expected // the verdict apart from entries that name other issuers
	for i, code := range codes() {
		f := j.found[code]
		if f == nil {
			continue
		}
		forbids, undecided := i < forbidding, i < deciding
		if forbids {
			out.Verdict = ctwatch.Unexpected
		} else if undecided && out.Verdict == ctwatch.Expected {
			out.Verdict = ctwatch.Unreviewed
		}
		if code != ctwatch.ReasonIssuerConflict && undecided {
			besides = ctwatch.Unexpected
		}
		out.Reasons = append(out.Reasons, j.reason(f))
	}
	// A key is not trusted while CAA records may still forbid it. An entry that names
	// another issuer raises an alarm but revokes nothing: anyone who runs a log can make
	// one.
	if besides == ctwatch.Expected && j.c.Issuer.Proven && j.found[ctwatch.ReasonCAAUnknown] == nil {
		out.Grants = unique(j.grants)
	}
	if j.c.Issuer.Proven {
		out.IssuerKnown = len(j.owners) > 0 || j.p.lists(j.c.Issuer.Pin)
		if len(j.owners) > 0 && len(j.owners[0].CAA) > 0 {
			out.CAA = j.owners[0].CAA[0]
		}
		out.ReportTo = reportTo(j.owners)
	}
	return out
}

// unique removes duplicates.
func unique(ps []pins.Pattern) []pins.Pattern {
	if len(ps) < 2 {
		return ps
	}
	seen := make(map[pins.Pattern]bool, len(ps))
	return slices.DeleteFunc(ps, func(p pins.Pattern) bool {
		was := seen[p]
		seen[p] = true
		return was
	})
}

// reason adds what the code needs besides name and rule.
func (j *judging) reason(f *finding) ctwatch.Reason {
	r := f.Reason
	switch r.Code {
	case ctwatch.ReasonIssuerNotAllowed, ctwatch.ReasonIssuerAllowed, ctwatch.ReasonCAAForbids:
		r.CAs = caNames(j.issuers)
	case ctwatch.ReasonIssuerConflict:
		r.CAs, r.OtherIssuers = caNames(j.issuers), j.known.OtherIssuers
	case ctwatch.ReasonIssuerUnproven:
		r.CAs = caNames(j.owners)
	case ctwatch.ReasonIssuerUnknown:
		if ca, ok := j.guess(); ok && j.c.Issuer.Proven {
			r.CAs = []string{ca.Name}
		}
	case ctwatch.ReasonValidityTooLong:
		r.MaxValidity = f.rule.MaxValidity
	case ctwatch.ReasonAlgorithmNotAllowed:
		r.Allowed = f.rule.Algorithms
	}
	if r.Code == ctwatch.ReasonIssuerNotAllowed {
		for _, i := range f.rule.Issuers {
			r.Allowed = append(r.Allowed, i.String())
		}
	}
	return r
}

func caNames(cas []*CA) (names []string) {
	for _, ca := range cas {
		names = append(names, ca.Name)
	}
	return names
}

// How many codes make a certificate unexpected, and how many keep it from being expected.
const (
	forbidding = 10
	deciding   = 12
)

// codes lists the codes of reasons, worst first.
func codes() [16]string {
	return [...]string{
		ctwatch.ReasonNameNever, ctwatch.ReasonKeyCompromised, ctwatch.ReasonIssuerConflict, ctwatch.ReasonIssuerNotAllowed, ctwatch.ReasonIssuerUnproven,
		ctwatch.ReasonKeyNotAllowed, ctwatch.ReasonCAAForbids, ctwatch.ReasonWildcardNotAllowed, ctwatch.ReasonAlgorithmNotAllowed, ctwatch.ReasonValidityTooLong,

		ctwatch.ReasonIssuerUnknown, ctwatch.ReasonNoRule,

		ctwatch.ReasonKeyAuthorized, ctwatch.ReasonKeyServed, ctwatch.ReasonIssuerAllowed, ctwatch.ReasonCAAUnknown,
	}
}
