// Package web is the daemon's HTTP listener: authorization, limits and shutdown. It does not know
// the rest of the daemon, which registers handlers.
//
// Handlers registered with Handle need a token (RFC 6750) if others than this machine may reach the
// listener, directly or through a proxy; requests that change anything always need one. Handlers
// registered with HandlePublic are for everyone. Clients are hostile: headers, bodies, connections
// and the time for each are bounded.
package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/net/netutil"

	"ctwatch/files"
)

// Limits of clients.
const (
	maxConnections = 1024
	maxHeader      = 16 << 10
	maxBody        = 64 << 10

	headerTimeout = 5 * time.Second
	readTimeout   = 15 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = time.Minute

	// grace is how long requests under way may continue when the daemon stops.
	grace = 2 * time.Second
)

// Options configure a Server. Listen and Logger are required.
type Options struct {
	Listen string      // host:port; port 0 takes a free one
	TLS    *tls.Config // nil: plain HTTP
	Tokens *Tokens     // nil: no token is valid
	Public bool        // others reach it through a proxy: requests from this machine may be theirs
	Logger *slog.Logger
}

// A Server is a listener with its handlers.
type Server struct {
	listener net.Listener
	addr     *net.TCPAddr
	tls      bool
	tokens   *Tokens
	public   bool
	log      *slog.Logger
	mux      *http.ServeMux
	http     http.Server
}

// Listen starts to listen. Clients are answered once Run is called. A Server that is never run must
// be closed.
func Listen(o Options) (*Server, error) {
	l, err := net.Listen("tcp", o.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("http.listen: another program, perhaps another ctwatch, already listens on %s: stop it, or set http.listen to another address, or to \"\" for no listener: %w", o.Listen, err)
	} else if err != nil {
		return nil, fmt.Errorf("http.listen: cannot listen on %s: set http.listen to an address of this machine, or to \"\" for no listener: %w", o.Listen, err)
	}
	s := &Server{
		listener: netutil.LimitListener(l, maxConnections), addr: l.Addr().(*net.TCPAddr), tls: o.TLS != nil,
		tokens: o.Tokens, public: o.Public, log: o.Logger, mux: http.NewServeMux(),
	}
	s.http = http.Server{
		Handler:   http.MaxBytesHandler(http.HandlerFunc(s.serve), maxBody),
		TLSConfig: o.TLS,

		MaxHeaderBytes:    maxHeader,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,

		// net/http logs errors of clients, such as failed handshakes.
		ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// URL returns the URL of the server, with its port and a final slash.
func (s *Server) URL() string {
	scheme := "http"
	if s.tls {
		scheme = "https"
	}
	return scheme + "://" + s.addr.String() + "/"
}

// Local reports whether only this machine reaches the listener.
func (s *Server) Local() bool { return s.addr.IP.IsLoopback() }

// Handle registers a guarded handler for a pattern of http.ServeMux. It must not be called once the
// server runs.
func (s *Server) Handle(pattern string, h http.Handler) {
	s.mux.Handle(pattern, s.guard(h, false))
}

// HandlePublic is Handle for what anyone may read without a token.
func (s *Server) HandlePublic(pattern string, h http.Handler) {
	s.mux.Handle(pattern, s.guard(h, true))
}

// Run answers clients until ctx ends. Then it stops listening, waits briefly for requests under
// way, and returns nil. An error means that the listener failed.
func (s *Server) Run(ctx context.Context) error {
	done := make(chan error, 1)
	go func() {
		if s.tls {
			done <- s.http.ServeTLS(s.listener, "", "")
			return
		}
		done <- s.http.Serve(s.listener)
	}()
	select {
	case err := <-done:
		return fmt.Errorf("the HTTP listener on %v failed: %w", s.addr, err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if s.http.Shutdown(stop) != nil {
		s.Close()
	}
	<-done
	return nil
}

// Close stops listening at once. It may be called more than once.
func (s *Server) Close() {
	_ = s.http.Close() // closes the listener only once it runs
	_ = s.listener.Close()
}

// serve answers one request.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if p != http.ErrAbortHandler {
			s.log.Error("a bug: answering a request panicked", "pattern", r.Pattern, "panic", p, "stack", string(debug.Stack()))
		}
		panic(http.ErrAbortHandler) // the reply may be incomplete: close the connection
	}()
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store") // unless the handler changes it
	s.mux.ServeHTTP(w, r)
}

// TLS returns the configuration of a server with a certificate chain and its key, from PEM files.
// They are read again when they change; if they cannot be used then, that is logged, and the old
// certificate is served.
func TLS(certFile, keyFile string, logger *slog.Logger) (*tls.Config, error) {
	pair, err := newReloading(logger, func() (*tls.Certificate, error) {
		c, err := KeyPair(certFile, keyFile)
		return &c, err
	}, certFile, keyFile)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.get(), nil },
	}, nil
}

// maxPEM bounds a file of a certificate chain or a key, in bytes.
const maxPEM = 1 << 20

// KeyPair reads a certificate with its chain, and its key, from PEM files.
func KeyPair(certFile, keyFile string) (tls.Certificate, error) {
	var text [2][]byte
	for i, name := range []string{certFile, keyFile} {
		data, err := files.Read(name, maxPEM)
		if err != nil {
			return tls.Certificate{}, err
		}
		if text[i], err = files.Text(data); err != nil {
			return tls.Certificate{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	c, err := tls.X509KeyPair(text[0], text[1])
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s with %s: %w", certFile, keyFile, err)
	}
	return c, nil
}
