package web

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// tokensOf reads tokens from a file with a text.
func tokensOf(t *testing.T, text string) *Tokens {
	t.Helper()
	tokens, err := ReadTokens(write(t, "tokens", text), discard())
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// serve runs a server with something guarded, something public and something that
// changes things, until the test ends or stop is called.
func serve(t *testing.T, o Options) (s *Server, stop func()) {
	t.Helper()
	if o.Logger == nil {
		o.Logger = discard()
	}
	s, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	said := func(what string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, what) })
	}
	schemas, err := Files(fstest.MapFS{"event.json": {Data: []byte(`{"a": "schema"}`)}}, "application/schema+json")
	if err != nil {
		t.Fatal(err)
	}
	s.HandlePublic("GET /healthz", Health())
	s.HandlePublic("GET /schemas/{file}", schemas)
	s.Handle("GET /guarded", said("guarded"))
	s.Handle("POST /change", said("changed"))
	s.HandlePublic("POST /public-change", said("changed"))
	s.Handle("GET /panic", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("no") }))

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Error("Run does not end")
		}
	}
	t.Cleanup(stop)
	return s, stop
}

// ask makes a request to a server, wherever it listens, over loopback.
func ask(t *testing.T, s *Server, method, path string, alter func(*http.Request)) *http.Response {
	t.Helper()
	tr := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	client := &http.Client{Transport: tr, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	url := s.URL()
	if !s.Local() {
		url = fmt.Sprintf("http://127.0.0.1:%d/", s.addr.Port)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url+strings.TrimPrefix(path, "/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if alter != nil {
		alter(req)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func bodyOf(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Only GET and HEAD of existing paths are answered.
func TestMethodsAndPaths(t *testing.T) {
	s, _ := serve(t, Options{Listen: "127.0.0.1:0"})
	for _, test := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/healthz", 200, "ok\n"},
		{"HEAD", "/healthz", 200, ""},
		{"POST", "/healthz", 405, "Method Not Allowed\n"},
		{"DELETE", "/guarded", 405, "Method Not Allowed\n"},
		{"OPTIONS", "/guarded", 405, "Method Not Allowed\n"},
		{"GET", "/guarded", 200, "guarded"},
		{"HEAD", "/guarded", 200, ""},
		{"GET", "/", 404, "404 page not found\n"},
		{"GET", "/healthz/", 404, "404 page not found\n"},
		{"GET", "/nothing", 404, "404 page not found\n"},
		{"GET", "/schemas/event.json", 200, `{"a": "schema"}`},
		{"GET", "/schemas/", 404, "404 page not found\n"},
		{"GET", "/schemas/nothing.json", 404, "404 page not found\n"},
		{"GET", "/schemas/..%2f..%2fetc%2fpasswd", 404, "404 page not found\n"},
	} {
		resp := ask(t, s, test.method, test.path, nil)
		if body := bodyOf(t, resp); resp.StatusCode != test.status || body != test.body {
			t.Errorf("%s %s: %d %q, want %d %q", test.method, test.path, resp.StatusCode, body, test.status, test.body)
		}
		if resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Cache-Control") == "" {
			t.Errorf("%s %s: header %v", test.method, test.path, resp.Header)
		}
		if test.status == http.StatusMethodNotAllowed && resp.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s %s: allow %q", test.method, test.path, resp.Header.Get("Allow"))
		}
	}
}

// Files are served with an ETag and revalidated by it.
func TestFilesAreRevalidated(t *testing.T) {
	s, _ := serve(t, Options{Listen: "127.0.0.1:0"})
	resp := ask(t, s, "GET", "/schemas/event.json", nil)
	etag := resp.Header.Get("ETag")
	if etag == "" || resp.Header.Get("Content-Type") != "application/schema+json" || resp.Header.Get("Cache-Control") != "public, max-age=3600" {
		t.Errorf("header %v", resp.Header)
	}
	resp = ask(t, s, "GET", "/schemas/event.json", func(r *http.Request) { r.Header.Set("If-None-Match", etag) })
	if resp.StatusCode != http.StatusNotModified {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// Ready answers 503 with the reasons, or 200, and lists alarms in both cases.
func TestReady(t *testing.T) {
	var reasons, alarms []string
	l, err := Listen(Options{Listen: "127.0.0.1:0", Logger: discard()})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.Handle("GET /readyz", Ready(func(context.Context) []string { return reasons }, func() []string { return alarms }))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	for _, test := range []struct {
		reasons, alarms []string
		status          int
		body            string
	}{
		{[]string{"the store does not answer", "no head"}, nil, 503, "not ready: the store does not answer\nnot ready: no head\n"},
		{nil, nil, 200, "ready\n"},
		{nil, []string{"a list was refused"}, 200, "ready\nalarm: a list was refused\n"},
		{[]string{"no head"}, []string{"a list was refused"}, 503, "not ready: no head\nalarm: a list was refused\n"},
	} {
		reasons, alarms = test.reasons, test.alarms
		resp := ask(t, l, "GET", "/readyz", nil)
		if body := bodyOf(t, resp); resp.StatusCode != test.status || body != test.body {
			t.Errorf("%d %q", resp.StatusCode, body)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// If the port is in use, the error explains what to do.
func TestPortInUse(t *testing.T) {
	s, _ := serve(t, Options{Listen: "127.0.0.1:0"})
	_, err := Listen(Options{Listen: s.addr.String(), Logger: discard()})
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "http.listen") {
		t.Errorf("error: %v", err)
	}
	_, err = Listen(Options{Listen: "192.0.2.1:0", Logger: discard()})
	if err == nil || !strings.Contains(err.Error(), "http.listen: cannot listen on 192.0.2.1:0") {
		t.Errorf("error: %v", err)
	}
}

// A server that never runs frees its port when it is closed.
func TestCloseFreesPort(t *testing.T) {
	s, err := Listen(Options{Listen: "127.0.0.1:0", Logger: discard()})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	s.Close()
	again, err := Listen(Options{Listen: s.addr.String(), Logger: discard()})
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

// A panic is logged and ends only its request.
func TestPanicEndsOnlyItsRequest(t *testing.T) {
	var log strings.Builder
	s, stop := serve(t, Options{Listen: "127.0.0.1:0", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if _, err := http.Get(s.URL() + "panic"); err == nil {
		t.Error("a reply to a request that panicked")
	}
	if resp := ask(t, s, "GET", "/healthz", nil); resp.StatusCode != 200 {
		t.Errorf("status %d", resp.StatusCode)
	}
	stop()
	if !strings.Contains(log.String(), "a bug") || !strings.Contains(log.String(), `pattern="GET /panic"`) {
		t.Errorf("log: %s", log.String())
	}
}

// When the server stops, requests under way are finished, and hanging ones are ended.
func TestStopFinishesRequests(t *testing.T) {
	l, err := Listen(Options{Listen: "127.0.0.1:0", Logger: discard()})
	if err != nil {
		t.Fatal(err)
	}
	begun, goOn := make(chan struct{}), make(chan struct{})
	l.Handle("GET /slow", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-goOn
		text(w, http.StatusOK, "done")
	}))
	// Nothing but the end of the grace period is to end a client that hangs.
	l.http.ReadHeaderTimeout, l.http.ReadTimeout = time.Hour, time.Hour
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()

	half := dial(t, l) // hangs in the middle of its header
	send(t, half, "GET /slow HTTP/1.1\r\nHost: localhost\r\n")
	whole := dial(t, l)
	send(t, whole, "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
	<-begun
	cancel()
	close(goOn)
	resp, err := http.ReadResponse(bufio.NewReader(whole), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body := bodyOf(t, resp); body != "done" {
		t.Errorf("body %q", body)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("Run waits for a client that hangs")
	}
	if _, err := net.Dial("tcp", l.addr.String()); err == nil {
		t.Error("it still listens")
	}
}

// patience is how long tests wait for what must happen. It is far away, since machines
// are busy and nothing is measured by it.
const patience = 10 * time.Minute

func dial(t *testing.T, s *Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * patience))
	return c
}

func send(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
}

// Connections, headers and the time of clients are bounded.
func TestClientsAreBounded(t *testing.T) {
	s, _ := serve(t, Options{Listen: "127.0.0.1:0"})
	// The times are long for a test: that they are set is what matters.
	if h := &s.http; h.ReadHeaderTimeout <= 0 || h.ReadTimeout <= 0 || h.WriteTimeout <= 0 || h.IdleTimeout <= 0 || h.MaxHeaderBytes <= 0 {
		t.Errorf("a limit is missing: %+v", h)
	}

	c := dial(t, s)
	go func() {
		_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: "+strings.Repeat("x", 2*maxHeader)+"\r\n\r\n")
	}()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a large header: %v %v", resp, err)
	}

	// A client that sends nothing is disconnected, here after a shorter time.
	quick, err := Listen(Options{Listen: "127.0.0.1:0", Logger: discard()})
	if err != nil {
		t.Fatal(err)
	}
	quick.http.ReadHeaderTimeout = 50 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- quick.Run(ctx) }()
	c = dial(t, quick)
	send(t, c, "GET / HTTP/1.1\r\n")
	if _, err := io.ReadAll(c); err != nil {
		t.Errorf("a slow client is not disconnected: %v", err)
	}
	cancel()
	<-done
}

// Bodies of requests are bounded.
func TestBodiesAreBounded(t *testing.T) {
	l, err := Listen(Options{Listen: "127.0.0.1:0", Tokens: tokensOf(t, "secret"), Logger: discard()})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error, 1)
	l.Handle("POST /", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		got <- err
	}))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	c := dial(t, l)
	go func() {
		_, _ = fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\nContent-Length: %d\r\n\r\n", 1<<30)
		for range 4 {
			if _, err := io.WriteString(c, strings.Repeat("x", maxBody)); err != nil {
				return
			}
		}
	}()
	var large *http.MaxBytesError
	if err := <-got; !errors.As(err, &large) || large.Limit != maxBody {
		t.Errorf("reading 1 GiB: %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
