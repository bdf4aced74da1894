package configs

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// mapping is how domains are written in DNS (UTS #46, non-transitional). Which
// characters an ASCII name may have is checked here, since underscores do occur in
// certificates.
var mapping = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false), idna.CheckHyphens(false))

const wantDomain = "want a domain name, such as example.com"

// canonicalDomain returns a domain in lower case and punycode, or what is wrong
// with it, for an error that begins with the domain.
func canonicalDomain(s string) (domain, wrong string) {
	switch {
	case s == "":
		return "", "is missing or empty; " + wantDomain
	case strings.HasPrefix(s, "*."):
		return "", "is a pattern; want the bare domain, which stands for every name below it as well"
	case strings.HasPrefix(s, "."):
		return "", "begins with a dot; want the bare domain, which stands for every name below it as well"
	case strings.Contains(s, "://"):
		return "", "is a URL; " + wantDomain
	case net.ParseIP(s) != nil:
		return "", "is an IP address; " + wantDomain
	}
	ascii, err := mapping.ToASCII(s)
	if err != nil {
		return "", "is no domain name; " + wantDomain
	}
	ascii = strings.ToLower(ascii)
	if len(ascii) > 253 {
		return "", "is longer than 253 characters; " + wantDomain
	}
	labels := strings.Split(ascii, ".")
	for _, label := range labels {
		if wrong := wrongLabel(label); wrong != "" {
			return "", wrong + "; " + wantDomain
		}
	}
	if strings.Trim(labels[len(labels)-1], "0123456789") == "" {
		return "", "ends in a number; " + wantDomain
	}
	return ascii, ""
}

// canonicalWatch returns what is watched in its canonical form, or what is wrong
// with it: a domain, an IP address, or a network in CIDR notation.
func canonicalWatch(s string) (canonical, wrong string) {
	if addr, err := netip.ParseAddr(s); err == nil {
		if addr.Zone() != "" {
			return "", "has a zone, which no certificate has; want the address alone"
		}
		return addr.Unmap().String(), ""
	}
	address, _, _ := strings.Cut(s, "/")
	if _, err := netip.ParseAddr(address); err != nil {
		return canonicalDomain(s)
	}
	network, err := netip.ParsePrefix(s)
	switch masked := network.Masked(); {
	case err != nil:
		return "", "is no network; want an address and the length of its prefix, such as 192.0.2.0/24"
	case network != masked:
		return "", fmt.Sprintf("has bits set behind its prefix; want %v, or an address alone", masked)
	}
	return network.String(), ""
}

func wrongLabel(label string) string {
	switch {
	case label == "":
		return "has an empty part (two dots together, or one at its end)"
	case len(label) > 63:
		return "has a part longer than 63 characters"
	case label[0] == '-' || label[len(label)-1] == '-':
		return "has a part that begins or ends with a hyphen"
	case strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "":
		return "has characters that no domain has"
	}
	return ""
}

// pattern checks a host that an app pins: a domain, or "*." and a domain.
func (c checker) pattern(path, value, shown string) {
	name, wildcard := strings.CutPrefix(value, "*.")
	if strings.Contains(name, "*") {
		c.bad(path, "%s has a \"*\" other than its first label; want a host, or a pattern such as \"*.example.com\"", shown)
		return
	}
	domain, wrong := canonicalDomain(name)
	switch {
	case wrong != "":
		c.bad(path, "%s %s, or a pattern such as \"*.example.com\"", shown, wrong)
	case wildcard && !strings.Contains(domain, "."):
		c.bad(path, "%s covers a whole top-level domain; want a pattern such as \"*.example.com\"", shown)
	}
}
