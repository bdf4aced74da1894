package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/words"
	"ctwatch/pins"
)

// Suggestions are lines of configuration that would make certificates expected.
type Suggestions struct {
	p        *Policy
	comments []string
	entries  []*entry
	names    map[Issuer][]string // who a suggested issuer is: CAs, or what it calls itself
	approved map[pins.Pin]bool

	rejected struct { // certificates that a person rejected
		cas    map[*CA]*ctwatch.Certificate
		issuer map[pins.Pin]*ctwatch.Certificate
		key    map[pins.Pin]*ctwatch.Certificate
	}
}

// Suggest returns no suggestions yet.
func (p *Policy) Suggest() *Suggestions {
	s := &Suggestions{p: p, names: make(map[Issuer][]string), approved: make(map[pins.Pin]bool)}
	s.rejected.cas = make(map[*CA]*ctwatch.Certificate)
	s.rejected.issuer, s.rejected.key = make(map[pins.Pin]*ctwatch.Certificate), make(map[pins.Pin]*ctwatch.Certificate)
	return s
}

// Add adds what would make a certificate expected: its issuer, by its CAA identity if its
// key is known to be that CA's and else by pin, or its key where a rule lists keys. What
// such a line cannot change becomes a comment, and so does an issuer that is not allowed
// and certified a key of ours: someone had it issued without us, unless we changed the CA.
// A certificate that is expected already, or that no rule is about, adds nothing.
func (s *Suggestions) Add(c *ctwatch.Certificate, k ctwatch.Standing) {
	now := s.p.Judge(c, k)
	if now.Verdict == ctwatch.Expected {
		return
	}
	one := suggestion{judging: s.p.judging(c, k), all: s}
	if c.Issuer.Proven {
		one.issuers, one.allow = one.owners, Issuer{Pin: c.Issuer.Pin}
	}
	// If several CAs certified the key, it is unclear which of them is meant.
	if len(one.issuers) == 1 && len(one.issuers[0].CAA) > 0 {
		one.allow = Issuer{CAA: one.issuers[0].CAA[0]}
	}
	s.p.parts(c, one.part)
	for _, r := range now.Reasons {
		switch r.Code {
		case ctwatch.ReasonIssuerNotAllowed, ctwatch.ReasonKeyNotAllowed, ctwatch.ReasonNoRule: // suggestions change it
		case ctwatch.ReasonKeyAuthorized, ctwatch.ReasonKeyServed, ctwatch.ReasonIssuerAllowed, ctwatch.ReasonCAAUnknown: // needs no change
		default:
			s.comment(words.NotByRules(c, r))
		}
	}
}

func (s *Suggestions) comment(text string) {
	line := "# " + text
	if !slices.Contains(s.comments, line) {
		s.comments = append(s.comments, line)
	}
}

// String returns the suggestions as YAML: entries of the watch list, with the issuers and
// keys that the entries of the same domain should have. It is "" if there are none.
//
// The lines contain nothing from a certificate but pins. Comments quote names, made
// printable, also those that unknown CAs give themselves.
func (s *Suggestions) String() string {
	var b strings.Builder
	for _, line := range s.comments {
		b.WriteString(line + "\n")
	}
	if len(s.entries) > 0 {
		b.WriteString("watch:\n")
	}
	for _, e := range s.entries {
		s.write(&b, e)
	}
	return b.String()
}

// A suggestion is what one certificate lacks.
type suggestion struct {
	judging
	all   *Suggestions
	allow Issuer // the issuer to allow
}

// An entry is an entry of the watch list.
type entry struct {
	pattern pins.Pattern
	domain  string // as a person wrote it
	issuers []Issuer
	keys    []pins.Pin
}

