// Package policy says whether a certificate should exist: expected, unexpected or
// unreviewed, and why.
//
// A Rule is what a person wrote about a watched name: which CAs may issue for it, which
// keys are authorized in advance, which algorithms, validity, wildcards and names. A Policy
// judges a certificate by its rules and by what is known about its key (ctwatch.Standing),
// without I/O. CAA records (RFC 8659) are looked up by a Checker, for the certificates that
// a CAACollector chooses, and stored with the certificate. A Live is the policy in force,
// which judges for the store.
//
// # How a certificate is judged
//
// Each name of the certificate is judged by the most specific rule that sets anything about
// it. A wildcard is judged by each rule about a host it covers: a certificate for
// *.example.com can be used at api.example.com, so it must satisfy the rule for that host.
// A rule inherits nothing from a less specific one. The verdict is the worst of all names.
//
// A name is unexpected if anything forbids the certificate: a name that must never be
// issued, a compromised key, a CA that the rule does not allow, a wildcard, an algorithm, a
// validity, a CAA record. It is expected if the rule allows the issuer, or a person
// authorized the key, or one of our endpoints served that key before. Otherwise it is
// unreviewed.
//
// A known key shows who has the private key, and so takes the place of an allowed issuer
// where no rule names any. It excuses nothing else: a CA that we did not allow certified
// our own key because someone used our CSR or our servers without asking.
//
// # Who issued it
//
// Anyone can write any distinguished name, serial number and key identifier into a
// certificate. A CA is identified by its keys alone: those of a table, and those that a
// verified chain shows to be signed by one of them (CAs.Shown). A name is shown to people
// and, while the issuer's key is unknown, can show that a certificate is not from an
// allowed CA; it never makes a certificate expected.
package policy

import (
	"slices"
	"strings"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// A Policy judges certificates by rules. It is immutable and safe for concurrent use.
type Policy struct {
	rules []Rule
	cas   *CAs

	// The rules by name: those about the name alone, and those about it and all names
	// below.
	exact, below map[string][]*Rule
	// inside lists, by a name, the names one label below it that have rules: a wildcard
	// covers them besides all other names there.
	inside map[string][]string
	never  []ban
}

// A ban is a pattern that must never be issued, and the rule that says so.
type ban struct {
	pattern pins.Pattern
	where   string
}

// New returns a policy of rules. If several are about the same pattern, all of them apply.
// The CAs may learn more keys while the policy is in use.
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

// lists reports whether a rule names a key as an issuer's.
func (p *Policy) lists(issuer pins.Pin) bool {
	return !issuer.IsZero() && slices.ContainsFunc(p.rules, func(r Rule) bool {
		return slices.ContainsFunc(r.Issuers, func(i Issuer) bool { return i.Pin == issuer })
	})
}

// A part is some of the hosts that a certificate's name covers, all under the same rules.
type part struct {
	name string  // as in the certificate
	host string  // the name without its wildcard; "" if it is odd
	wild bool    // the name has a wildcard
	rule []*Rule // those that apply
	// hosts are the hosts of the part. It is the zero Pattern if they cannot be determined.
	hosts pins.Pattern
	// watched is the most specific rule, even one that sets nothing; nil if there is none.
	watched *Rule
}

// parts calls visit with each part of the certificate's names that has a rule or matches
// the watch list.
func (p *Policy) parts(c *ctwatch.Certificate, visit func(*part)) {
	seen := make(map[string]bool, len(c.Names))
	var domains map[string][]string // what each name matches; filled on first use
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

// nameParts visits the parts of a name that is a host or a wildcard, and reports whether it
// has any.
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
				continue // it sets nothing: the rule for its neighbors applies
			}
			visit(&part{name: name, host: host, wild: true, rule: own, hosts: pins.Pattern{Name: child}, watched: most})
			any = true
		}
	}
	return any
}

// matchPart visits the part of a name that has no rule but matches a watched domain. An odd
// name may be the domain itself or one below it, so the rules for both apply.
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

// find returns the most specific rules that set anything about a host, or, unless itself is
// set, about all names below it; and the most specific rule about it, which may set
// nothing.
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

// at returns the rules of a name that set anything: those about it alone, if itself is set
// and there are any, else those about all names below.
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
			if r.isSet() {
				rules = append(rules, r)
			}
		}
		if rules != nil {
			break
		}
	}
	return rules, watched
}

// maxCAANames is how many domains are looked up for one certificate.
const maxCAANames = 100

// CAANames returns the domains whose CAA records a judgment of the certificate needs, each
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
