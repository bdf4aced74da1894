// Package policy says whether a certificate should exist: expected, unexpected or
// unreviewed, and why.
//
// A Rule is what a person wrote about a watched name: which CAs may issue for it,
// which keys were authorised beforehand, which algorithms, validity, wildcards and
// names. A Policy judges a certificate by its rules and by what is known about its
// key (Known); it does no I/O. What has to be asked for, the CAA records of a domain
// (RFC 8659), is asked by a Checker and handed in.
//
// # How a certificate is judged
//
// Every name of the certificate is judged under the most specific rule that says
// anything about it, and a wildcard under each rule that speaks of a host it stands
// for: one for *.example.com can be used at api.example.com, so what is demanded
// there is demanded of it. A rule inherits nothing from one above it. The verdict
// is the worst of all names.
//
// A name is unexpected when anything forbids the certificate: a name never to be
// issued, a compromised key, a CA that is not among those allowed, a wildcard, an
// algorithm, a validity, a CAA record. It is expected when the rule allows the
// issuer, or a person authorised the key, or an endpoint of ours served that key
// before. Everything else is unreviewed.
//
// A known key answers who has the private key, and so stands in for an issuer where
// no rule names any. It excuses nothing else: that our own key was certified by a CA
// we did not allow means that somebody used our CSR, or our servers, without asking.
//
// # Who issued it
//
// A distinguished name, a serial number and a key identifier can be written into any
// certificate. A CA is known by its keys alone: those of a table, and those that a
// verified chain shows to be signed by one of them, see CAs.Shown. A name serves to show it to a
// person and, while the issuer's key is not known, to find that a certificate is not
// from an allowed CA; it never makes a certificate expected.
package policy

import (
	"slices"
	"strings"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// A Policy judges certificates by rules. It never changes, and any number of
// goroutines may use it at once.
type Policy struct {
	rules []Rule
	cas   *CAs

	// The rules by their name: those about it alone, and those about all below.
	exact, below map[string][]*Rule
	// inside lists, by a name, the names one label below it that rules are about:
	// what a wildcard stands for besides names that nobody speaks of.
	inside map[string][]string
	never  []ban
}

// A ban is a pattern never to be issued, and where that is said.
type ban struct {
	pattern pins.Pattern
	where   string
}

// New indexes rules. When several are about the same pattern, each is applied. The
// CAs may learn more while the policy is in use.
func New(rules []Rule, cas *CAs) *Policy {
	p := &Policy{
		rules: make([]Rule, len(rules)), cas: cas,
		exact: make(map[string][]*Rule), below: make(map[string][]*Rule), inside: make(map[string][]string),
	}
	for i, r := range rules {
		p.rules[i] = r.clone()
		p.add(&p.rules[i])
	}
	return p
}

func (p *Policy) add(r *Rule) {
	name := r.Pattern.Name
	if _, above, ok := strings.Cut(name, "."); ok && p.exact[name] == nil && p.below[name] == nil {
		p.inside[above] = append(p.inside[above], name)
	}
	if r.Pattern.Reach == pins.Exact {
		p.exact[name] = append(p.exact[name], r)
	} else {
		p.below[name] = append(p.below[name], r)
	}
	for _, never := range r.Never {
		p.never = append(p.never, ban{never, r.Where})
	}
}

// lists reports whether a rule names a key as that of an issuer.
func (p *Policy) lists(issuer pins.Pin) bool {
	return !issuer.IsZero() && slices.ContainsFunc(p.rules, func(r Rule) bool {
		return slices.ContainsFunc(r.Issuers, func(i Issuer) bool { return i.Pin == issuer })
	})
}

// A part is some of the hosts that a certificate's name stands for, which are all
// under the same rules.
type part struct {
	name string  // as in the certificate
	host string  // the name without its wildcard; "" for an odd one
	wild bool    // the name has a wildcard
	rule []*Rule // that speak; none if there are none
	// hosts are those of the part. It is the zero Pattern where they cannot be told.
	hosts pins.Pattern
	// watched is the most specific rule, even one that says nothing; nil if there
	// is none.
	watched *Rule
}

// parts calls visit with every part of the certificate's names that a rule or the
// watch list is about.
func (p *Policy) parts(c *ctwatch.Certificate, visit func(*part)) {
	seen := make(map[string]bool, len(c.Names))
	var domains map[string][]string // by name, what it matches; filled when needed
	each := func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		if p.nameParts(name, visit) {
			return
		}
		if domains == nil {
			domains = make(map[string][]string, len(c.Matches))
			type pair struct{ name, domain string }
			known := make(map[pair]bool, len(c.Matches)) // one name may match thousands
			for _, m := range c.Matches {
				if p := (pair{m.Name, m.Domain}); !known[p] {
					known[p] = true
					domains[m.Name] = append(domains[m.Name], m.Domain)
				}
			}
		}
		for _, domain := range domains[name] {
			p.matchPart(name, domain, visit)
		}
	}
	for _, name := range c.Names {
		each(name)
	}
	for i := range c.Matches {
		each(c.Matches[i].Name)
	}
}

