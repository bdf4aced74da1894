package web

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A request needs a token unless it only reads and comes from this machine.
func TestTokenRequired(t *testing.T) {
	tokens := tokensOf(t, "first\nsecond\n")
	for _, test := range []struct {
		name, listen string
		tokens       *Tokens
		method, path string
		host, header string
		status       int
	}{
		{"loopback", "127.0.0.1:0", nil, "GET", "/guarded", "", "", 200},
		{"loopback by name", "localhost:0", nil, "GET", "/guarded", "localhost:80", "", 200},
		{"another loopback", "127.0.0.2:0", nil, "GET", "/guarded", "", "", 200},
		{"loopback with tokens, without one", "127.0.0.1:0", tokens, "GET", "/guarded", "", "", 401},
		{"loopback with tokens, a wrong one", "127.0.0.1:0", tokens, "GET", "/guarded", "", "Bearer wrong", 401},
		{"loopback with tokens, a right one", "127.0.0.1:0", tokens, "GET", "/guarded", "", "Bearer first", 200},
		{"loopback with tokens, public", "127.0.0.1:0", tokens, "GET", "/healthz", "", "", 200},
		{"loopback, a wrong token that is not needed", "127.0.0.1:0", nil, "GET", "/guarded", "", "Bearer wrong", 200},
		{"loopback under another name", "127.0.0.1:0", tokens, "GET", "/guarded", "attacker.example", "", 401},
		{"loopback under another name, public", "127.0.0.1:0", nil, "GET", "/healthz", "attacker.example", "", 200},
		{"loopback through a proxy", "127.0.0.1:0", tokens, "GET", "/guarded", "ctwatch.example", "Bearer first", 200},

		{"all addresses", "0.0.0.0:0", tokens, "GET", "/guarded", "", "", 401},
		{"all addresses, HEAD", "0.0.0.0:0", tokens, "HEAD", "/guarded", "", "", 401},
		{"all addresses, as if to loopback", "0.0.0.0:0", tokens, "GET", "/guarded", "localhost", "", 401},
		{"all addresses, public", "0.0.0.0:0", tokens, "GET", "/healthz", "", "", 200},
		{"all addresses, public files", "0.0.0.0:0", tokens, "GET", "/schemas/event.json", "", "", 200},
		{"all addresses, from public to guarded", "0.0.0.0:0", tokens, "GET", "/schemas/../guarded", "", "", 307},
		{"all addresses of both kinds", ":0", tokens, "GET", "/guarded", "", "", 401},
		{"first token", "0.0.0.0:0", tokens, "GET", "/guarded", "", "Bearer first", 200},
		{"second token", "0.0.0.0:0", tokens, "GET", "/guarded", "", "bearer  second ", 200},
		{"wrong token", "0.0.0.0:0", tokens, "GET", "/guarded", "", "Bearer third", 401},
		{"beginning of a token", "0.0.0.0:0", tokens, "GET", "/guarded", "", "Bearer firs", 401},
		{"empty token", "0.0.0.0:0", tokens, "GET", "/guarded", "", "Bearer ", 401},
		{"another scheme", "0.0.0.0:0", tokens, "GET", "/guarded", "", "Basic first", 401},
		{"token alone", "0.0.0.0:0", tokens, "GET", "/guarded", "", "first", 401},
		{"no tokens at all", "0.0.0.0:0", nil, "GET", "/guarded", "", "Bearer ", 401},

		{"change on loopback", "127.0.0.1:0", tokens, "POST", "/change", "", "", 401},
		{"change on loopback, no tokens", "127.0.0.1:0", nil, "POST", "/change", "", "", 401},
		{"change of what is public", "127.0.0.1:0", tokens, "POST", "/public-change", "", "", 401},
		{"change with a token", "127.0.0.1:0", tokens, "POST", "/change", "", "Bearer first", 200},
		{"change with a token from elsewhere", "0.0.0.0:0", tokens, "POST", "/change", "", "Bearer first", 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, _ := serve(t, Options{Listen: test.listen, Tokens: test.tokens})
			resp := ask(t, s, test.method, test.path, func(r *http.Request) {
				r.Host = test.host
				if test.header != "" {
					r.Header.Set("Authorization", test.header)
				}
			})
			if resp.StatusCode != test.status {
				t.Errorf("status %d, want %d", resp.StatusCode, test.status)
			}
			challenge := resp.Header.Get("WWW-Authenticate")
			if wants := test.status == http.StatusUnauthorized; wants != strings.HasPrefix(challenge, "Bearer ") {
				t.Errorf("challenge %q", challenge)
			}
			if test.status == http.StatusUnauthorized && strings.Contains(bodyOf(t, resp), "guarded\n") {
				t.Error("a guarded reply was served")
			}
		})
	}
}

