package web

import (
	"net"
	"net/http"
	"strings"
)

// guard decides whether a request may be answered. The same rule holds for all
// handlers, so that none can forget it.
func (s *Server) guard(h http.Handler, public bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reads := r.Method == http.MethodGet || r.Method == http.MethodHead
		free := reads && (public || s.fromHere(r))
		if !free && !s.authorize(w, r) {
			return
		}
		h.ServeHTTP(w, r)
	})
}

// fromHere reports whether a request was made by this machine, and to it. The
// second is what tells it from one by a web page whose name was pointed at this
// machine (DNS rebinding), and from one that a proxy passes on. Browsers always send
// a Host; health checks of HTTP/1.0 do not.
func (s *Server) fromHere(r *http.Request) bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return s.Local() && (host == "" || ip.IsLoopback() || strings.EqualFold(host, "localhost"))
}

// authorize reports whether a request has a valid token (RFC 6750 §2.1), and
// answers it if not.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	given := strings.EqualFold(scheme, "Bearer")
	if given && s.tokens.match(strings.TrimSpace(token)) {
		return true
	}
	challenge, why := `Bearer realm="ctwatch"`, "This needs a token: Authorization: Bearer TOKEN, with one of those in http.tokens_file."
	switch {
	case s.tokens == nil:
		why = "This needs a token, and there are none: http.tokens_file is not set."
	case given:
		challenge, why = challenge+`, error="invalid_token"`, "The token is none of those in http.tokens_file."
	}
	w.Header().Set("WWW-Authenticate", challenge)
	http.Error(w, why, http.StatusUnauthorized)
	return false
}
