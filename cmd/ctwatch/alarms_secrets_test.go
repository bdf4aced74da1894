package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestNoSecretIsEverShown: each sender has a secret of its own, and each fails, by a
// server that repeats all that it was sent. No secret is in the log, in what commands
// print, or in anything that is stored.
func TestNoSecretIsEverShown(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	echo := newHookServer(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := httputil.DumpRequest(r, true)
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write(b)
	})
	host := strings.TrimPrefix(echo.URL, "http://")
	secret := func(name string) string { return "s3cr3t-" + name + "-7f0c9d" }
	names := []string{
		"xoxb", "app", "hookurl", "hookquery", "hookkey", "smtp", "service", "heartbeat", "http", "natspassword",
	}
	config := s.config(fmt.Sprintf(`nats: {url: "${TEST_NATS_URL}"}
http: {listen: "127.0.0.1:0", tokens_file: %q}
slack: {token_file: %q, app_token_file: %q, approvers: [U024BE7LH], api_url: %q, channel: "#certs"}
email: {host: 127.0.0.1, port: %s, tls: implicit, username: ctwatch, password_file: %q, from: ctwatch@example.org, to: [ops@example.org]}
webhooks: [{url: "${TEST_HOOK_URL}", secret_file: %q}]
services: [{url: "${TEST_SERVICE_URL}"}]
heartbeat: {interval: 1s, url_file: %q}
`,
		s.file("http", secret("http")+"-0123456789abcdef0123456789abcdef\n"),
		s.file("xoxb", "xoxb-"+secret("xoxb")+"\n"), s.file("app", "xapp-"+secret("app")+"\n"), echo.URL+"/api/",
		host[strings.LastIndexByte(host, ':')+1:], s.file("smtp", secret("smtp")+"\n"),
		s.file("hookkey", secret("hookkey")+"-0123456789abcdef0123456789abcdef\n"), s.file("heartbeat", echo.URL+"/"+secret("heartbeat")+"\n"),
	))
	env := []string{
		"TEST_NATS_URL=nats://ctwatch:" + secret("natspassword") + "@127.0.0.1:" + fmt.Sprint(freePort(t)),
		"TEST_HOOK_URL=" + echo.URL + "/" + secret("hookurl") + "?key=" + secret("hookquery"),
		"TEST_SERVICE_URL=generic://" + host + "/" + secret("service") + "?disabletls=yes",
	}
	s.addFinal(s.static, s.watched("www.example.com"))
	s.publish()

	c := spawn(t, "ctwatch", env, "run", "--verbose", "--config", config)
	s.eventually("everybody failed", func() bool {
		for _, who := range []string{"sender=slack", "sender=nats", "sender=email", "sender=webhook", "sender=service", "heartbeat"} {
			if !c.stderr.contains(who) {
				return false
			}
		}
		return true
	})
	printed := map[string]string{}
	for _, args := range [][]string{
		{"config", "show"},
		{"config", "check"},
		{"notify", "status"},
		{"notify", "status", "--json"},
		{"notify", "test", "--verbose"},
		{"notify", "test", "--json"},
		{"certs", "list", "--json"},
		{"pins", "history", "--json"},
	} {
		x := spawn(t, "ctwatch", env, append(slices.Clone(args), "--config", config)...)
		x.wait()
		printed[strings.Join(args, " ")] = x.stdout.String() + x.stderr.String()
		if args[1] == "test" && x.status != exitFailed {
			t.Errorf("notify test ended with status %d:\n%s%s", x.status, x.stdout.String(), x.stderr.String())
		}
	}
	c.signal(syscall.SIGTERM)
	printed["run"] = c.stdout.String() + c.stderr.String()
	for what, text := range printed {
		if text == "" {
			t.Errorf("%s printed nothing", what)
		}
		for _, n := range names {
			if i := strings.Index(text, secret(n)); i >= 0 {
				t.Errorf("%s shows the secret %s: %s", what, n, text[max(0, i-200):min(len(text), i+60)])
			}
		}
	}
	s.check(filepath.WalkDir(s.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, n := range names {
			if bytes.Contains(b, []byte(secret(n))) {
				t.Errorf("%s has the secret %s", filepath.Base(path), n)
			}
		}
		return err
	}))
}
