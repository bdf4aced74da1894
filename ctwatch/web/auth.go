package web

import (
	"net"
	"net/http"
	"strings"
)

// guard answers only requests that are allowed. All handlers have the same rule.
func (s *Server) guard(h http.Handler, public bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reads := r.Method == http.MethodGet || r.Method == http.MethodHead
		free := reads && (public || s.isLocal(r))
		if !free && !s.authorize(w, r) {
			return
		}
		h.ServeHTTP(w, r)
	})
}

// isLocal reports whether a request was made by a person or program on this machine, so that it
// needs no token. Nothing in a request proves that: a proxy connects from this machine, too, and
// many change Host. So a request counts as local only if nothing suggests otherwise: no token and
// no public URL is configured, and no header is from a proxy. Another Host than this machine means
// a web page whose name was pointed at it (DNS rebinding), or a proxy.
func (s *Server) isLocal(r *http.Request) bool {
	return s.Local() && s.tokens == nil && !s.public && fromLoopback(r) && toLoopback(r) && !forwarded(r.Header)
}

// fromLoopback reports whether the peer is on this machine.
func fromLoopback(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	return err == nil && net.ParseIP(host).IsLoopback()
}

// toLoopback reports whether Host is this machine, as with every HTTP/1.1 client that uses its
// address.
func toLoopback(r *http.Request) bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.EqualFold(host, "localhost") || net.ParseIP(strings.Trim(host, "[]")).IsLoopback()
}

// forwarded reports whether a request has headers of a proxy.
func forwarded(h http.Header) bool {
	for name := range h {
		switch {
		case strings.HasPrefix(name, "X-Forwarded"), strings.HasPrefix(name, "X-Original-"):
			return true
		case name == "Forwarded", name == "Via", name == "X-Real-Ip", name == "X-Client-Ip", name == "True-Client-Ip", name == "Cf-Connecting-Ip":
			return true
		}
	}
	return false
}

// authorize reports whether a request has a valid token (RFC 6750 §2.1). If not, it answers the
// request.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	given := strings.EqualFold(scheme, "Bearer")
	if given && s.tokens.match(strings.TrimSpace(token)) {
		return true
	}
	challenge, why := `Bearer realm="ctwatch"`, "This needs a token: Authorization: Bearer TOKEN, with one of those in http.tokens_file."
	switch {
	case s.tokens == nil && s.public:
		why = "This needs a token because http.public_url is set, but no tokens exist: http.tokens_file is not set."
	case s.tokens == nil:
		why = "This needs a token, but no tokens exist: http.tokens_file is not set."
	case given:
		challenge, why = challenge+`, error="invalid_token"`, "The token is not in http.tokens_file."
	}
	w.Header().Set("WWW-Authenticate", challenge)
	http.Error(w, why, http.StatusUnauthorized)
	return false
}
