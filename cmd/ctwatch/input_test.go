package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestPipeIsNoFile: a pipe or a device in place of any file that a command or the
// configuration names is refused at once, by its name.
func TestPipeIsNoFile(t *testing.T) {
	t.Parallel()
	s := newKeyShop(t)
	pipe := filepath.Join(s.dir, "pipe")
	s.must(syscall.Mkfifo(pipe, 0o600))
	config := s.config()
	for name, text := range map[string]string{
		"a watch list":     "watch_files: [pipe]\n",
		"tokens":           "http: {tokens_file: pipe}\n",
		"a certificate":    "http: {tls: {cert: pipe, key: pipe}}\n",
		"a secret":         "heartbeat: {url_file: pipe}\n",
		"NATS credentials": "nats: {url: \"nats://127.0.0.1:1\", credentials_file: pipe}\n",
		"NATS's CA":        "nats: {url: \"nats://127.0.0.1:1\", tls: {ca: pipe}}\n",
		"mail's CA":        "email: {host: m.example, from: a@m.example, to: [b@m.example], ca_file: pipe}\n",
		"a list's key":     "logs: {list_key: pipe}\n",
		"a shipped file":   "apps: [{name: shop, hosts: [api.example.com], shipped: [{version: \"1\", file: pipe}]}]\n",
	} {
		file := s.file(strings.ReplaceAll(name, " ", "-")+".yaml", "data_dir: data\nwatch: [example.com]\n"+text)
		for _, args := range [][]string{{"config", "check"}, {"run"}} {
			if name == "a list's key" && args[0] == "config" {
				continue // only the daemon reads it
			}
			status, out, errs := runCommand(t.Context(), file, args...)
			if status == exitDone || !strings.Contains(errs, "is a pipe") && !strings.Contains(errs, "not a regular file") {
				t.Errorf("%s, %v: status %d: %s%s", name, args, status, out, errs)
			}
		}
	}
	for _, args := range [][]string{
		{"certs", "authorize", pipe, "--reason", "x"},
		{"pins", "gate", pipe},
		{"pins", "gate", "/dev/zero"},
		{"pins", "check", "--app", "shop", pipe},
		{"pins", "import", "--app", "shop", "--version", "1", pipe},
		{"scan", "--log", "https://log.example/", "--key", pipe, "--watch", "example.com"},
	} {
		config := config
		if args[1] == "check" || args[1] == "import" {
			config = s.file("apps.yaml", "data_dir: data\nwatch: [example.com]\napps: [{name: shop, hosts: [api.example.com]}]\n")
		}
		if status, out, errs := runCommand(t.Context(), config, args...); status == exitDone || !strings.Contains(errs, "not a regular file") {
			t.Errorf("%v: status %d: %s%s", args, status, out, errs)
		}
	}
	if status, _, errs := runCommand(t.Context(), pipe, "config", "check"); status != exitUsage || !strings.Contains(errs, "is a pipe") {
		t.Errorf("as the configuration: status %d: %s", status, errs)
	}
}

// TestStdinIsRead: "-" and what a shell puts for <(command) are read, and no longer than
// the process is to run.
func TestStdinIsRead(t *testing.T) {
	t.Parallel()
	s := newKeyShop(t)
	leaf, pin := s.cert("leaf", apiHost)
	config := s.config()
	ask := func(ctx context.Context, stdin io.Reader, file string) (status int, out string) {
		var b strings.Builder
		status = run(ctx, environment{
			Args: []string{"certs", "authorize", file, "--reason", "ours", "--config", config}, Stdin: stdin, Stdout: &b, Stderr: &b,
			LookupEnv: func(string) (string, bool) { return "", false },
		})
		return status, b.String()
	}
	if status, out := ask(t.Context(), strings.NewReader(certPEM(leaf)), "-"); status != exitDone || !strings.Contains(out, pin.String()) {
		t.Errorf("stdin: %d %s", status, out)
	}
	r, w, err := os.Pipe()
	s.must(err)
	defer r.Close()
	_, err = io.WriteString(w, certPEM(leaf))
	s.must(err)
	s.must(w.Close())
	name := "/dev/fd/" + strconv.Itoa(int(r.Fd()))
	if status, out := ask(t.Context(), nil, name); status != exitDone || !strings.Contains(out, pin.String()) {
		t.Errorf("%s: %d %s", name, status, out)
	}
	endless, feed := io.Pipe()
	defer feed.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if status, out := ask(ctx, endless, "-"); status != exitFailed || !strings.Contains(out, "interrupted") {
		t.Errorf("interrupted: %d %s", status, out)
	}
}
