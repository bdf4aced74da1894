package loglist

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ctwatch/ctwatch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// object is JSON that a test makes or breaks.
type object map[string]any

// newKey returns the DER SubjectPublicKeyInfo of a fresh key.
func newKey(t testing.TB, curve elliptic.Curve) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return spki(t, key.Public())
}

func spki(t testing.TB, key crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func withKey(key []byte, o object) object {
	id := sha256.Sum256(key)
	o["key"], o["log_id"] = key, id[:]
	return o
}

func rfc6962Log(t testing.TB, name string) object {
	return withKey(newKey(t, elliptic.P256()), object{
		"description": name, "url": "https://ct.example.org/" + name + "/", "mmd": 86400,
		"state": object{"usable": object{"timestamp": "2026-01-01T00:00:00Z"}},
	})
}

func staticLog(t testing.TB, name string) object {
	return withKey(newKey(t, elliptic.P256()), object{
		"description": name, "mmd": 60,
		"submission_url": "https://log.example.org/" + name + "/", "monitoring_url": "https://mon.example.org/" + name + "/",
		"state": object{"usable": object{"timestamp": "2026-01-01T00:00:00Z"}},
	})
}

func operator(name string, logs, tiled []object) object {
	return object{"name": name, "email": []string{"ct@example.org"}, "logs": logs, "tiled_logs": tiled}
}

// listOf is a list of one day of January 2026.
func listOf(t testing.TB, day int, operators ...object) []byte {
	t.Helper()
	data, err := json.Marshal(object{
		"version": fmt.Sprintf("1.%d", day), "log_list_timestamp": time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC), "operators": operators,
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// oneLog is a list of one day with one log.
func oneLog(t testing.TB, day int, name string) []byte {
	t.Helper()
	return listOf(t, day, operator("Op", []object{rfc6962Log(t, name)}, nil))
}

// signer is the key of the lists that tests sign; making one takes long.
var signer = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, minRSA)
	if err != nil {
		panic(err)
	}
	return key
})

func sign(t testing.TB, data []byte) []byte {
	t.Helper()
	sum := sha256.Sum256(data)
	sig, err := rsa.SignPKCS1v15(nil, signer(), crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// A publisher serves a signed list as Google does, with ETags, unless it is set
// to do otherwise.
type publisher struct {
	*httptest.Server
	t testing.TB

	mu        sync.Mutex
	list, sig []byte
	handler   http.HandlerFunc // instead of everything below, when set
	onSig     func()           // called, unlocked, before a signature is served
	requests  []string         // path and If-None-Match
	agents    []string
}

func newPublisher(t testing.TB, list []byte) *publisher {
	p := &publisher{t: t}
	p.publish(list)
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *publisher) publish(list []byte) {
	sig := sign(p.t, list)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list, p.sig = list, sig
}

func (p *publisher) set(h http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handler = h
}

func (p *publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.requests = append(p.requests, strings.TrimSpace(r.URL.Path+" "+r.Header.Get("If-None-Match")))
	p.agents = append(p.agents, r.UserAgent())
	handler, onSig := p.handler, p.onSig
	p.mu.Unlock()
	if handler != nil {
		handler(w, r)
		return
	}
	if r.URL.Path == "/v3/log_list.sig" && onSig != nil {
		onSig()
	}
	p.mu.Lock()
	list, sig := p.list, p.sig
	p.mu.Unlock()
	switch r.URL.Path {
	case "/v3/log_list.json":
		w.Header().Set("ETag", etagOf(list))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(list))
	case "/v3/log_list.sig":
		w.Write(sig)
	default:
		http.NotFound(w, r)
	}
}

func etagOf(list []byte) string { return fmt.Sprintf(`"%x"`, sha256.Sum256(list))[:18] + `"` }

// asked returns the requests since the last call.
func (p *publisher) asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.requests
	p.requests = nil
	return r
}

// source returns a source of the publisher's list, and what it logs.
func (p *publisher) source(t testing.TB, change func(*Config)) (*Source, *logBuffer) {
	t.Helper()
	logs := new(logBuffer)
	c := Config{
		Location: p.URL + "/v3/log_list.json", Key: signer().Public(), Client: p.Client(), UserAgent: "ctwatch-test",
		Logger: slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now:    func() time.Time { return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC) },
	}
	if change != nil {
		change(&c)
	}
	return newSource(t, c), logs
}

func newSource(t testing.TB, c Config) *Source {
	t.Helper()
	s, err := NewSource(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func names(logs []ctwatch.Log) []string {
	var out []string
	for _, l := range logs {
		out = append(out, l.Name)
	}
	return out
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// realFile reads a published file that is no part of this project.
func realFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../../../shared/real", name))
	if os.IsNotExist(err) {
		t.Skipf("real data is not here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func loggerTo(l *logBuffer) *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// firstLog is the JSON of the first log of a list.
func firstLog(t testing.TB, list []byte) string {
	t.Helper()
	var in struct {
		Operators []struct{ Logs []json.RawMessage }
	}
	if err := json.Unmarshal(list, &in); err != nil {
		t.Fatal(err)
	}
	return string(in.Operators[0].Logs[0])
}
