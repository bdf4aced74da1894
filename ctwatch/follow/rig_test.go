package follow_test

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/ctwatch/follow"
	"ctwatch/ctwatch/scan"
	"ctwatch/ctwatch/watchlist"
	"ctwatch/store"
)

func TestMain(m *testing.M) {
	if kind := os.Getenv(benchKind); kind != "" { // a process that a benchmark started
		if err := serveBench(ctwatch.LogKind(kind)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// A rig is a log, a real store, and what it takes to follow the one into the other. All
// of it plays in a bubble of testing/synctest: its clock moves when all have done what
// is to be done, so that seconds pass at once, and none is lost on a busy machine.
type rig struct {
	t   *testing.T
	ca  *ctlogtest.CA
	log *ctlogtest.Log
	db  *store.DB

	pipe    *ctlogtest.Pipe
	final   *ctwatch.Head // of a readonly log; nil for one that grows
	now     func() time.Time
	clock   *follow.Clock
	issuers *ctlog.Issuers // shared with other logs
	learner learner        // of the store
	limit   uint64         // of entries to read from the beginning
	refused atomic.Int64   // tree heads
	errors  atomic.Int64   // calls of Recorder.SetError
	asked   atomic.Int64   // requests that readers began; the log counts them when they arrive
	dir     string
	cancel  context.CancelFunc
	done    chan error
}

const (
	watched = "shop.example"
	poll    = 20 * time.Millisecond
)

// beginning starts at the first entry.
var beginning = ctwatch.Start{Beginning: true}

func newRig(t *testing.T, o ctlogtest.Options) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), now: time.Now}
	var err error
	if r.ca, err = ctlogtest.NewCA(ctlogtest.CAOptions{}); err != nil {
		t.Fatal(err)
	}
	if r.log, err = ctlogtest.New(o); err != nil {
		t.Fatal(err)
	}
	r.pipe = ctlogtest.NewPipe()
	t.Cleanup(r.log.Serve(r.pipe))
	r.open()
	t.Cleanup(func() {
		r.stop()
		if err := r.db.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func logger(t *testing.T) *slog.Logger {
	if os.Getenv("CTWATCH_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

func (r *rig) open() {
	r.t.Helper()
	var err error
	r.db, err = store.Open(r.t.Context(), filepath.Join(r.dir, "ctwatch.db"), store.Options{Logger: logger(r.t), Now: time.Now, Learner: &r.learner})
	if err != nil {
		r.t.Fatal(err)
	}
}

// counted counts requests as they begin.
type counted struct {
	http.RoundTripper
	n *atomic.Int64
}

func (c counted) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.RoundTripper.RoundTrip(r)
}

// counting counts what a follower says of its steps.
type counting struct {
	store.Logs
	errors *atomic.Int64
}

func (c counting) SetError(ctx context.Context, id ctwatch.LogID, msg string) error {
	c.errors.Add(1)
	return c.Logs.SetError(ctx, id, msg)
}

// transport reaches the rig's log.
func (r *rig) transport() *http.Transport {
	tr := &http.Transport{MaxIdleConnsPerHost: 16, DialContext: r.pipe.Dial}
	r.t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// reader returns a reader of the rig's log that loses no time.
func (r *rig) reader(info ctwatch.Log) *follow.Reader {
	r.t.Helper()
	tr := r.transport()
	log, err := ctlog.Open(info, ctlog.Options{Client: &http.Client{Transport: counted{tr, &r.asked}}, Logger: logger(r.t), Issuers: r.issuers})
	if err != nil {
		r.t.Fatal(err)
	}
	rule, err := watchlist.NewRule(watched, true)
	if err != nil {
		r.t.Fatal(err)
	}
	return &follow.Reader{
		Log: log, Logger: logger(r.t), Attempts: 2, Pause: time.Millisecond,
		Scanner: &scan.Scanner{Log: info, List: watchlist.New([]watchlist.Rule{rule})},
	}
}

// follow starts a follower, until stop.
func (r *rig) follow(s ctwatch.Start) {
	r.t.Helper()
	reader := r.reader(r.info())
	reader.Hooks.Refused = func(ctwatch.Head) { r.refused.Add(1) }
	f := follow.New(follow.Options{
		Reader: reader, Recorder: counting{r.db.Logs, &r.errors}, Logger: logger(r.t), Now: r.now, Clock: r.clock, Poll: poll, Start: s, Limit: r.limit,
	})
	ctx, cancel := context.WithCancel(r.t.Context())
	r.cancel, r.done = cancel, make(chan error, 1)
	go func() { r.done <- f.Run(ctx) }()
}

// info is what a log list says of the log.
func (r *rig) info() ctwatch.Log {
	l := r.log.Info()
	if r.final != nil {
		l.State, l.FinalSize, l.FinalRoot = ctwatch.LogReadOnly, r.final.Size, r.final.Root
	}
	return l
}

// idle reports whether nothing was asked of the log for ten polls.
func (r *rig) idle() bool {
	before := r.log.Requests(ctlogtest.All)
	time.Sleep(10 * poll)
	return r.log.Requests(ctlogtest.All) == before
}

func (r *rig) stop() {
	r.t.Helper()
	if r.cancel == nil {
		return
	}
	r.cancel()
	if err := <-r.done; err != nil {
		r.t.Errorf("follower: %v", err)
	}
	r.cancel = nil
}

func (r *rig) fill(n int) {
	r.t.Helper()
	if err := r.log.Fill(n); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) publish() ctwatch.Head {
	r.t.Helper()
	h, err := r.log.Publish()
	if err != nil {
		r.t.Fatal(err)
	}
	return h
}

// precert adds a precertificate for a watched name and returns its ID.
func (r *rig) precert(name string) ctwatch.Hash {
	r.t.Helper()
	i, err := r.ca.Issue(ctlogtest.Request{Names: []string{name}})
	if err != nil {
		r.t.Fatal(err)
	}
	if _, _, err := r.log.AddPrecert(i); err != nil {
		r.t.Fatal(err)
	}
	return i.ID
}

func (r *rig) status() ctwatch.LogStatus {
	r.t.Helper()
	logs, err := r.db.Logs.List(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, s := range logs {
		if s.ID == r.log.Info().ID {
			return s
		}
	}
	return ctwatch.LogStatus{}
}

// until waits for a condition, and fails the test with what it waited for.
func (r *rig) until(what string, cond func() bool) {
	r.t.Helper()
	pause := 5 * time.Millisecond
	deadline := time.Now().Add(time.Hour) // of the bubble's clock
	for !cond() {
		if time.Now().After(deadline) {
			r.t.Fatalf("waited in vain: %s; log: %+v; events: %v", what, r.status(), r.types())
		}
		time.Sleep(pause)
		pause = min(pause*5/4, time.Second)
	}
}

// verified waits until the log is verified up to a size.
func (r *rig) verified(size uint64) {
	r.t.Helper()
	r.until("to be verified", func() bool { s := r.status(); return s.Verified == size && s.Position == size })
}

// events returns all events written so far.
func (r *rig) events() []ctwatch.Event {
	r.t.Helper()
	const sender = "test"
	if err := r.db.Outbox.Register(context.Background(), sender); err != nil {
		r.t.Fatal(err)
	}
	queued, err := r.db.Outbox.Pending(context.Background(), sender, 10000)
	if err != nil {
		r.t.Fatal(err)
	}
	var out []ctwatch.Event
	for _, q := range queued {
		out = append(out, q.Event)
	}
	return out
}

func (r *rig) types() (out []ctwatch.EventType) {
	for _, e := range r.events() {
		out = append(out, e.Type)
	}
	return out
}

// of returns the events of a type.
func (r *rig) of(t ctwatch.EventType) (out []ctwatch.Event) {
	for _, e := range r.events() {
		if e.Type == t {
			out = append(out, e)
		}
	}
	return out
}

// issued returns how often each certificate was reported to be issued.
func (r *rig) issued() map[ctwatch.Hash]int {
	out := make(map[ctwatch.Hash]int)
	for _, e := range r.of(ctwatch.CertificateIssued) {
		out[e.Data.Certificate.ID]++
	}
	return out
}

// kinds runs a test with a log of each kind, each in a bubble of its own.
func kinds(t *testing.T, f func(t *testing.T, o ctlogtest.Options)) {
	for _, o := range []ctlogtest.Options{
		{Kind: ctwatch.KindRFC6962},
		{Kind: ctwatch.KindStatic, Gzip: true, DropPartials: true, Witnesses: true},
	} {
		t.Run(string(o.Kind), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { f(t, o) })
		})
	}
}

// all lists every certificate found.
func (r *rig) all() iter.Seq2[ctwatch.Certificate, error] {
	return r.db.Certificates.List(context.Background(), store.Filter{})
}
