package configs

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"ctwatch/pins"
)

func (c checker) url(path, value string, schemes ...string) {
	if wrong := wrongURL(value, schemes...); wrong != "" {
		c.bad(path, "%s", wrong)
	} else if u, err := url.Parse(value); err == nil && u.User != nil && !c.mayHaveUser(path) {
		c.bad(path, "has a user name or password; want a URL without")
	}
}

// mayHaveUser says for which settings a URL is kept out of what is printed.
func (c checker) mayHaveUser(path string) bool { return strings.HasPrefix(path, "webhooks[") }

func (c checker) optionalURL(path, value string, schemes ...string) {
	if value != "" {
		c.url(path, value, schemes...)
	}
}

// wrongURL says what is wrong with a URL without repeating it, since it may hold a
// secret; "" when nothing is.
func wrongURL(value string, schemes ...string) string {
	want := "want a URL that begins with " + strings.Join(schemes, ":// or ") + "://"
	if value == "" {
		return "is missing or empty; " + want
	}
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Opaque != "":
		return "is no URL; " + want
	case !slices.Contains(schemes, u.Scheme):
		return "is no URL of a kind that can be used here; " + want
	case u.Scheme == "file" && (u.Host != "" && u.Host != "localhost" || !strings.HasPrefix(u.Path, "/")):
		return "is no file URL; want file:/// and an absolute path"
	case u.Scheme != "file" && !validHost(u.Host):
		return "is a URL without a valid host; " + want + " and a host"
	case u.Fragment != "":
		return "is a URL with a fragment; want it without the part from \"#\""
	}
	return ""
}

// resolver checks the address of a DNS server. A name without a port is refused: it
// is hardly meant, as it would take a DNS server to find.
func (c checker) resolver(path, value string) {
	if host, _, ok := hostPort(value, false); net.ParseIP(value) == nil && (!ok || host == "") {
		c.bad(path, "%s is no DNS server; want its address, such as 192.0.2.53 or 192.0.2.53:5353", c.shown(path, value))
	}
}

// listen checks the address of a listener; "" is none.
func (c checker) listen(path, value string) {
	if value == "" {
		return
	}
	if _, _, ok := hostPort(value, true); !ok {
		c.bad(path, "%s is no address to listen on; want host:port, such as 127.0.0.1:4222, or \"\" for none", c.shown(path, value))
	}
}

// hostPort splits host:port. The host may be empty, for all of a machine's
// addresses; port 0, for any free one, only where anyPort allows it.
func hostPort(s string, anyPort bool) (host string, port int, ok bool) {
	host, text, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, false
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 && !anyPort {
		return "", 0, false
	}
	return host, int(n), host == "" || validName(host)
}

// validHost reports whether s is a host, with or without a port.
func validHost(s string) bool {
	if host, _, ok := hostPort(s, false); ok {
		return host != ""
	}
	return validName(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
}

// validName reports whether a host is an IP address or a domain name.
func validName(host string) bool {
	if net.ParseIP(strings.SplitN(host, "%", 2)[0]) != nil {
		return true
	}
	_, err := pins.ParseHost(host)
	return err == nil
}
