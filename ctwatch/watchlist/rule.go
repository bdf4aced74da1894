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
	"fmt"
	"net/netip"
	"strings"

	"ctwatch/ctwatch/entry"

	"golang.org/x/net/idna"
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

// NewRule makes a rule of a configured domain, IP address or network. A leading
// dot, Cert Spotter's sign for a domain with its subdomains, may be there if
// subdomains is true. To an address or network subdomains means nothing.
func NewRule(watch string, subdomains bool) (Rule, error) {
	switch network, ok, err := parseNetwork(watch); {
	case err != nil:
		return Rule{}, err
	case ok:
		return Rule{Watch: watch, Domain: networkSubject(network), Network: network}, nil
	}
	s := watch
	if after, dotted := strings.CutPrefix(watch, "."); dotted {
		if !subdomains {
			return Rule{}, fmt.Errorf("%q begins with a dot, which means every name below it: drop the dot to watch the one name", watch)
		}
		s = after
	}
	domain, err := ParseDomain(s)
	if err != nil {
		return Rule{}, err
	}
	return Rule{Watch: watch, Domain: domain, Subdomains: subdomains}, nil
}

// ParseDomain reads a domain name that a person wrote and returns its canonical
// form. It takes upper case, internationalised names and one trailing dot, and
// refuses everything that could not be meant, or would match nothing.
func ParseDomain(s string) (string, error) {
	fail := func(format string, args ...any) (string, error) {
		return "", fmt.Errorf("domain %.100q: %s", s, fmt.Sprintf(format, args...))
	}
	name := strings.TrimSuffix(s, ".")
	switch {
	case name == "":
		return fail("it is empty")
	case strings.Contains(name, "://"):
		return fail("this is a URL: write the host name alone")
	case strings.ContainsAny(name, "*?"):
		return fail("wildcards are not needed: a watched domain stands for the names below it, and is found in wildcard certificates")
	case strings.ContainsAny(name, "@"):
		return fail("this is an e-mail address: write what follows the @")
	}
	if _, ok, err := parseNetwork(name); ok || err != nil {
		return fail("this is an IP address or network, want a name (to watch an address, write it without a dot around it)")
	}
	canonical := name
	if !isCanonical(name) {
		labels := entry.Labels(name)
		for i, label := range labels {
			ascii, err := entry.ASCII(label)
			if err != nil {
				return "", fmt.Errorf("domain %.100q: %w", s, err)
			}
			labels[i] = ascii
		}
		canonical = strings.Join(labels, ".")
	}
	if canonical == addressDomain || strings.HasSuffix(canonical, "."+addressDomain) {
		return fail("%q is no top-level domain: in subjects of events it stands for watched addresses", addressDomain)
	}
	if len(canonical) > 253 {
		return fail("%d characters, want at most 253", len(canonical))
	}
	for label := range strings.SplitSeq(canonical, ".") {
		if err := checkLabel(label); err != nil {
			return "", fmt.Errorf("domain %.100q: %w", s, err)
		}
	}
	return canonical, nil
}

// isCanonical reports whether a name has only characters of canonical names.
func isCanonical(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isLabelByte(c) && c != '.' {
			return false
		}
	}
	return true
}

// isLabelByte reports whether a canonical label may have c in it.
func isLabelByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// checkLabel says what is wrong with a label in canonical form.
func checkLabel(label string) error {
	switch {
	case label == "":
		return errors.New("a label is empty (two dots in a row, or one in front)")
	case len(label) > 63:
		return fmt.Errorf("label %q has %d characters, want at most 63", label, len(label))
	case label[0] == '-' || label[len(label)-1] == '-':
		return fmt.Errorf("label %q begins or ends with a hyphen", label)
	}
	for i := range len(label) {
		if c := label[i]; !isLabelByte(c) {
			return fmt.Errorf("label %q has the character %q, want letters, digits, hyphens and underscores", label, c)
		}
	}
	if strings.HasPrefix(label, "xn--") {
		if _, err := idna.Punycode.ToUnicode(label); err != nil {
			return fmt.Errorf("label %q is no punycode", label)
		}
	}
	return nil
}
