package pins

import (
	"fmt"
	"slices"
	"strings"
)

// A Reach is which names a Pattern stands for.
type Reach uint8

// The reaches that certificates, watch lists and clients know.
const (
	Exact    Reach = iota // the name alone
	OneBelow              // each name exactly one label below it, and not itself
	AllBelow              // the name itself and every name below it
)

// A Pattern stands for one host name or for several. It is written as "h" (Exact),
// "*.h" (OneBelow, as in certificates: RFC 9525 §6.3) or ".h" (AllBelow, as in
// Cert Spotter's watch lists).
type Pattern struct {
	Name  string // in lower case and punycode, without a trailing dot
	Reach Reach
}

// ParsePattern reads a pattern that a person wrote, in any form that String writes, with
// a name that ParseHost accepts. An error continues a sentence as one of ParseHost does.
func ParsePattern(s string) (Pattern, error) {
	p := splitPattern(s)
	host, err := ParseHost(p.Name)
	if err != nil {
		return Pattern{}, err
	}
	p.Name = host
	return p, nil
}

// PatternOf reads a pattern in canonical form, as String writes it and certificates name
// hosts. Unlike ParsePattern it changes nothing but upper case, and accepts every name that
// a client can ask for, such as one with a label that only looks like punycode.
func PatternOf(s string) (Pattern, error) {
	p := splitPattern(strings.ToLower(s))
	if !ValidHost(p.Name) {
		return Pattern{}, fmt.Errorf("%.100q is not a host name or pattern in canonical form", s)
	}
	return p, nil
}

// HostsOf returns the names of a certificate that are hosts, or wildcards for them, each
// once.
func HostsOf(names []string) []Pattern {
	var hosts []Pattern
	for _, n := range names {
		if p, err := PatternOf(n); err == nil && p.Reach != AllBelow && !slices.Contains(hosts, p) {
			hosts = append(hosts, p)
		}
	}
	return hosts
}

func splitPattern(s string) Pattern {
	if name, ok := strings.CutPrefix(s, "*."); ok {
		return Pattern{name, OneBelow}
	}
	if name, ok := strings.CutPrefix(s, "."); ok {
		return Pattern{name, AllBelow}
	}
	return Pattern{Name: s}
}

// String writes the pattern as ParsePattern reads it.
func (p Pattern) String() string {
	switch p.Reach {
	case OneBelow:
		return "*." + p.Name
	case AllBelow:
		return "." + p.Name
	}
	return p.Name
}

// MarshalText implements encoding.TextMarshaler with String.
func (p Pattern) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler with ParsePattern.
func (p *Pattern) UnmarshalText(text []byte) (err error) {
	if *p, err = ParsePattern(string(text)); err != nil {
		return fmt.Errorf("host %.100q %w", text, err)
	}
	return nil
}

// Matches reports whether the pattern stands for a host, in lower case.
func (p Pattern) Matches(host string) bool {
	switch p.Reach {
	case OneBelow:
		label, ok := below(host, p.Name)
		return ok && !strings.Contains(label, ".")
	case AllBelow:
		_, ok := below(host, p.Name)
		return ok || host == p.Name
	}
	return host == p.Name
}

// Covers reports whether the pattern stands for every host that q stands for.
func (p Pattern) Covers(q Pattern) bool {
	switch q.Reach {
	case Exact:
		return p.Matches(q.Name)
	case OneBelow:
		return p == q || p.Reach == AllBelow && p.Matches(q.Name)
	}
	return p.Reach == AllBelow && p.Matches(q.Name)
}

// below cuts the name off a host below it.
func below(host, name string) (labels string, ok bool) {
	n := len(host) - len(name)
	if n < 2 || host[n-1] != '.' || host[n:] != name {
		return "", false
	}
	return host[:n-1], true
}

// A PatternSet is a set of patterns that answers with one lookup per label of a name whether
// any of them covers it: certificates can have tens of thousands of names.
type PatternSet map[Pattern]bool

// NewPatternSet makes a set of patterns.
func NewPatternSet(ps ...Pattern) PatternSet {
	s := make(PatternSet, len(ps))
	for _, p := range ps {
		s[p] = true
	}
	return s
}

// Covers reports whether a pattern of the set stands for every host that q stands for, as
// Pattern.Covers does.
func (s PatternSet) Covers(q Pattern) bool {
	if len(s) == 0 {
		return false
	}
	if s[q] || s[Pattern{Name: q.Name, Reach: AllBelow}] {
		return true
	}
	label := true // the first of the name
	for i := range len(q.Name) {
		if q.Name[i] != '.' {
			continue
		}
		above := q.Name[i+1:]
		if i > 0 && (s[Pattern{Name: above, Reach: AllBelow}] || label && q.Reach == Exact && s[Pattern{Name: above, Reach: OneBelow}]) {
			return true
		}
		label = false
	}
	return false
}
