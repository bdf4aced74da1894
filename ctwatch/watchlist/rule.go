// Package watchlist matches the names and addresses of certificates with those that are
// watched. The time for a name does not depend on the number of rules: it is one map look-up
// for each label, from the right.
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
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

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

// maxLine bounds a line of a watch-list file, in bytes. After maxErrors mistakes reading
// stops.
const (
	maxLine   = 4096
	maxErrors = 20
)

// ParseFile reads a watch list in Cert Spotter's syntax: one domain per line, with a leading
// dot (".example.com") to watch all names below it, too. # begins a comment; blank lines are
// ignored. The error has all mistakes, with file, line and column.
func ParseFile(r io.Reader, name string) ([]Rule, error) {
	var rules []Rule
	var mistakes []error
	br := bufio.NewReaderSize(r, maxLine)
	for line := 1; ; line++ {
		text, err := readLine(br)
		if err == io.EOF {
			break
		}
		if err != nil && !errors.Is(err, errLongLine) {
			return nil, fmt.Errorf("reading watch list %s: line %d: %w", name, line, err)
		}
		if line == 1 {
			text = bytes.TrimPrefix(text, []byte("\ufeff"))
		}
		column := 1
		if err == nil {
			var rule Rule
			var ok bool
			rule, column, ok, err = parseLine(string(text))
			if ok {
				rules = append(rules, rule)
			}
		}
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s:%d:%d: %w", name, line, column, err))
			if len(mistakes) == maxErrors {
				mistakes = append(mistakes, fmt.Errorf("%s: too many mistakes, reading stopped at line %d", name, line))
				break
			}
		}
	}
	if len(mistakes) > 0 {
		return nil, errors.Join(mistakes...)
	}
	return rules, nil
}

var errLongLine = fmt.Errorf("the line is longer than %d bytes: write one domain per line", maxLine)

// readLine reads up to the next newline. For a line that is too long it returns
// errLongLine.
func readLine(br *bufio.Reader) ([]byte, error) {
	text, err := br.ReadSlice('\n')
	switch {
	case err == io.EOF && len(text) > 0:
		return text, nil
	case !errors.Is(err, bufio.ErrBufferFull):
		return text, err
	}
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = br.ReadSlice('\n')
	}
	if err != nil && err != io.EOF {
		return nil, err
	}
	return nil, errLongLine
}

// parseLine reads one line; ok is false for one without a rule. The column of a mistake
// counts characters from 1.
func parseLine(line string) (rule Rule, column int, ok bool, err error) {
	line, _, _ = strings.Cut(line, "#")
	start := strings.IndexFunc(line, func(r rune) bool { return !unicode.IsSpace(r) })
	if start < 0 {
		return rule, 1, false, nil
	}
	column = utf8.RuneCountInString(line[:start]) + 1
	domain := strings.TrimSpace(line)
	if i := strings.IndexFunc(domain, unicode.IsSpace); i >= 0 {
		rest := strings.TrimLeftFunc(domain[i:], unicode.IsSpace)
		column += utf8.RuneCountInString(domain[:len(domain)-len(rest)])
		return rule, column, false, fmt.Errorf("%.100q after the domain: options are not supported, write one domain per line", rest)
	}
	if rule, err = NewRule(domain, domain[0] == '.'); err != nil {
		return rule, column, false, fmt.Errorf("%.100q %w", domain, err)
	}
	return rule, column, true, nil
}
