package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// Suggest writes the lines of configuration that would make certificates like this
// one expected, as YAML: entries of the watch list, to be merged into those about the
// same domains. It allows the issuer, by its CAA identity if its key is known to be
// that CA's and else by the pin, or adds the key where a rule lists keys. What no such
// line can mend is said in comments. It returns "" if there is nothing to say: if the
// certificate is expected already, or no rule is about it.
//
// Nothing that the certificate says is in the lines, but pins; comments quote its
// names, made printable.
func (p *Policy) Suggest(c *ctwatch.Certificate, k Known) string {
	now := p.Judge(c, k)
	if now.Verdict == ctwatch.Expected {
		return ""
	}
	s := suggestion{judging: judging{p: p, c: c, known: k}, allow: Issuer{Pin: c.Issuer.Pin}}
	s.ca, s.identified = p.cas.Of(c.Issuer.Pin)
	if s.identified && len(s.ca.CAA) > 0 {
		s.allow = Issuer{CAA: s.ca.CAA[0]}
	}
	p.parts(c, s.part)

	var b strings.Builder
	for i, reason := range now.Reasons {
		switch reason {
		case NameNever, KeyCompromised, CAAForbids, WildcardNotAllowed, AlgorithmNotAllowed, ValidityTooLong:
			fmt.Fprintf(&b, "# Not a matter of these lines: %s\n", now.Details[i])
		case IssuerUnknown:
			fmt.Fprintf(&b, "# To be judged again when the issuer is known: %s\n", now.Details[i])
		}
	}
	if len(s.entries) > 0 {
		b.WriteString("watch:\n")
	}
	for _, e := range s.entries {
		s.write(&b, e)
	}
	return b.String()
}

// A suggestion is being put together.
type suggestion struct {
	judging
	allow   Issuer // the issuer, as it would be allowed
	entries []*entry
}

// An entry is one of the watch list.
type entry struct {
	pattern pins.Pattern
	issuers []Issuer
	keys    []pins.Pin
}

// part adds what the rules of a part lack.
func (s *suggestion) part(t *part) {
	known := s.trusted(t) || s.served(t)
	rules := t.rule
	if len(rules) == 0 && t.watched != nil {
		rules = []*Rule{t.watched}
	}
	for _, r := range rules {
		switch s.issuer(r) {
		case issuerNotAllowed:
			s.addIssuer(r)
		case noRule:
			switch {
			case known || slices.Contains(r.Keys, s.c.Key.Pin):
			case len(r.Keys) > 0 || s.allow == Issuer{}:
				s.addKey(r)
			default:
				s.addIssuer(r)
			}
		}
	}
}

func (s *suggestion) addIssuer(r *Rule) {
	if e := s.entry(r); s.allow != (Issuer{}) && !slices.Contains(e.issuers, s.allow) {
		e.issuers = append(e.issuers, s.allow)
	}
}

func (s *suggestion) addKey(r *Rule) {
	pin := s.c.Key.Pin
	if pin.IsZero() {
		return
	}
	if e := s.entry(r); !slices.Contains(e.keys, pin) {
		e.keys = append(e.keys, pin)
	}
}

func (s *suggestion) entry(r *Rule) *entry {
	for _, e := range s.entries {
		if e.pattern == r.Pattern {
			return e
		}
	}
	e := &entry{pattern: r.Pattern}
	// All rules of a pattern become one entry, which must allow what each allows.
	for i := range s.p.rules {
		other := &s.p.rules[i]
		if other.Pattern != r.Pattern {
			continue
		}
		for _, issuer := range other.Issuers {
			if !slices.Contains(e.issuers, issuer) {
				e.issuers = append(e.issuers, issuer)
			}
		}
		for _, key := range other.Keys {
			if !slices.Contains(e.keys, key) {
				e.keys = append(e.keys, key)
			}
		}
	}
	s.entries = append(s.entries, e)
	return e
}

func (s *suggestion) write(b *strings.Builder, e *entry) {
	domain := s.domain(e.pattern.Name)
	fmt.Fprintf(b, "  - domain: %s\n", scalar(domain))
	if e.pattern.Reach == pins.Exact && domain == e.pattern.Name {
		b.WriteString("    subdomains: false\n")
	}
	if len(e.issuers) > 0 {
		var list []string
		for _, i := range e.issuers {
			list = append(list, scalar(i.String()))
		}
		comment := ""
		switch {
		case !slices.Contains(e.issuers, s.allow):
		case s.identified:
			comment = " # " + s.ca.Name
		default:
			comment = " # of no CA that ctwatch knows: make sure whose key this is"
		}
		fmt.Fprintf(b, "    issuers: [%s]%s\n", strings.Join(list, ", "), comment)
	}
	if len(e.keys) > 0 {
		keys := slices.SortedFunc(slices.Values(e.keys), func(x, y pins.Pin) int { return cmp.Compare(x.String(), y.String()) })
		var list []string
		for _, k := range keys {
			list = append(list, scalar(k.String()))
		}
		fmt.Fprintf(b, "    keys: [%s]\n", strings.Join(list, ", "))
	}
}

// domain returns what a person wrote for a watched domain: of a network, its name in
// subjects says nothing to anybody.
func (s *suggestion) domain(name string) string {
	if strings.HasSuffix(name, ".ip") {
		for _, m := range s.c.Matches {
			if m.Domain == name {
				return m.Watch
			}
		}
	}
	return name
}

// scalar writes a text as YAML, in quotes unless it is plainly a domain.
func scalar(s string) string {
	if strings.Contains(s, ".") && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz-.") == "" && s[0] != '-' && s[0] != '.' {
		return s
	}
	return strconv.Quote(s)
}
