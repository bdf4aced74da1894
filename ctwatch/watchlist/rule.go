// Package watchlist matches the names and addresses of certificates with those that are
// watched. The time for a name does not depend on the number of rules: it is one look-up in
// a hash table for each label, from the right.
//
// Names that people write are read by pins.ParseHost, names in certificates by package
// entry. Both return the canonical form.
//
// IP addresses and networks in CIDR notation (RFC 4632) can be watched, too. They match
// addresses in certificates only: iPAddress, or an address as text in a dNSName or common
// name. Subjects of events about them (ctwatch.Match.Domain) consist of labels, like
// domains, for use in NATS subjects: the address with hyphens instead of dots and colons; of
// a network, an underscore and the prefix length; and ".ip", which is not a top-level
// domain. So 192.0.2.7 becomes 192-0-2-7.ip, 192.0.2.0/24 becomes 192-0-2-0_24.ip and
// 2001:db8::/32 becomes 2001-db8--_32.ip. The NATS wildcard for all of them is
// ctwatch.*.*.ip.>.
package watchlist

import (
	"errors"
	"net/netip"
	"strings"

	"ctwatch/pins"
)

// A Rule is one line of the watch list.
type Rule struct {
	Watch      string // the line as configured
	Domain     string // canonical: lower case, punycode, no trailing dot
	Subdomains bool   // every name below Domain as well
	// Network is what a rule about addresses watches; Domain is then its form in
	// subjects. It is the zero Prefix in rules about names.
	Network netip.Prefix
}

// NewRule reads a domain (see pins.ParseHost), an IP address or a network that a person
// wants to watch. A leading dot, as in Cert Spotter's syntax, is allowed if subdomains is
// true. For addresses and networks subdomains has no meaning.
//
// An error says what is wrong and what is wanted, and continues a sentence that begins with
// the text.
func NewRule(watch string, subdomains bool) (Rule, error) {
	if pins.CanonicalHost(watch) {
		return Rule{Watch: watch, Domain: watch, Subdomains: subdomains}, nil
	}
	switch network, ok, err := parseNetwork(watch); {
	case err != nil:
		return Rule{}, err
	case ok:
		return Rule{Watch: watch, Domain: networkSubject(network), Network: network}, nil
	}
	name, dotted := strings.CutPrefix(watch, ".")
	if dotted && !subdomains {
		return Rule{}, errors.New("begins with a dot, which means every name below it; want the bare domain to watch the one name")
	}
	domain, err := pins.ParseHost(name)
	if err != nil && strings.ContainsAny(name, "*?") && !strings.Contains(name, "://") {
		err = errors.New("has a wildcard; want the bare domain, which stands for every name below it and is found in wildcard certificates")
	}
	if err != nil {
		return Rule{}, err
	}
	return Rule{Watch: watch, Domain: domain, Subdomains: subdomains}, nil
}

// isLabelByte reports whether a canonical label may have c in it.
func isLabelByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}
