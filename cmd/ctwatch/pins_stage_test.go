package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/ctwatch/words"
	"ctwatch/pins"
)

// What the tests of pins have an app and a server for.
const (
	shop    = "shop"
	apiHost = "api.example.com"
)

// A tlsServer serves one chain at a time, by HTTP over TLS on loopback, until it is
// closed.
type tlsServer struct {
	address string
	current atomic.Pointer[tls.Certificate]
	http    *http.Server
	running sync.WaitGroup
}

func serveTLS() (*tlsServer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &tlsServer{address: l.Addr().String()}
	s.http = &http.Server{
		ErrorLog:    log.New(io.Discard, "", 0),
		ReadTimeout: patience,
		TLSConfig:   &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.current.Load(), nil }},
	}
	s.running.Go(func() { _ = s.http.ServeTLS(l, "", "") })
	return s, nil
}

// deploy has the server serve another chain from now on.
func (s *tlsServer) deploy(key crypto.Signer, chain ...[]byte) {
	s.current.Store(&tls.Certificate{Certificate: chain, PrivateKey: key})
}

func (s *tlsServer) close() {
	_ = s.http.Close()
	s.running.Wait()
}

// endpoint serves the final certificate of what was issued.
func (s *stage) endpoint(i *ctlogtest.Issued) *tlsServer {
	s.t.Helper()
	server, err := serveTLS()
	s.check(err)
	s.t.Cleanup(server.close)
	s.deploy(server, i)
	return server
}

// deploy has a server serve the final certificate of what was issued, and the
// intermediate; like most servers it does not send the root.
func (s *stage) deploy(server *tlsServer, i *ctlogtest.Issued) {
	s.t.Helper()
	der, err := i.Final()
	s.check(err)
	server.deploy(i.Key, der, s.ca.Intermediate)
}

// log puts what was issued into both logs, and publishes it.
func (s *stage) log(i *ctlogtest.Issued) {
	s.t.Helper()
	s.addFinal(s.static, i)
	s.addPrecert(s.rfc, i)
	s.publish()
}

// forAPI issues a certificate for the app's host.
func (s *stage) forAPI(key crypto.Signer) *ctlogtest.Issued {
	s.t.Helper()
	return s.issue(ctlogtest.Request{Names: []string{apiHost}, CommonName: apiHost, Key: key})
}

// pinsConfig writes a configuration in which an app pins the host that a server
// serves.
func (s *stage) pinsConfig(server *tlsServer) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "ctwatch.yaml")
	text := fmt.Sprintf(`data_dir: %q
watch:
  - {domain: %s, endpoints: [%q]}
nats: {listen: "127.0.0.1:0"}
http: {listen: "127.0.0.1:0"}
probe: {interval: 1s}
apps:
  - {name: %s, hosts: [%s], lead_time: 48h}
%s`, s.dir, apiHost, server.address, shop, apiHost, s.logsConfig())
	s.check(os.WriteFile(path, []byte(text), 0o600))
	return path
}

// A person runs commands with a configuration, beside the daemon or without one.
type person struct {
	*stage
	config string
}

// runCommand runs a command in this process.
func runCommand(ctx context.Context, config string, args ...string) (status int, stdout, stderr string) {
	var out, errs strings.Builder
	status = run(ctx, environment{
		Args: append(args, "--config", config), Stdout: &out, Stderr: &errs,
		LookupEnv: func(string) (string, bool) { return "", false },
	})
	return status, out.String(), errs.String()
}

// tries runs a command, however it ends.
func (p person) tries(args ...string) (status int, stdout, stderr string) {
	return runCommand(p.ctx, p.config, args...)
}

// does runs a command that has to end with a status.
func (p person) does(want int, args ...string) (stdout string) {
	p.t.Helper()
	status, out, errs := p.tries(args...)
	if status != want {
		p.t.Fatalf("ctwatch %s: exit status %d, want %d: %s%s", strings.Join(args, " "), status, want, out, errs)
	}
	return out
}

// plan is the plan for the app's only host.
func (p person) plan() words.Plan {
	p.t.Helper()
	_, out, errs := p.tries("pins", "plan", "--json")
	var plans []words.Plan
	if err := json.Unmarshal([]byte(out), &plans); err != nil || len(plans) != 1 {
		p.t.Fatalf("pins plan: %v: %s%s", err, out, errs)
	}
	return plans[0]
}

