// Package web is the daemon's HTTP listener: who may ask for what, for how long,
// and how it ends. It knows nothing of the rest of the daemon; what is served is
// given to it as handlers.
//
// Whatever is handed to Handle is guarded: it needs a token (RFC 6750) as soon as
// others than this machine may reach the listener, itself or by a proxy, and changing
// anything always does. Only what is handed to HandlePublic is for everyone. Clients are hostile:
// headers, bodies, connections and the time spent on each are bounded.
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

// Limits of what clients may take up.
const (
	maxConnections = 1024
	maxHeader      = 16 << 10
	maxBody        = 64 << 10

	headerTimeout = 5 * time.Second
	readTimeout   = 15 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = time.Minute

	// grace is how long requests under way may go on once the daemon stops.
	grace = 2 * time.Second
)

// Options say where and how to listen. Listen and Logger are required.
type Options struct {
	Listen string      // host:port; port 0 takes a free one
	TLS    *tls.Config // nil: plain HTTP
	Tokens *Tokens     // nil: there are none, so that nobody has one
	Public bool        // others reach it, by a proxy: a request from this machine proves nothing
	Logger *slog.Logger
}

// A Server is a listener with what it serves.
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

// Listen begins to listen. Clients are answered once Run is called. A Server that
// is never run is to be closed.
func Listen(o Options) (*Server, error) {
	l, err := net.Listen("tcp", o.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("http.listen: another program, maybe another ctwatch, listens on %s already: end it, or set http.listen to another address, or to \"\" for no listener: %w", o.Listen, err)
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

		// What net/http has to say is about clients: failed handshakes, and the like.
		ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// URL is where the server is reached, with the port that it has, and ends in a
// slash.
func (s *Server) URL() string {
	scheme := "http"
	if s.tls {
		scheme = "https"
	}
	return scheme + "://" + s.addr.String() + "/"
}

// Local reports whether only this machine reaches the listener.
func (s *Server) Local() bool { return s.addr.IP.IsLoopback() }

// Handle serves what a pattern of http.ServeMux matches, guarded. It must not be
// called once the server runs.
func (s *Server) Handle(pattern string, h http.Handler) {
	s.mux.Handle(pattern, s.guard(h, false))
}

// HandlePublic is Handle for what everyone may read without a token.
func (s *Server) HandlePublic(pattern string, h http.Handler) {
	s.mux.Handle(pattern, s.guard(h, true))
}

// Run answers clients until ctx ends. Then it stops listening, lets requests under
// way end for a moment, and returns nil. An error means that the listener failed.
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
	_ = s.http.Close() // it knows the listener only once it runs
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
		panic(http.ErrAbortHandler) // the reply may be half written: cut the connection
	}()
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store") // unless the handler knows better
	s.mux.ServeHTTP(w, r)
}

// TLS returns the configuration of a server with a certificate chain and its key,
// both in PEM files, which are read again when they have changed. Files that cannot
// be used then are logged, and the certificate before them still serves.
func TLS(certFile, keyFile string, logger *slog.Logger) (*tls.Config, error) {
	pair, err := newFresh(logger, func() (*tls.Certificate, error) {
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
