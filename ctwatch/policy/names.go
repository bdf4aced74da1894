package policy

import (
	"net/netip"
	"strings"

	"ctwatch/pins"
)

// A shape is how a certificate's name is read.
type shape uint8

const (
	odd      shape = iota // several or partial wildcards, and what is not a name, such as an address
	plain                 // a host
	wildcard              // "*." and a host: every name one label below it
)

// shapeOf returns the shape of a name, and the host in it.
func shapeOf(name string) (s shape, host string) {
	if base, ok := strings.CutPrefix(name, "*."); ok && pins.ValidHost(base) {
		return wildcard, base
	}
	if pins.ValidHost(name) {
		if _, err := netip.ParseAddr(name); err != nil {
			return plain, name
		}
	}
	return odd, ""
}

// overlaps reports whether a certificate's name covers any host of a pattern, comparing
// labels from the right. A label that cannot be read, or was redacted, may be any label.
func overlaps(p pins.Pattern, name string) bool {
	have, want := strings.Count(name, ".")+1, strings.Count(p.Name, ".")+1
	switch p.Reach {
	case pins.Exact:
		if have != want {
			return false
		}
	case pins.OneBelow:
		if have != want+1 {
			return false
		}
	case pins.AllBelow:
		if have < want {
			return false
		}
	}
	rest, host := name, p.Name
	for range want {
		var label, literal string
		rest, label = cutLast(rest)
		host, literal = cutLast(host)
		if !labelMatches(label, literal) {
			return false
		}
	}
	return true
}

// cutLast cuts the last label from a name.
func cutLast(name string) (rest, label string) {
	i := strings.LastIndexByte(name, '.')
	return name[:max(i, 0)], name[i+1:]
}

// labelMatches reports whether a label, in which each * stands for any characters, can be
// the literal one. It takes linear time for one star; with several it backtracks to the
// last one only.
func labelMatches(label, literal string) bool {
	if unreadable(label) {
		return true
	}
	l, s, star, mark := 0, 0, -1, 0
	for s < len(literal) {
		switch {
		case l < len(label) && label[l] == '*':
			star, mark = l, s
			l++
		case l < len(label) && label[l] == literal[s]:
			l, s = l+1, s+1
		case star >= 0:
			mark++
			l, s = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(label[l:], "*") == ""
}

// unreadable reports whether a label has characters that no label in canonical form has.
func unreadable(label string) bool {
	for i := range len(label) {
		switch c := label[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_', c == '*':
		default:
			return true
		}
	}
	return label == ""
}
