package web

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Requests that a proxy on this machine forwards are not local, whatever the proxy does
// with Host, once anything shows that others reach the listener.
func TestProxyNeedsToken(t *testing.T) {
	tokens := tokensOf(t, "first\n")
	proxies := map[string]func(*testing.T, *url.URL) (where string){
		"by Director": func(t *testing.T, to *url.URL) string {
			return proxy(t, httputil.NewSingleHostReverseProxy(to)) // keeps Host, says X-Forwarded-For
		},
		"silent, its own Host": func(t *testing.T, to *url.URL) string { // as nginx does by default
			return proxy(t, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }})
		},
		"silent, keeps Host": func(t *testing.T, to *url.URL) string {
			return proxy(t, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host }})
		},
		"its own Host, forwards": func(t *testing.T, to *url.URL) string {
			return proxy(t, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.SetXForwarded() }})
		},
		"nginx": func(t *testing.T, to *url.URL) string { return nginx(t, to, "") },
		"nginx, keeps Host": func(t *testing.T, to *url.URL) string {
			return nginx(t, to, "proxy_set_header Host $host;")
		},
		"nginx, forwards": func(t *testing.T, to *url.URL) string {
			return nginx(t, to, "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;")
		},
		"nginx, no Host": func(t *testing.T, to *url.URL) string { return nginx(t, to, `proxy_set_header Host "";`) },
	}
	for how, options := range map[string]Options{
		"tokens":     {Tokens: tokens},
		"public URL": {Public: true},
		"both":       {Tokens: tokens, Public: true},
	} {
		options.Listen = "127.0.0.1:0"
		for name, start := range proxies {
			t.Run(how+"/"+name, func(t *testing.T) {
				s, _ := serve(t, options)
				to, err := url.Parse(s.URL())
				if err != nil {
					t.Fatal(err)
				}
				where := start(t, to)
				for token, want := range map[string]int{"": http.StatusUnauthorized, "wrong": http.StatusUnauthorized, "first": http.StatusOK} {
					if token == "first" && options.Tokens == nil {
						want = http.StatusUnauthorized
					}
					if got := status(t, where, "/guarded", token); got != want {
						t.Errorf("/guarded with token %q: %d, want %d", token, got, want)
					}
				}
				if got := status(t, where, "/healthz", ""); got != http.StatusOK {
					t.Errorf("/healthz: %d", got)
				}
				if got := raw(t, s, "GET /guarded HTTP/1.1\r\nHost: 127.0.0.1\r\n"); got != http.StatusUnauthorized {
					t.Errorf("/guarded, asked directly: %d", got)
				}
			})
		}
	}
}

// Without tokens and a public URL, a request that was forwarded by its headers, or that
// has another host or none, is not local.
func TestForwardedIsNotLocal(t *testing.T) {
	s, _ := serve(t, Options{Listen: "127.0.0.1:0"})
	for header, want := range map[string]int{
		"Accept: */*":                       http.StatusOK,
		"X-Forwarded-For: 192.0.2.1":        http.StatusUnauthorized,
		"X-Forwarded-For: 127.0.0.1":        http.StatusUnauthorized,
		"X-Forwarded-Proto: https":          http.StatusUnauthorized,
		"X-Forwarded-Host: localhost":       http.StatusUnauthorized,
		"x-forwarded-server: x":             http.StatusUnauthorized,
		"X-Forwarded: for=x":                http.StatusUnauthorized,
		"Forwarded: for=127.0.0.1":          http.StatusUnauthorized,
		"Via: 1.1 varnish":                  http.StatusUnauthorized,
		"X-Real-IP: 127.0.0.1":              http.StatusUnauthorized,
		"Host: localhost:8780":              http.StatusOK,
		"Host: [::1]:8780":                  http.StatusOK,
		"Host: 127.1.2.3":                   http.StatusOK,
		"Host: localhost.attacker.example":  http.StatusUnauthorized,
		"Host: 127.0.0.1.attacker.example":  http.StatusUnauthorized,
		"Host: attacker.example":            http.StatusUnauthorized,
		"Host: ":                            http.StatusUnauthorized,
		"Host: 0.0.0.0:8780":                http.StatusUnauthorized,
		"X-Forwarded-For: , Authorization:": http.StatusUnauthorized,
	} {
		name, value, _ := strings.Cut(header, ": ")
		lines := header + "\r\n"
		if name != "Host" {
			lines += "Host: 127.0.0.1\r\n"
		}
		if got := raw(t, s, "GET /guarded HTTP/1.1\r\n"+lines); got != want {
			t.Errorf("%s: %q: %d, want %d", name, value, got, want)
		}
	}
	if got := raw(t, s, "GET /guarded HTTP/1.0\r\n"); got != http.StatusUnauthorized {
		t.Errorf("HTTP/1.0 without Host: %d", got)
	}
	if got := raw(t, s, "GET /healthz HTTP/1.0\r\n"); got != http.StatusOK {
		t.Errorf("a health check by HTTP/1.0 without Host: %d", got)
	}
}

// raw sends the head of a request as it is.
func raw(t *testing.T, s *Server, head string) (status int) {
	t.Helper()
	c, err := net.Dial("tcp", s.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(head + "Connection: close\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	var proto string
	if _, err := fmt.Fscan(c, &proto, &status); err != nil {
		t.Fatal(err)
	}
	return status
}

// status asks for a path as the world does: under the proxy's public name.
func status(t *testing.T, where, path, token string) int {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	if socket, ok := strings.CutPrefix(where, "unix:"); ok {
		where = "http://ctwatch.example.com"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, where+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "ctwatch.example.com"
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// proxy serves a proxy until the test ends.
func proxy(t *testing.T, p *httputil.ReverseProxy) (where string) {
	t.Helper()
	p.Transport = &http.Transport{DisableKeepAlives: true}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	return server.URL
}

// nginx runs nginx in front of a server, as its manual shows it, with more directives,
// until the test ends.
func nginx(t *testing.T, to *url.URL, more string) (where string) {
	t.Helper()
	program := ""
	for _, name := range []string{"nginx", "/usr/sbin/nginx", "../../bin/nginx/usr/sbin/nginx"} {
		if found, err := exec.LookPath(name); err == nil {
			program = found
			break
		}
	}
	if program == "" {
		t.Skip("nginx is not installed, so the proxy that most people have is not tried (make test fetches it on Debian)")
	}
	dir := t.TempDir()
	socket := filepath.Join(dir, "s") // nginx cannot say which free port it took
	config := fmt.Sprintf(`daemon off; master_process off; worker_processes 1; pid %[1]s/pid; error_log %[1]s/log;
events {}
http {
	access_log off; client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
	server { listen unix:%[2]s; location / { proxy_pass %[3]s; %[4]s } }
}
`, dir, socket, strings.TrimSuffix(to.String(), "/"), more)
	if err := os.WriteFile(filepath.Join(dir, "conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "-p", dir, "-c", filepath.Join(dir, "conf"), "-e", filepath.Join(dir, "log"))
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() { cancel(); <-ended })
	for {
		c, err := net.Dial("unix", socket)
		if err == nil {
			c.Close()
			break
		}
		select {
		case <-ended:
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Fatalf("nginx ended: %s", log)
		case <-time.After(5 * time.Millisecond): // it says nothing once it listens
		}
	}
	return "unix:" + socket
}