// key is a leaf key as it is listed; the zero key if it is not.
func (p person) key(pin pins.Pin) pins.Key {
	p.t.Helper()
	var keys []pins.Key
	p.check(json.Unmarshal([]byte(p.does(exitDone, "pins", "list", "--json")), &keys))
	for _, k := range keys {
		if k.Pin == pin && k.Role == pins.RoleLeaf {
			return k
		}
	}
	return pins.Key{}
}

// untilState waits until a key is in a state.
func (p person) untilState(pin pins.Pin, want pins.State) {
	p.t.Helper()
	p.eventually(fmt.Sprintf("the key %s is %s", pin, want), func() bool { return p.key(pin).State == want })
}

// releases exports what the next version is to ship, and imports it as released.
func (p person) releases(version, formatName string) {
	p.t.Helper()
	file := filepath.Join(p.t.TempDir(), "shipped-"+version)
	p.does(exitDone, "pins", "export", "--app", shop, "--format", formatName, "--out", file)
	p.does(exitDone, "pins", "check", "--app", shop, file)
	p.does(exitDone, "pins", "import", "--app", shop, "--version", version, file)
}

// declares makes a key, and declares it by a request for a certificate.
func (p person) declares() (key *ecdsa.PrivateKey, pin pins.Pin) {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p.check(err)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{apiHost}}, key)
	p.check(err)
	file := filepath.Join(p.t.TempDir(), "next.csr")
	p.check(os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr}), 0o600))
	p.does(exitDone, "certs", "authorize", file, "--reason", "next key")
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	p.check(err)
	return key, pins.FromSPKI(spki)
}

// An ear hears the events of the stream while they come.
type ear struct {
	s      *stage
	events <-chan message
	heard  []message // and asked for by nobody yet
}

func (s *stage) listen(d *testDaemon) *ear {
	s.t.Helper()
	return &ear{s: s, events: s.subscribe(d.natsURL)}
}

// await waits for an event of a type that fits, and takes it out of what was heard.
func (e *ear) await(t ctwatch.EventType, fits func(message) bool) message {
	e.s.t.Helper()
	late := time.After(patience)
	for n := 0; ; n++ {
		for n >= len(e.heard) {
			select {
			case m := <-e.events:
				e.heard = append(e.heard, m)
			case <-late:
				e.s.t.Fatalf("no event %s came", t)
			}
		}
		if m := e.heard[n]; m.Type == t && fits(m) {
			e.heard = append(e.heard[:n:n], e.heard[n+1:]...)
			return m
		}
	}
}

func ofCertificate(i *ctlogtest.Issued) func(message) bool {
	return func(m message) bool { return m.Data.Certificate != nil && m.Data.Certificate.ID == i.ID }
}

func ofKey(pin pins.Pin) func(message) bool {
	return func(m message) bool { return m.Data.Key != nil && m.Data.Key.Pin == pin }
}

// eventCounts counts the events of the stream, by type and subject.
func (s *stage) eventCounts(d *testDaemon) map[string]int {
	s.t.Helper()
	s.untilDelivered()
	out := make(map[string]int)
	for _, m := range s.stream(d.natsURL) {
		out[eventKey(m)]++
	}
	return out
}

// eventKey returns the type and the subject of an event.
func eventKey(m message) string {
	words := []string{string(m.Type)}
	if m.Data.App != "" {
		words = append(words, m.Data.App)
	}
	if c := m.Data.Certificate; c != nil {
		words = append(words, c.ID.String()[:8])
	}
	if k := m.Data.Key; k != nil {
		words = append(words, k.Pin.String(), string(k.Role))
	}
	return strings.Join(words, " ")
}

// fetched is a reply of the HTTP listener.
type fetched struct {
	status int
	header http.Header
	body   string
}

// fetch asks the HTTP listener as a device does.
func (r *testDaemon) fetch(path string, header ...string) fetched {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.httpURL()+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return fetched{resp.StatusCode, resp.Header, string(b)}
}

// pemFile writes the final certificate of what was issued and its issuer's, as an
// ACME client would.
func (s *stage) pemFile(i *ctlogtest.Issued) string {
	s.t.Helper()
	der, err := i.Final()
	s.check(err)
	var b []byte
	for _, c := range [][]byte{der, s.ca.Intermediate} {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c})...)
	}
	file := filepath.Join(s.t.TempDir(), "fullchain.pem")
	s.check(os.WriteFile(file, b, 0o600))
	return file
}

// file writes a file, and returns its path.
func (s *stage) file(name, content string) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), name)
	s.check(os.WriteFile(path, []byte(content), 0o600))
	return path
}
