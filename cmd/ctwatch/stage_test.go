package main

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ctwatch/cmd/ctwatch/daemon"
	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/configs"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/pins"
	"ctwatch/pins/probe"
	"ctwatch/store"
)

// A stage is what an end-to-end test plays on: a log of each kind, a CA, a
// configuration, and the daemon that follows it, in process or as a child.
type stage struct {
	t           *testing.T
	ctx         context.Context // ends with the test
	static, rfc *ctlogtest.Log
	logs        []*ctlogtest.Log
	ca          *ctlogtest.CA
	dir         string // data_dir

	hangup  chan os.Signal   // what the daemon gets as SIGHUP; nil for none
	now     func() time.Time // the daemon's clock; nil for the system's
	look    lookFunc         // what the daemon looks with; nil: at named endpoints only
	silence time.Duration    // how long nothing may be read; 0: by the logs
	poll    time.Duration    // how often logs are asked

	alive func() error // says that the last daemon started has ended, and why

	mu     sync.Mutex
	issued map[ctwatch.Hash]*ctlogtest.Issued // what is watched
	logged map[ctwatch.Hash][]sight           // where it was logged, and what is not watched

	forged map[ctwatch.Hash]bool // certificates that no log signed
	odd    map[ctwatch.Hash]bool // certificates with problems
}

// newStage serves two empty logs until the test ends.
func newStage(t *testing.T) *stage {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	s := &stage{t: t, ctx: ctx, poll: 150 * time.Millisecond, dir: filepath.Join(t.TempDir(), "data"), alive: func() error { return nil }, issued: make(map[ctwatch.Hash]*ctlogtest.Issued), logged: make(map[ctwatch.Hash][]sight), forged: make(map[ctwatch.Hash]bool), odd: make(map[ctwatch.Hash]bool)}
	var err error
	s.ca, err = ctlogtest.NewCA(ctlogtest.CAOptions{})
	s.check(err)
	// Static logs that sign nothing for a minute are unhealthy, and some tests take longer.
	s.static = s.serve(ctlogtest.Options{Name: "Static", Kind: ctwatch.KindStatic, Gzip: true, DropPartials: true, Witnesses: true, MaxAge: 10 * time.Second})
	s.rfc = s.serve(ctlogtest.Options{Name: "RFC 6962"})
	s.logs = []*ctlogtest.Log{s.static, s.rfc}
	return s
}

func (s *stage) serve(o ctlogtest.Options) *ctlogtest.Log {
	s.t.Helper()
	l, err := ctlogtest.New(o)
	s.check(err)
	stop, err := l.Start()
	s.check(err)
	s.t.Cleanup(stop)
	return l
}

func (s *stage) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// fill adds entries for names that nobody watches to each log.
func (s *stage) fill(n int) {
	s.t.Helper()
	for _, l := range s.logs {
		s.check(l.Fill(n))
	}
}

// publish has each log sign a tree head over all that was added.
func (s *stage) publish() {
	s.t.Helper()
	for _, l := range s.logs {
		_, err := l.Publish()
		s.check(err)
	}
}

// issue issues a certificate that is watched.
func (s *stage) issue(req ctlogtest.Request) *ctlogtest.Issued {
	s.t.Helper()
	i, err := s.ca.Issue(req)
	s.check(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issued[i.ID] = i
	return i
}

// watched issues a certificate for names with a key of its own.
func (s *stage) watched(names ...string) *ctlogtest.Issued {
	s.t.Helper()
	return s.issue(ctlogtest.Request{Names: names})
}

// addPrecert and addFinal put what was issued into a log.
func (s *stage) addPrecert(l *ctlogtest.Log, i *ctlogtest.Issued) (sct []byte) {
	s.t.Helper()
	sct, index, err := l.AddPrecert(i)
	s.check(err)
	s.remember(l, i, index, ctwatch.Precertificate)
	return sct
}

func (s *stage) addFinal(l *ctlogtest.Log, i *ctlogtest.Issued, scts ...[]byte) {
	s.t.Helper()
	der, err := i.Final(scts...)
	s.check(err)
	_, index, err := l.AddFinal(i, der)
	s.check(err)
	s.remember(l, i, index, ctwatch.FinalCertificate)
}

// remember keeps where something was logged. (Log.Truth knows as much, but renders
// every filler.)
func (s *stage) remember(l *ctlogtest.Log, i *ctlogtest.Issued, index uint64, kind ctwatch.SightingKind) {
	s.t.Helper()
	e, err := l.Entry(index)
	s.check(err)
	at := int64(binary.BigEndian.Uint64(e.Leaf)) // the timestamp comes first (RFC 6962 §3.4)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logged[i.ID] = append(s.logged[i.ID], sight{l.Info().Name, index, kind, at, true})
}

// renew issues again with the key of what was issued before.
func (s *stage) renew(key crypto.Signer, names ...string) *ctlogtest.Issued {
	s.t.Helper()
	return s.issue(ctlogtest.Request{Names: names, Key: key})
}

// config writes a configuration that watches example.com and example.net and reads
// the stage's logs from their beginning, with more lines of YAML, and returns its
// path.
func (s *stage) config(more string) string {
	s.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "data_dir: %q\nwatch: [example.com, example.net]\n", s.dir)
	if !strings.Contains(more, "nats:") {
		b.WriteString("nats: {listen: \"127.0.0.1:0\"}\n")
	}
	if !strings.Contains(more, "http: {") {
		b.WriteString("http: {listen: \"127.0.0.1:0\"}\n")
	}
	if !strings.Contains(more, "logs:") {
		b.WriteString(s.logsConfig())
	}
	b.WriteString(more)
	path := filepath.Join(s.t.TempDir(), "ctwatch.yaml")
	s.check(os.WriteFile(path, []byte(b.String()), 0o600))
	return path
}

