// Package outward makes requests to URLs from the configuration: bounded, without
// redirects, not to private addresses unless permitted, and with errors that hold no
// secret.
package outward

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Redact replaces secrets in text, plain and in base64, as SMTP encodes them.
func Redact(text string, secrets ...string) string {
	for _, s := range secrets {
		if len(s) < 4 { // too short for a secret; replacing it would mangle the text
			continue
		}
		text = strings.ReplaceAll(text, s, "[secret]")
		text = strings.ReplaceAll(text, base64.StdEncoding.EncodeToString([]byte(s)), "[secret]")
	}
	return text
}

// Options says how such requests may be made. All of it is optional.
type Options struct {
	// AllowPrivate permits addresses that are not of the public internet: loopback,
	// private, link-local and the like. Without it, a URL whose host resolves to one
	// cannot reach what only this machine can. A URL that names such an address, or
	// localhost, needs no permission.
	AllowPrivate bool
	TLSConfig    *tls.Config
	// Proxy chooses a proxy, as http.ProxyFromEnvironment does. Default none. With a
	// proxy, its address has to be allowed.
	Proxy func(*http.Request) (*url.URL, error)
}

// NewClient returns a client that follows no redirects, bounds headers, and checks each
// address when it dials, so that a changed DNS answer cannot get around the check.
func NewClient(u *url.URL, o Options) *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	if !o.AllowPrivate && !namesAddress(u) {
		dialer.Control = func(_, address string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(address)
			if err != nil || !isPublic(ap.Addr()) {
				return errPrivate
			}
			return nil
		}
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext, Proxy: o.Proxy, TLSClientConfig: o.TLSConfig, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 64 << 10,
			MaxConnsPerHost: 4, MaxIdleConns: 2, IdleConnTimeout: 30 * time.Second,
		},
		// A redirect could carry what is secret to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// namesAddress reports whether the host of a URL is an address, or localhost.
func namesAddress(u *url.URL) bool {
	_, err := netip.ParseAddr(u.Hostname())
	return err == nil || strings.EqualFold(u.Hostname(), "localhost")
}

var errPrivate = errors.New("its address is private, and allow_private is not set")

// notPublic lists what netip does not know (RFC 6890, and the IANA registries of
// special-purpose addresses): private networks, and prefixes that embed an IPv4
// address.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // shared by the customers of a provider
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), // benchmarks
	netip.MustParsePrefix("240.0.0.0/4"),   // reserved, and broadcast
	netip.MustParsePrefix("::/96"),         // IPv4-compatible
	netip.MustParsePrefix("64:ff9b::/96"),  // NAT64
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("2001::/32"), // Teredo
	netip.MustParsePrefix("2002::/16"), // 6to4
	netip.MustParsePrefix("fec0::/10"), // site-local
}

// isPublic reports whether an address belongs to the public internet.
func isPublic(a netip.Addr) bool {
	a = a.WithZone("").Unmap()
	return a.IsGlobalUnicast() && !a.IsPrivate() &&
		!slices.ContainsFunc(notPublic, func(p netip.Prefix) bool { return p.Contains(a) })
}

// Name returns a name for a URL without its secrets: its host, and enough of a hash to
// distinguish it from others there.
func Name(u *url.URL) string {
	sum := sha256.Sum256([]byte(u.String()))
	return u.Host + "-" + hex.EncodeToString(sum[:5])
}

// Secrets returns the parts of a URL that may be secret, escaped and not, the longest
// first.
func Secrets(u *url.URL) []string {
	all := []string{u.String(), u.RequestURI(), u.RawQuery, u.EscapedPath(), u.Path}
	if u.User != nil {
		password, _ := u.User.Password()
		all = append(all, u.User.String(), u.User.Username(), password)
	}
	for _, segment := range strings.Split(u.EscapedPath(), "/") {
		plain, _ := url.PathUnescape(segment)
		all = append(all, segment, plain)
	}
	for _, pair := range strings.Split(u.RawQuery, "&") {
		_, v, _ := strings.Cut(pair, "=")
		plain, _ := url.QueryUnescape(v)
		all = append(all, v, plain)
	}
	slices.SortStableFunc(all, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(all)
}

// WithoutURL returns the text of an error of net/http without the URL, which may be a
// secret.
func WithoutURL(err error) string {
	var ue *url.Error
	for errors.As(err, &ue) {
		err = ue.Err
	}
	return err.Error()
}
