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

// Redact takes a secret out of text, plain or as SMTP encodes it.
func Redact(text string, secrets ...string) string {
	for _, s := range secrets {
		if len(s) < 4 { // less is no secret, and would mangle the text
			continue
		}
		text = strings.ReplaceAll(text, s, "[secret]")
		text = strings.ReplaceAll(text, base64.StdEncoding.EncodeToString([]byte(s)), "[secret]")
	}
	return text
}

// Requests to URLs that people configured, such as webhooks and heartbeats.

// Options says how such requests may be made. All of it is optional.
type Options struct {
	// AllowPrivate permits addresses that are not of the public internet: loopback,
	// private, link-local and the like. Without it, a URL whose host resolves to one
	// cannot be used to reach what only this machine can. A URL that names such an
	// address itself, or localhost, needs no permission: that is one.
	AllowPrivate bool
	TLSConfig    *tls.Config
	// Proxy chooses a proxy, as http.ProxyFromEnvironment does. Default none. It is
	// then the proxy's address that has to be allowed.
	Proxy func(*http.Request) (*url.URL, error)
}

// NewClient makes a client that follows no redirects, bounds what it reads of
// headers, and checks each address at the moment it is dialled, so that no DNS
// answer can change in between.
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

// namesAddress reports whether a URL says by itself which address is meant.
func namesAddress(u *url.URL) bool {
	_, err := netip.ParseAddr(u.Hostname())
	return err == nil || strings.EqualFold(u.Hostname(), "localhost")
}

var errPrivate = errors.New("its address is private, and allow_private is not set")

// notPublic lists what netip has no word for (RFC 6890, and the IANA registries of
// special-purpose addresses): networks of one's own, and prefixes that hide an IPv4
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

// isPublic reports whether an address is of the public internet.
func isPublic(a netip.Addr) bool {
	a = a.WithZone("").Unmap()
	return a.IsGlobalUnicast() && !a.IsPrivate() &&
		!slices.ContainsFunc(notPublic, func(p netip.Prefix) bool { return p.Contains(a) })
}

// Name names a URL without telling what is secret in it: its host, and enough of
// a hash to tell it from others there.
func Name(u *url.URL) string {
	sum := sha256.Sum256([]byte(u.String()))
	return u.Host + "-" + hex.EncodeToString(sum[:5])
}

// Secrets lists the parts of a URL that may be secret, as they are written and as
// they are meant, the longest first.
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

// WithoutURL words an error of net/http without the URL, which may be a secret.
func WithoutURL(err error) string {
	var ue *url.Error
	for errors.As(err, &ue) {
		err = ue.Err
	}
	return err.Error()
}