func (s *stage) logsConfig() string {
	var b strings.Builder
	fmt.Fprintf(&b, "logs:\n  list: \"\"\n  start: beginning\n  poll: %v\n  max_rate: 10000\n  extra:\n", s.poll)
	for _, l := range s.logs {
		i := l.Info()
		fmt.Fprintf(&b, "    - {name: %q, kind: %s, url: %q, key: %q}\n", i.Name, i.Kind, i.URL, base64.StdEncoding.EncodeToString(i.Key))
	}
	return b.String()
}

// untilVerified waits until the daemon has read and verified all that the logs
// have published.
func (s *stage) untilVerified() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	for _, l := range s.logs {
		s.check(untilVerified(ctx, s.alive, filepath.Join(s.dir, "ctwatch.db"), l))
	}
}

// untilDelivered waits until no sender has pending events.
func (s *stage) untilDelivered() {
	s.t.Helper()
	s.eventually("every sender has every event", func() bool {
		ok := false
		s.read(func(db *store.DB) error {
			all, err := db.Senders.List(s.ctx)
			if err != nil {
				return err
			}
			ok = len(all) > 0
			for _, x := range all {
				ok = ok && x.Backlog == 0
			}
			return nil
		})
		return ok
	})
}

// read calls f with the daemon's database.
func (s *stage) read(f func(*store.DB) error) {
	s.t.Helper()
	db, err := store.OpenReadOnly(s.ctx, filepath.Join(s.dir, "ctwatch.db"))
	s.check(err)
	defer db.Close()
	s.check(f(db))
}

// status returns where the reading of a log stands; the zero status before it began.
func (s *stage) status(l *ctlogtest.Log) (status ctwatch.LogStatus) {
	s.t.Helper()
	db, err := store.OpenReadOnly(s.ctx, filepath.Join(s.dir, "ctwatch.db"))
	if err != nil {
		return status
	}
	defer db.Close()
	all, err := db.Logs.List(s.ctx)
	s.check(err)
	for _, x := range all {
		if x.ID == l.Info().ID {
			status = x
		}
	}
	return status
}

// eventually polls a condition until it holds.
func (s *stage) eventually(what string, ok func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	if err := until(ctx, func() (bool, error) { return ok(), s.alive() }); err != nil {
		s.t.Fatalf("did not happen: %s: %v", what, err)
	}
}

// A testDaemon is a daemon in this process.
type testDaemon struct {
	t       *testing.T
	natsURL string
	log     *safeBuffer
	out     *safeBuffer
	cancel  context.CancelFunc
	done    chan struct{}
	err     error // once done is closed
}

// start runs the daemon in this process, until it is stopped or the test ends.
func (s *stage) start(config string) *testDaemon {
	s.t.Helper()
	cfg, err := configs.Load(config, configs.ProcessEnv())
	s.check(err)
	inv, err := setup.Read(cfg)
	s.check(err)
	ctx, cancel := context.WithCancel(context.Background())
	r := &testDaemon{t: s.t, log: &safeBuffer{}, out: &safeBuffer{}, cancel: cancel, done: make(chan struct{})}
	url := make(chan string, 1)
	d := daemon.New(daemon.Options{
		Inventory: inv, Out: r.out, JSON: true, OnNATS: func(u string) { url <- u },
		Logger: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Look:   s.lookFunc(), Now: s.now, Hangup: s.hangup, Silence: s.silence, BackoffMax: 2 * time.Second,
		Reread: func(before *setup.Inventory) (*setup.Inventory, error) {
			return (&app{configFile: config, environment: environment{LookupEnv: os.LookupEnv}}).inventory(before, nil)
		},
	})
	go func() {
		defer close(r.done)
		r.err = d.Run(ctx)
	}()
	s.alive = func() error {
		select {
		case <-r.done:
			return fmt.Errorf("the daemon ended: %v", r.err)
		default:
			return nil
		}
	}
	s.t.Cleanup(func() {
		cancel()
		<-r.done
		if s.t.Failed() {
			s.t.Logf("the daemon ended with: %v; its log:\n%s", r.err, r.log.tail())
		}
	})
	if cfg.NATS.URL == "" {
		select {
		case r.natsURL = <-url:
		case <-r.done:
			s.t.Fatalf("the daemon did not start: %v", r.err)
		}
	}
	return r
}

// notReloaded is what the daemon logs when it refuses a changed configuration.
const notReloaded = "the configuration was not reloaded, and the one before stays in force"

type lookFunc = func(context.Context, pins.Endpoint) pins.Look

func (s *stage) lookFunc() lookFunc {
	if s.look != nil {
		return s.look
	}
	return lookAtConfigured()
}

// lookAtConfigured looks at endpoints that the configuration names, and finds nothing
// at others: what real servers serve for a watched name must not affect tests.
func lookAtConfigured() func(context.Context, pins.Endpoint) pins.Look {
	prober := probe.New(probe.Config{})
	return func(ctx context.Context, e pins.Endpoint) pins.Look {
		if !e.Configured {
			return pins.Look{Endpoint: e, At: time.Now()}
		}
		return prober.Look(ctx, e)
	}
}

// stop ends the daemon, which must be no error.
func (r *testDaemon) stop() {
	r.t.Helper()
	r.cancel()
	<-r.done
	if r.err != nil {
		r.t.Fatalf("the daemon failed: %v", r.err)
	}
}

// A safeBuffer is written by one goroutine and read by another.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

var _ io.Writer = (*safeBuffer)(nil)

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *safeBuffer) contains(text string) bool { return strings.Contains(s.String(), text) }

// tail returns the end of what was written.
func (s *safeBuffer) tail() string {
	text := s.String()
	return text[max(0, len(text)-8000):]
}