// A file of tokens is parsed, and errors do not show its content.
func TestTokensFile(t *testing.T) {
	for name, test := range map[string]struct {
		text  string
		match []string
		not   []string
		wrong string // in the error
	}{
		"one":               {"abc\n", []string{"abc"}, []string{"", "ab", "abcd", "ABC"}, ""},
		"without a newline": {"abc", []string{"abc"}, nil, ""},
		"several, comments": {"# people\nabc # Ann\n\n  def\t\r\n#ghi\n", []string{"abc", "def"}, []string{"#ghi", "ghi", "Ann", "abc # Ann"}, ""},
		"a # within":        {"ab#c\n", []string{"ab#c"}, []string{"ab"}, ""},
		"empty":             {"", nil, nil, "no token"},
		"only comments":     {"# none\n\n", nil, nil, "no token"},
		"two on a line":     {"abc\nsecret1 secret2\n", nil, nil, "line 2: want one token"},
		"control character": {"sec\x00ret\n", nil, nil, "line 1"},
		"no ASCII":          {"secrét\n", nil, nil, "line 1"},
		"too large":         {strings.Repeat("secret\n", 10_000), nil, nil, "larger than 65536 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			tokens, err := ReadTokens(write(t, "tokens", test.text), discard())
			if test.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), test.wrong) || strings.Contains(err.Error(), "sec") {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, token := range test.match {
				if !tokens.match(token) {
					t.Errorf("%q is no token", token)
				}
			}
			for _, token := range test.not {
				if tokens.match(token) {
					t.Errorf("%q is a token", token)
				}
			}
		})
	}
	if _, err := ReadTokens(filepath.Join(t.TempDir(), "absent"), discard()); !os.IsNotExist(err) {
		t.Errorf("absent: %v", err)
	}
}

func FuzzTokensFile(f *testing.F) {
	for _, s := range []string{"abc\n# x\nd#e f\n", "\x00", "a\tb\r\n", "#\n #\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		hashes, err := parseTokens([]byte(s))
		if (err == nil) != (len(hashes) > 0) || len(hashes) > strings.Count(s, "\n")+1 {
			t.Errorf("%d tokens of %q, %v", len(hashes), s, err)
		}
	})
}

// Tokens are read again when the file changes. A bad file is logged, and the tokens before
// stay valid.
func TestTokensAreReloaded(t *testing.T) {
	var log strings.Builder
	path := write(t, "tokens", "old-token\n")
	tokens, err := ReadTokens(path, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	// The sizes differ, in case the times of the file system do not.
	rewrite := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rewrite("another-token\n")
	if tokens.match("old-token") || !tokens.match("another-token") {
		t.Error("the change is not seen")
	}
	rewrite("two tokens on a line\n")
	if !tokens.match("another-token") || tokens.match("two") {
		t.Error("a bad file is used")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if !tokens.match("another-token") {
		t.Error("the tokens are gone with the file")
	}
	rewrite("the-third-token\n")
	if !tokens.match("the-third-token") || tokens.match("another-token") {
		t.Error("the new file is not seen")
	}
	if said := log.String(); strings.Count(said, "level=ERROR") != 2 || strings.Contains(said, "-token") {
		t.Errorf("log: %s", said)
	}
}

// certificate writes a certificate of its own for a name, and its key.
func certificate(t *testing.T, certFile, keyFile, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: pkcs8},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A renewed certificate is served without a restart.
func TestTLSServesRenewedCertificate(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if _, err := TLS(certFile, keyFile, discard()); !os.IsNotExist(err) {
		t.Errorf("absent files: %v", err)
	}
	certificate(t, certFile, keyFile, "a.example")
	config, err := TLS(certFile, keyFile, discard())
	if err != nil {
		t.Fatal(err)
	}
	s, _ := serve(t, Options{Listen: "127.0.0.1:0", TLS: config})
	if !strings.HasPrefix(s.URL(), "https://127.0.0.1:") {
		t.Errorf("URL %s", s.URL())
	}
	served := func() string {
		resp := ask(t, s, "GET", "/guarded", nil)
		if body := bodyOf(t, resp); body != "guarded" {
			t.Errorf("%d %q", resp.StatusCode, body)
		}
		return resp.TLS.PeerCertificates[0].DNSNames[0]
	}
	if got := served(); got != "a.example" {
		t.Errorf("%s is served", got)
	}
	certificate(t, certFile, keyFile, "renewed.example")
	if got := served(); got != "renewed.example" {
		t.Errorf("%s is served after the renewal", got)
	}
	if err := os.WriteFile(certFile, []byte("half a fi"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := served(); got != "renewed.example" {
		t.Errorf("%s is served while the file is being written", got)
	}
	c, err := tls.Dial("tcp", s.addr.String(), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11})
	if err == nil {
		c.Close()
		t.Error("TLS 1.1 is spoken")
	}
}