// nameParts visits the parts of a name that can be read, and reports whether there
// are any.
func (p *Policy) nameParts(name string, visit func(*part)) (any bool) {
	s, host := shapeOf(name)
	switch s {
	case plain:
		if rules, watched := p.find(host, true); watched != nil {
			visit(&part{name: name, host: host, rule: rules, hosts: pins.Pattern{Name: host}, watched: watched})
			return true
		}
	case wildcard:
		rules, watched := p.find(host, false)
		if watched != nil {
			visit(&part{name: name, host: host, wild: true, rule: rules, hosts: pins.Pattern{Name: host, Reach: pins.OneBelow}, watched: watched})
			any = true
		}
		for _, child := range p.inside[host] {
			own, most := p.at(child, true)
			if own == nil && any {
				continue // it says nothing: the rule for its neighbours is its own
			}
			visit(&part{name: name, host: host, wild: true, rule: own, hosts: pins.Pattern{Name: child}, watched: most})
			any = true
		}
	}
	return any
}

// matchPart visits the part of a name that no rule was found for, but that matches a
// watched domain. If it cannot be read, both what is said of the domain itself and of
// those below it may be meant.
func (p *Policy) matchPart(name, domain string, visit func(*part)) {
	switch s, host := shapeOf(name); s {
	case plain:
		visit(&part{name: name, host: host, hosts: pins.Pattern{Name: host}})
		return
	case wildcard:
		visit(&part{name: name, host: host, wild: true, hosts: pins.Pattern{Name: host, Reach: pins.OneBelow}})
		return
	}
	rules, watched := p.find(domain, true)
	under, underWatched := p.find(domain, false)
	if watched == nil {
		watched = underWatched
	}
	rules = slices.Clone(rules)
	for _, r := range under {
		if !slices.Contains(rules, r) {
			rules = append(rules, r)
		}
	}
	visit(&part{name: name, wild: strings.Contains(name, "*"), rule: rules, watched: watched})
}

// find returns the most specific rules that say anything about a host, or, unless
// itself is set, about every name below it; and the most specific that is about it
// at all.
func (p *Policy) find(host string, itself bool) (rules []*Rule, watched *Rule) {
	for {
		found, most := p.at(host, itself)
		if watched == nil {
			watched = most
		}
		if found != nil {
			return found, watched
		}
		_, above, ok := strings.Cut(host, ".")
		if !ok {
			return nil, watched
		}
		host, itself = above, false
	}
}

// at returns the rules of a name that say anything: those about it alone, if itself
// is set and there are any, and else those about all below it.
func (p *Policy) at(name string, itself bool) (rules []*Rule, watched *Rule) {
	lists := [2][]*Rule{p.exact[name], p.below[name]}
	if !itself {
		lists[0] = nil
	}
	for _, list := range lists {
		for _, r := range list {
			if watched == nil {
				watched = r
			}
			if r.speaks() {
				rules = append(rules, r)
			}
		}
		if rules != nil {
			break
		}
	}
	return rules, watched
}

// maxCAANames bounds how many domains one certificate has asked for.
const maxCAANames = 100

// CAANames lists the domains whose CAA records a judgment of the certificate needs, each
// once and at most 100: its names without wildcards.
func (p *Policy) CAANames(c *ctwatch.Certificate) []string {
	var out []string
	p.parts(c, func(t *part) {
		if t.host == "" || len(out) == maxCAANames || slices.Contains(out, t.host) {
			return
		}
		if slices.ContainsFunc(t.rule, func(r *Rule) bool { return r.CAA }) {
			out = append(out, t.host)
		}
	})
	return out
}
