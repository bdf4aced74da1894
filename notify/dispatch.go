package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"
)

// Config configures a Dispatcher. Outbox and Logger are required.
type Config struct {
	Outbox  Outbox
	Senders []Sender // each with a name of its own
	Logger  *slog.Logger
	Now     func() time.Time // default time.Now; measures outages and storms

	// OnSend is called after each try to send an event, with nil if the service took
	// it. Optional.
	OnSend func(sender string, err error)

	// Timeout is the longest that one send may take, unless the sender is a Patient.
	// Default 10 s.
	Timeout time.Duration
	// Grace is how long a send may continue after Run's context has ended.
	// Default 2 s.
	Grace time.Duration
	// BackoffMin and BackoffMax bound the pause before an event is retried, which
	// doubles with each try, with a jitter of 30 %. Default 1 s and 1 min.
	BackoffMin, BackoffMax time.Duration
	// Poll is how often the outbox is read without a Wake, in case another process
	// writes to it. Default 30 s.
	Poll time.Duration
	// Storm is how many events a Batcher gets individually within a minute. More come as
	// digests. Events for a digest are collected for five seconds after the last one,
	// or for a tenth of a second if one of them is critical, until a hundred (five
	// times Storm) critical events were sent within a minute. The Batcher decides what
	// it does with critical events in a digest: Slack posts each by itself. Default
	// 20; negative disables digests.
	Storm int
	// Batch is how many events are read from the outbox at once. Default 100.
	Batch int
}

// A Dispatcher delivers events from an Outbox to Senders.
type Dispatcher struct {
	cfg Config

	replacing sync.Mutex // held by Replace: one at a time

	mu     sync.Mutex
	queues []*queue
	ctx    context.Context // of Run; nil while it does not run
	fail   func(error)     // ends Run
	wg     sync.WaitGroup  // of running queues; grows only while ctx is set
}

// NewDispatcher checks the configuration and fills in its defaults.
func NewDispatcher(cfg Config) (*Dispatcher, error) {
	if cfg.Outbox == nil || cfg.Logger == nil {
		return nil, errors.New("a dispatcher needs an outbox and a logger")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	setDefault(&cfg.Timeout, 10*time.Second)
	setDefault(&cfg.Grace, 2*time.Second)
	setDefault(&cfg.BackoffMin, time.Second)
	setDefault(&cfg.BackoffMax, max(time.Minute, cfg.BackoffMin))
	setDefault(&cfg.Poll, 30*time.Second)
	setDefault(&cfg.Batch, 100)
	if cfg.Storm == 0 {
		cfg.Storm = 20
	}
	d := &Dispatcher{cfg: cfg}
	if err := d.Replace(cfg.Senders); err != nil {
		return nil, err
	}
	return d, nil
}

func setDefault[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Run delivers events until ctx ends, and then returns nil once the current sends have
// ended or the grace period is over. It returns an error only if the outbox fails:
// without records, delivery must not continue.
func (d *Dispatcher) Run(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	var failure error // the first
	var once sync.Once
	d.mu.Lock()
	if d.ctx != nil {
		d.mu.Unlock()
		return errors.New("the dispatcher is running already")
	}
	d.ctx = ctx
	d.fail = func(err error) {
		once.Do(func() { failure = err })
		end()
	}
	for _, q := range d.queues {
		d.start(q)
	}
	d.mu.Unlock()

	<-ctx.Done()
	d.mu.Lock()
	d.ctx = nil // nothing starts any more
	d.mu.Unlock()
	d.wg.Wait()
	return failure
}

// start runs a queue; d is locked, and Run runs.
func (d *Dispatcher) start(q *queue) {
	ctx, cancel := context.WithCancel(d.ctx)
	fail, done := d.fail, make(chan struct{})
	q.stop, q.done = cancel, done
	d.wg.Add(1)
	go func() {
		defer d.wg.Done()
		defer close(done)
		defer cancel()
		if err := q.run(ctx); err != nil {
			fail(err)
		}
	}()
}

// Replace changes the senders to these, each with a unique name. Those that are there
// already (the same value, by ==) continue undisturbed. The others are stopped; a send
// in progress may continue for the grace period. Once they have ended, the new ones
// start, so that two never share a cursor; then Replace returns. A sender with the name
// of an earlier one continues at its cursor.
//
// Replace may be called before, during and after Run, from any goroutine. The caller
// closes senders that were dropped (see Close), and must not pass them again. After an
// error nothing has changed.
func (d *Dispatcher) Replace(senders []Sender) error {
	seen := make(map[string]bool)
	for _, s := range senders {
		if s.Name() == "" || seen[s.Name()] {
			return fmt.Errorf("two senders have the name %q, or it is empty: each needs its own cursor", s.Name())
		}
		seen[s.Name()] = true
	}
	d.replacing.Lock()
	defer d.replacing.Unlock()

	var kept []*queue
	var ended []<-chan struct{} // of those that are dropped and run
	d.mu.Lock()
	for _, q := range d.queues {
		if slices.ContainsFunc(senders, func(s Sender) bool { return same(s, q.sender) }) {
			kept = append(kept, q)
		} else if q.stop != nil {
			q.stop()
			ended = append(ended, q.done)
		}
	}
	d.queues = slices.Clone(kept)
	d.mu.Unlock()
	for _, done := range ended {
		<-done
	}

	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range senders {
		if slices.ContainsFunc(kept, func(q *queue) bool { return same(s, q.sender) }) {
			continue
		}
		q := newQueue(&d.cfg, s)
		d.queues = append(d.queues, q)
		if d.ctx != nil && d.ctx.Err() == nil {
			d.start(q)
		}
	}
	return nil
}

// same reports whether two senders are the same value, of any type.
func same(a, b Sender) bool {
	return reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

// Wake makes the Dispatcher read the outbox, which has new events. It never blocks, and
// may be called before Run and from any goroutine.
func (d *Dispatcher) Wake() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, q := range d.queues {
		select {
		case q.wake <- struct{}{}:
		default: // it has yet to see the last one
		}
	}
}
