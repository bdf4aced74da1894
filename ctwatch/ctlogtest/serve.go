package ctlogtest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"ctwatch/ctwatch"
)

// Start serves the log on a free loopback port until stop is called.
func (l *Log) Start() (stop func(), err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("serving log %q: %w", l.opt.Name, err)
	}
	return l.Serve(ln), nil
}

// Serve serves the log on a listener until stop is called. stop ends every request under way
// and waits for all goroutines. Then the log can be served again.
func (l *Log) Serve(ln net.Listener) (stop func()) {
	if l.opt.URL == "" {
		l.mu.Lock()
		l.url = "http://" + ln.Addr().String() + "/"
		l.mu.Unlock()
	}
	ctx, cancel := context.WithCancel(context.Background())
	var connections sync.WaitGroup
	srv := &http.Server{
		Handler:           l,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 10 * time.Second,
		// A connection is closed only after its handler has returned, and Serve below opens
		// all of them: nothing is left once the count is zero.
		ConnState: func(_ net.Conn, s http.ConnState) {
			switch s {
			case http.StateNew:
				connections.Add(1)
			case http.StateClosed:
				connections.Done()
			}
		},
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ln) // ErrServerClosed, as soon as stop is called
	}()
	return sync.OnceFunc(func() {
		_ = srv.Close()
		cancel()
		<-done
		connections.Wait()
	})
}

// URL returns the prefix of the log's URLs; it ends in a slash.
func (l *Log) URL() string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.url
}

// ServeHTTP answers one request, with the log's faults.
func (l *Log) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	class, answer := l.route(r)
	l.requests.add(l.opt.Now(), class, r.URL.RequestURI())
	if class == Heads {
		l.freshen()
	}
	v := l.view()
	h := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(v, w, r) }))
	for _, f := range l.faults.of(class, r) {
		if f.alter != nil {
			if err := f.alter(v); err != nil {
				http.Error(w, "fault "+f.Name+": "+err.Error(), http.StatusInternalServerError)
				return
			}
		}
		if f.wrap != nil {
			h = f.wrap(h)
		}
	}
	h.ServeHTTP(w, r)
}

// An answerer answers one request from a view.
type answerer = func(*View, http.ResponseWriter, *http.Request)

// route returns the class of a request, and what answers it.
func (l *Log) route(r *http.Request) (Class, answerer) {
	path := r.URL.Path
	switch path {
	case "/ct/v1/add-chain":
		return Submit, (*View).addChain
	case "/ct/v1/add-pre-chain":
		return Submit, (*View).addPreChain
	}
	if l.opt.Kind == ctwatch.KindRFC6962 {
		switch path {
		case "/ct/v1/get-sth":
			return Heads, (*View).serveHead
		case "/ct/v1/get-entries":
			return Entries, (*View).getEntries
		case "/ct/v1/get-sth-consistency":
			return Proofs, (*View).getConsistency
		case "/ct/v1/get-proof-by-hash":
			return Proofs, (*View).getProofByHash
		case "/ct/v1/get-entry-and-proof":
			return Proofs, (*View).getEntryAndProof
		}
	}
	if l.opt.Kind == ctwatch.KindStatic && path == "/checkpoint" {
		return Heads, (*View).serveHead
	}
	if l.opt.Kind == ctwatch.KindStatic || l.opt.Hybrid {
		switch {
		case strings.HasPrefix(path, "/tile/data/"):
			return Entries, (*View).serveTile
		case strings.HasPrefix(path, "/tile/"):
			return Proofs, (*View).serveTile
		case strings.HasPrefix(path, "/issuer/"):
			return Issuers, (*View).serveIssuer
		}
	}
	return Other, func(_ *View, w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }
}
