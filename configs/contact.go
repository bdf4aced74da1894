package configs

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// maxContact bounds a contact, in bytes. It is sent with every request.
const maxContact = 200

// errContact describes what is wanted.
var errContact = errors.New("want an e-mail address or an https:// URL where log operators reach you")

// The addresses and hosts that need no escaping in a comment of a User-Agent (RFC 9110
// §5.6.5).
var (
	mailbox  = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+/=?^_{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_{|}~-]+)*$`)
	hostname = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]$`)
)

// CheckContact returns an error if a text is not a contact for log operators: an e-mail
// address, with or without "mailto:", or an https URL, on one line and printable, at a
// domain that is not reserved for examples and tests (RFC 2606).
func CheckContact(s string) error {
	if len(s) > maxContact {
		return fmt.Errorf("%s has %d characters, more than %d; %w", quote(s), len(s), maxContact, errContact)
	}
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`()\"<>`, r) }) {
		return fmt.Errorf("%s has characters that cannot be sent (blanks, quotes, parentheses or letters beyond ASCII); %w", quote(s), errContact)
	}
	host := ""
	if strings.HasPrefix(s, "https://") {
		u, err := url.Parse(s)
		if err != nil || u.User != nil || u.Fragment != "" || u.Port() == "" && strings.Contains(u.Host, ":") {
			return fmt.Errorf("%s is not a URL without user name and fragment; %w", quote(s), errContact)
		}
		host = u.Hostname()
	} else {
		user, domain, ok := strings.Cut(strings.TrimPrefix(s, "mailto:"), "@")
		if !ok || !mailbox.MatchString(user) {
			return fmt.Errorf("%s is neither; %w", quote(s), errContact)
		}
		host = domain
	}
	if _, err := netip.ParseAddr(host); err == nil || !hostname.MatchString(host) {
		return fmt.Errorf("%s has no domain; %w", quote(s), errContact)
	}
	if reserved(host) {
		return fmt.Errorf("%s has a domain for examples, which log operators count as anonymous; %w", quote(s), errContact)
	}
	return nil
}

// reserved reports whether a domain is for documentation and tests (RFC 2606) or for local
// networks.
func reserved(host string) bool {
	labels := strings.Split(strings.ToLower(host), ".")
	top := labels[len(labels)-1]
	switch top {
	case "example", "test", "invalid", "localhost", "local", "localdomain", "internal", "lan":
		return true
	case "com", "net", "org":
		return len(labels) > 1 && labels[len(labels)-2] == "example"
	}
	return false
}

func (c checker) contact(path, value string) {
	if err := CheckContact(value); err != nil {
		if w, ok := c.written[path]; ok { // from the environment
			c.bad(path, "%s is not a contact; %s", quote(w.text), errContact)
			return
		}
		c.bad(path, "%s", err)
	}
}

// Anonymous returns a warning if public logs are read without logs.contact.
func (c *Config) Anonymous() Errors {
	public := c.Logs.List != ""
	for _, x := range c.Logs.Extra {
		u, err := url.Parse(x.URL)
		public = public || err == nil && u.Scheme != "file" && !loopback(u.Hostname())
	}
	if c.Logs.Contact != "" || !public {
		return nil
	}
	return Errors{c.src.errorf("logs.contact", "is missing: many static logs let all anonymous clients share 75 requests a second, so that alarms can be late, and log operators cannot reach you; %w, or run: ctwatch config init --contact ADDRESS", errContact)}
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
