package pins

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// defaultPort is the port of endpoints without one.
const defaultPort = 443

// An Endpoint is where a host is served.
type Endpoint struct {
	// Host is the name in SNI (RFC 6066 §3): a host name in lower case and punycode. For
	// an IP address, without brackets, there is no SNI.
	Host string
	// Target is the "host:port" that is resolved and dialed. Empty means Host, at port
	// 443.
	Target string
	// Configured is set if a person named the endpoint. Only then may it be at an address
	// that is not public, such as 10.0.0.1 or ::1: anyone who controls the DNS of a name
	// could otherwise make this machine connect to its neighbors.
	Configured bool
}

var (
	errEndpoint = errors.New(`want "HOST" or "HOST:PORT", such as "api.example.com:8443" or "[2001:db8::1]:443"`)
	errPort     = errors.New("the port is not a number from 1 to 65535")
	errBrackets = errors.New(`an IPv6 address has to be in brackets, as in "[2001:db8::1]:443"`)
)

// ParseEndpoint reads an endpoint from a person, as "host" or "host:port". The default port
// is 443. IPv6 addresses are in brackets; international names become punycode.
func ParseEndpoint(s string) (Endpoint, error) {
	host, port, err := splitTarget(s)
	if err != nil {
		return Endpoint{}, fmt.Errorf("endpoint %q: %w", s, err)
	}
	e := Endpoint{Host: host, Configured: true}
	if port != defaultPort {
		e.Target = joinTarget(host, port)
	}
	return e, nil
}

// Check fails if Host or Target is not of the documented form.
func (e Endpoint) Check() error {
	if host, err := cleanHost(e.Host); err != nil || host != e.Host {
		return fmt.Errorf("endpoint %q: the host is neither a name in lower case and punycode nor an IP address", e.Host)
	}
	if e.Target == "" {
		return nil
	}
	if _, _, err := splitTarget(e.Target); err != nil {
		return fmt.Errorf("target %q of endpoint %s: %w", e.Target, e.Host, err)
	}
	return nil
}

// String names the endpoint: "host" or "host:port", as ParseEndpoint reads it, or
// "host at target" where it is served under another name.
func (e Endpoint) String() string {
	host, port, err := e.Dial()
	switch {
	case err != nil:
		return strconv.Quote(e.Host) + " at " + strconv.Quote(e.Target)
	case host != e.Host:
		return e.Host + " at " + joinTarget(host, port)
	case port != defaultPort:
		return joinTarget(host, port)
	case strings.Contains(host, ":"):
		return "[" + host + "]"
	}
	return host
}

// Dial returns the host and the port that are dialed.
func (e Endpoint) Dial() (host string, port uint16, err error) {
	if e.Target == "" {
		return e.Host, defaultPort, nil
	}
	return splitTarget(e.Target)
}

// HostPort returns Target, or what it stands for when it is empty.
func (e Endpoint) HostPort() string {
	if e.Target == "" {
		return joinTarget(e.Host, defaultPort)
	}
	return e.Target
}

// joinTarget is the reverse of splitTarget.
func joinTarget(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// splitTarget reads "host" or "host:port".
func splitTarget(s string) (host string, port uint16, err error) {
	host, portText, hasPort := s, "", false
	if rest, ok := strings.CutPrefix(s, "["); ok {
		host, portText, ok = strings.Cut(rest, "]")
		if !ok || !strings.Contains(host, ":") {
			return "", 0, errEndpoint
		}
		if portText != "" {
			if portText, hasPort = strings.CutPrefix(portText, ":"); !hasPort {
				return "", 0, errEndpoint
			}
		}
	} else {
		if _, err := netip.ParseAddr(s); err == nil && strings.Contains(s, ":") {
			return "", 0, errBrackets
		}
		host, portText, hasPort = strings.Cut(s, ":")
	}

	if host, err = cleanHost(host); err != nil {
		return "", 0, err
	}
	if !hasPort {
		return host, defaultPort, nil
	}
	n, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || n == 0 {
		return "", 0, errPort
	}
	return host, uint16(n), nil
}

// cleanHost returns a host in the form of Endpoint.Host: an IP address in its shortest
// form, or a name in lower case and punycode without a trailing dot.
func cleanHost(s string) (string, error) {
	if ip, err := netip.ParseAddr(s); err == nil {
		if ip.Zone() != "" {
			return "", errors.New("an address with a zone has no meaning outside this machine")
		}
		return ip.Unmap().String(), nil
	}
	host, err := ParseHost(s)
	if err != nil {
		return "", fmt.Errorf("the host %w", err)
	}
	return host, nil
}
