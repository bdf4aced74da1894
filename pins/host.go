package pins

import (
	"errors"
	"fmt"
	"strings"
)

// A Reach says which names a Pattern stands for.
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

var errPattern = errors.New(`want a host name such as "api.example.com", "*.example.com" for each name one below, or ".example.com" for it and all below`)

// ParsePattern reads a pattern as String writes it. Upper case becomes lower case;
// names that DNS does not have are refused.
func ParsePattern(s string) (Pattern, error) {
	p := Pattern{Name: s}
	if name, ok := strings.CutPrefix(s, "*."); ok {
		p = Pattern{name, OneBelow}
	} else if name, ok := strings.CutPrefix(s, "."); ok {
		p = Pattern{name, AllBelow}
	}
	p.Name = strings.ToLower(p.Name)
	if !ValidHost(p.Name) {
		return Pattern{}, fmt.Errorf("host %q: %w", s, errPattern)
	}
	return p, nil
}

// ValidHost reports whether a name is one that a client can connect to: labels of
// letters, digits, hyphens and underscores in lower case, of at most 63 octets, and
// 253 in all (RFC 1035 §2.3.4).
func ValidHost(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			switch c := label[i]; {
			case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			default:
				return false
			}
		}
	}
	return true
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
	*p, err = ParsePattern(string(text))
	return err
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
