package ctwatch

import (
	"errors"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"ctwatch/pins"
)

// ParseURL reads the URL of a server, with one of some schemes, or that of a file. An error
// says what is wrong and what is wanted, and continues a sentence that begins with the name
// of the setting: it never repeats the URL, which may hold a secret.
func ParseURL(s string, schemes ...string) (*url.URL, error) {
	want := "; want a URL that begins with " + strings.Join(schemes, ":// or ") + "://"
	if s == "" {
		return nil, errors.New("is missing or empty" + want)
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Opaque != "" || u.Scheme == "":
		return nil, errors.New("is not a URL" + want)
	case !slices.Contains(schemes, u.Scheme):
		return nil, errors.New("is a URL with another scheme" + want)
	case u.Scheme == "file" && (u.Host != "" && u.Host != "localhost" || !strings.HasPrefix(u.Path, "/")):
		return nil, errors.New("is not the URL of a file; want file:/// and an absolute path")
	case u.Scheme != "file" && !hasHost(u.Host):
		return nil, errors.New("is a URL without a valid host" + want + " and a host")
	case u.Fragment != "":
		return nil, errors.New("is a URL with a fragment; want it without the part from \"#\"")
	}
	return u, nil
}

// SplitHostPort splits "host:port". The host may be empty, for all addresses of a machine.
// Port 0, for any free port, is allowed with anyPort only.
func SplitHostPort(s string, anyPort bool) (host string, port int, ok bool) {
	host, text, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, false
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 && !anyPort {
		return "", 0, false
	}
	return host, int(n), host == "" || IsHost(host)
}

// hasHost reports whether s is a host, with or without a port.
func hasHost(s string) bool {
	if host, _, ok := SplitHostPort(s, false); ok {
		return host != ""
	}
	return IsHost(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
}

// IsHost reports whether a text is an IP address or a host name (see pins.ParseHost).
func IsHost(host string) bool {
	if net.ParseIP(strings.SplitN(host, "%", 2)[0]) != nil {
		return true
	}
	_, err := pins.ParseHost(host)
	return err == nil
}