// part adds the suggestions for the rules of a part.
func (s *suggestion) part(t *part) {
	known := s.trusted(t) || s.served(t)
	rules := t.rule
	if len(rules) == 0 && t.watched != nil {
		rules = []*Rule{t.watched}
	}
	for _, r := range rules {
		switch s.issuer(r) {
		case ctwatch.ReasonIssuerNotAllowed:
			if known || s.all.approved[s.c.Key.Pin] || slices.Contains(r.Keys, s.c.Key.Pin) {
				s.all.comment(words.IssuedWithoutYou(s.c, caNames(s.issuers)))
				continue
			}
			s.addIssuer(r)
		case ctwatch.ReasonNoRule:
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
	if bad := s.all.rejects(s.c, s.issuers); bad != nil {
		s.all.comment(words.IssuerNotSuggested(s.allow.String(), s.issuerNames(), bad))
		return
	}
	e := s.entry(r)
	if s.allow == (Issuer{}) {
		return
	}
	if !slices.Contains(e.issuers, s.allow) {
		e.issuers = append(e.issuers, s.allow)
	}
	s.all.name(s.allow, s.issuerNames())
}

func (s *suggestion) addKey(r *Rule) {
	pin := s.c.Key.Pin
	if pin.IsZero() {
		return
	}
	if bad := s.all.rejected.key[pin]; bad != nil {
		s.all.comment(words.KeyNotSuggested(pin, bad))
		return
	}
	if e := s.entry(r); !slices.Contains(e.keys, pin) {
		e.keys = append(e.keys, pin)
	}
}

func (s *suggestion) entry(r *Rule) *entry {
	for _, e := range s.all.entries {
		if e.pattern == r.Pattern {
			return e
		}
	}
	e := &entry{pattern: r.Pattern, domain: s.domain(r.Pattern.Name)}
	// All rules of a pattern become one entry, which must allow what each of them allows.
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
	s.all.entries = append(s.all.entries, e)
	return e
}

func (s *Suggestions) write(b *strings.Builder, e *entry) {
	fmt.Fprintf(b, "  - domain: %s\n", scalar(e.domain))
	if e.pattern.Reach == pins.Exact && e.domain == e.pattern.Name {
		b.WriteString("    subdomains: false\n")
	}
	if len(e.issuers) > 0 {
		var list, who []string
		for _, i := range e.issuers {
			list = append(list, scalar(i.String()))
			for _, name := range s.names[i] {
				if !slices.Contains(who, name) {
					who = append(who, name)
				}
			}
		}
		comment := ""
		if len(who) > 0 {
			comment = " # " + strings.Join(who, "; ")
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

// domain returns a watched domain as a person wrote it. The name that a network has in
// subjects means nothing to people.
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

// scalar returns s as YAML, quoted unless it is plainly a domain.
func scalar(s string) string {
	if strings.Contains(s, ".") && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz-.") == "" && s[0] != '-' && s[0] != '.' {
		return s
	}
	return strconv.Quote(s)
}

// Approve records that a key is approved for some host, by any certificate, rule or person:
// a CA that certified it and is not allowed is not suggested. Call it before Add.
func (s *Suggestions) Approve(key pins.Pin) { s.approved[key] = true }

// Reject records that a person rejected a certificate: neither its key nor its issuer is
// suggested, be it by key or by a CA that has the key. Call it before Add.
//
// An issuer that is not proven may be anyone, so the CA that the log entry names is not
// affected.
func (s *Suggestions) Reject(c *ctwatch.Certificate) {
	if !c.Key.Pin.IsZero() {
		s.rejected.key[c.Key.Pin] = c
	}
	if !c.Issuer.Proven {
		return
	}
	s.rejected.issuer[c.Issuer.Pin] = c
	for _, ca := range s.p.cas.Of(c) {
		s.rejected.cas[ca] = c
	}
}

// rejects returns a rejected certificate with the same issuing key as another, or of one of
// its CAs; nil if there is none.
func (s *Suggestions) rejects(c *ctwatch.Certificate, cas []*CA) *ctwatch.Certificate {
	if !c.Issuer.Proven {
		return nil
	}
	if bad := s.rejected.issuer[c.Issuer.Pin]; bad != nil {
		return bad
	}
	for _, ca := range cas {
		if bad := s.rejected.cas[ca]; bad != nil {
			return bad
		}
	}
	return nil
}

// issuerNames says who issued: the CAs that have the key, or else a claim.
func (s *suggestion) issuerNames() string { return words.IssuerNames(s.c, caNames(s.issuers)) }

// name records who a suggested issuer is. One key may have many names.
func (s *Suggestions) name(i Issuer, who string) {
	const most = 3
	if list := s.names[i]; len(list) < most && !slices.Contains(list, who) {
		s.names[i] = append(list, who)
	}
}
