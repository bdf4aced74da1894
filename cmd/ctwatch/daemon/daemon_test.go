package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/configs"
	"ctwatch/store"
)

// noLeak checks that no goroutine is left. A NATS server that is shut down while it creates a
// stream leaves the one that writes the stream's state every two minutes.
func noLeak(t *testing.T) {
	t.Helper()
	goleak.VerifyNone(t, goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*fileStore).flushStreamStateLoop"))
}

// inventoryOf reads a configuration that reads no log and probes nothing.
func inventoryOf(t testing.TB, dir, more string) *setup.Inventory {
	t.Helper()
	file := filepath.Join(dir, "ctwatch.yaml")
	text := fmt.Sprintf("data_dir: %q\nwatch: [example.com]\nprobe: {interval: 0}\nstdout: false\n%s", filepath.Join(dir, "data"), more)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := configs.Load(file, configs.ProcessEnv())
	if err != nil {
		t.Fatal(err)
	}
	cfg.Logs.List = "" // and no other log, which no file may say
	inv, err := setup.Read(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// TestDaemonServesOnceItRuns: the HTTP listener and then the NATS server say where they
// are; while the daemon runs it answers, is not ready without a log, and is gone when it
// ends, with all of its goroutines.
func TestDaemonServesOnceItRuns(t *testing.T) {
	defer noLeak(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	var order []string
	url := make(chan string, 2)
	on := func(what string) func(string) {
		return func(u string) {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, what)
			url <- u
		}
	}
	d := New(Options{
		Inventory: inventoryOf(t, t.TempDir(), "http: {listen: \"127.0.0.1:0\"}\nnats: {listen: \"127.0.0.1:0\"}\n"),
		Logger:    slog.New(slog.DiscardHandler), Out: io.Discard, OnHTTP: on("http"), OnNATS: on("nats"),
	})
	ended := make(chan error)
	go func() { ended <- d.Run(ctx) }()
	base := <-url
	<-url

	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for path, want := range map[string]int{"healthz": http.StatusOK, "readyz": http.StatusServiceUnavailable, "metrics": http.StatusOK} {
		r, err := client.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, r.Status, want)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("it ends with %v", err)
	}
	if diff := cmp.Diff([]string{"http", "nats"}, order); diff != "" {
		t.Error(diff)
	}
	if _, err := client.Get(base + "healthz"); err == nil {
		t.Error("it still answers")
	}
}

// TestDaemonThatDoesNotStart: whichever part does not start, those before it are stopped:
// no goroutine is left, and the store can be opened again.
func TestDaemonThatDoesNotStart(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for _, tt := range []struct{ name, more, wrong string }{
		{"http", fmt.Sprintf("http: {listen: %q}\nnats: {listen: \"127.0.0.1:0\"}\n", busy.Addr()), "address already in use"},
		{"nats", fmt.Sprintf("http: {listen: \"127.0.0.1:0\"}\nnats: {listen: %q}\n", busy.Addr()), busy.Addr().String()},
		{"senders", "http: {listen: \"127.0.0.1:0\"}\nnats: {listen: \"127.0.0.1:0\"}\nemail: {host: mail.example.com, from: ct@example.com, to: [ops@example.com], ca_file: missing.pem}\n", "email.ca_file"},
		{"log list", "http: {listen: \"127.0.0.1:0\"}\nnats: {listen: \"127.0.0.1:0\"}\n", "logs.list_key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			defer noLeak(t)
			inv := inventoryOf(t, t.TempDir(), tt.more)
			if tt.name == "log list" {
				inv.Config.Logs.List, inv.Config.Logs.ListKey = "https://logs.example/list.json", "missing.pem"
			}
			err := New(Options{Inventory: inv, Logger: slog.New(slog.DiscardHandler), Out: io.Discard}).Run(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.wrong) {
				t.Fatalf("it ends with %v, want %q", err, tt.wrong)
			}
			db, err := store.Open(t.Context(), setup.Database(inv.Config), store.Options{})
			if err != nil {
				t.Fatalf("the store is not closed: %v", err)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestReloadRefusesMistakes: a configuration with a mistake changes nothing, and one
// without is in force, with a warning about settings that take a restart.
func TestReloadRefusesMistakes(t *testing.T) {
	defer noLeak(t)
	const quiet = "http: {listen: \"\"}\nnats: {listen: \"127.0.0.1:0\"}\n"
	first := inventoryOf(t, t.TempDir(), quiet)
	hangup, next := make(chan os.Signal), make(chan func() (*setup.Inventory, error), 1)
	reread := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	started := make(chan string, 1)
	log := &lines{}
	d := New(Options{
		Inventory: first, Logger: slog.New(slog.NewTextHandler(log, nil)), Out: io.Discard, Hangup: hangup,
		Reread: func(*setup.Inventory) (*setup.Inventory, error) {
			defer func() { reread <- struct{}{} }()
			return (<-next)()
		},
		OnNATS: func(u string) { started <- u },
	})
	ended := make(chan error)
	go func() { ended <- d.Run(ctx) }()
	<-started

	reload := func(read func() (*setup.Inventory, error)) {
		next <- read
		hangup <- os.Interrupt
		<-reread
		hangup <- os.Interrupt // taken once the reload before has ended
		next <- func() (*setup.Inventory, error) { return nil, errors.New("a second look") }
		<-reread
	}
	reload(func() (*setup.Inventory, error) { return nil, errors.New("a mistake") })
	if d.inventory.Load() != first || !log.has("a mistake") {
		t.Error("a configuration with a mistake is not refused")
	}
	second := inventoryOf(t, t.TempDir(), quiet+"dns: {servers: [\"192.0.2.53\"]}\n")
	reload(func() (*setup.Inventory, error) { return second, nil })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if d.inventory.Load() != second || !log.has("setting=dns") {
		t.Error("the changed configuration is not in force, or nothing says that dns takes a restart")
	}
}

// lines is a log that one goroutine writes and another reads.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), s)
}
