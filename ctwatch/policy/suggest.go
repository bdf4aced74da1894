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
// one expected, as YAML: entries of the watch list, to stand in place of those about
// the same domains. It allows the issuer, by its CAA identity if its key is known to
// be that CA's and else by the pin, or adds the key where a rule lists keys. What no
// such line can mend is said in comments. It returns "" if the certificate is
// expected already, or if nothing in the policy or the watch list is about it.
//
// Nothing that the certificate says is in the lines, but pins; comments quote its
// names, made printable.
func (p *Policy) Suggest(c *ctwatch.Certificate, k Known) string {
	now := p.Judge(c, k)
	if now.Verdict == ctwatch.Expected {
		return ""
	}
	s := suggestion{p: p, c: c}
	if ca, ok := p.cas.Of(c.Issuer.Pin); ok && len(ca.CAA) > 0 {
		s.issuer, s.comment = Issuer{CAA: ca.CAA[0]}, ca.Name
	} else {
		s.issuer = Issuer{Pin: c.Issuer.Pin}
	}
	p.parts(c, s.part)
	if len(s.entries) == 0 {
		return ""
	}
	var b strings.Builder
	for i, reason := range now.Reasons {
		switch reason {
		case NoRule, IssuerNotAllowed, KeyNotAllowed, KeyAuthorized, KeyServed, IssuerAllowed, CAAUnknown:
		case IssuerUnknown:
			if c.Issuer.Pin.IsZero() {
				fmt.Fprintf(&b, "# Wait until the issuer's key is known: %s\n", now.Details[i])
			}
		default:
			fmt.Fprintf(&b, "# These lines do not change this: %s\n", now.Details[i])
		}
	}
	b.WriteString("watch:\n")
	for _, e := range s.entries {
		s.write(&b, e)
	}
	return b.String()
}

// A suggestion is being put together.
type suggestion struct {
	p       *Policy
	c       *ctwatch.Certificate
	issuer  Issuer
	comment string // who the issuer is
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
	rules := t.rule
	if len(rules) == 0 {
		switch {
		case t.watched != nil:
			rules = []*Rule{t.watched}
		default:
			return
		}
	}
	for _, r := range rules {
		e := s.entry(r)
		switch {
		case len(e.issuers) == 0 && len(e.keys) > 0 || s.issuer == Issuer{}:
			if pin := s.c.Key.Pin; !pin.IsZero() && !slices.Contains(e.keys, pin) {
				e.keys = append(e.keys, pin)
			}
		case !slices.ContainsFunc(e.issuers, s.allowed):
			e.issuers = append(e.issuers, s.issuer)
		}
	}
}

// allowed reports whether an issuer of a rule is the certificate's.
func (s *suggestion) allowed(i Issuer) bool {
	if !i.Pin.IsZero() {
		return i.Pin == s.c.Issuer.Pin
	}
	ca, ok := s.p.cas.Of(s.c.Issuer.Pin)
	return ok && i.is(ca)
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
	fmt.Fprintf(b, "  - domain: %s\n", scalar(e.pattern.Name))
	if e.pattern.Reach == pins.Exact {
		b.WriteString("    subdomains: false\n")
	}
	if len(e.issuers) > 0 {
		var list []string
		for _, i := range e.issuers {
			list = append(list, scalar(i.String()))
		}
		comment := ""
		if s.comment != "" && slices.Contains(e.issuers, s.issuer) {
			comment = " # " + s.comment
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

// scalar writes a text as YAML, in quotes unless it is plainly a domain.
func scalar(s string) string {
	if strings.Contains(s, ".") && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz-.") == "" && s[0] != '-' && s[0] != '.' {
		return s
	}
	return strconv.Quote(s)
}
