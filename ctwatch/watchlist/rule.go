// Package watchlist holds the names that someone cares about, and finds out which
// of them a certificate's name concerns, in a time that does not grow with their
// number: one map look-up per label of the name, from the right.
//
// A name is brought into its canonical form by package entry, in one place for
// names in certificates and, label by label, for names in the configuration.
//
// IP addresses and networks in CIDR notation may be watched as well. They match
// addresses in certificates, as iPAddress or written out in a dNSName or common
// name, and nothing else. Events about them need a subject (ctwatch.Match.Domain)
// that is made of labels like a domain, so that its parts can stand in a NATS
// subject: the address with hyphens for its dots and colons, then an underscore and
// the prefix length if it is a network, and ".ip", which is no top-level domain.
// So 192.0.2.7 has 192-0-2-7.ip, 192.0.2.0/24 has 192-0-2-0_24.ip and 2001:db8::/32
// has 2001-db8--_32.ip, and a wildcard for all of them is ctwatch.*.*.ip.>.
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
	// Network is what a rule about addresses watches, and the zero Prefix in one
	// about names. Domain is then what stands for it in subjects.
	Network netip.Prefix
}

// NewRule reads a domain (see pins.ParseHost), IP address or network that a person wants
// to watch. A leading dot, Cert Spotter's sign for a domain with its subdomains, may be
// there if subdomains is true. To an address or network subdomains means nothing.
//
// An error says what is wrong and what is wanted, and continues a sentence that begins with
// the text.
func NewRule(watch string, subdomains bool) (Rule, error) {
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
