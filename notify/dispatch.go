package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"
)

// Config is what a Dispatcher needs. Outbox and Logger are required; the rest may
// be left zero.
type Config struct {
	Outbox  Outbox
	Senders []Sender // each with a name of its own
	Logger  *slog.Logger
	Now     func() time.Time // default time.Now; tells how long an outage was, and how many events a minute brings

	// OnSend is called after each try to send an event, with nil where the service
	// took it; for whoever counts. Optional.
	OnSend func(sender string, err error)

	// Timeout is the longest that one send may take, unless the sender is a Patient.
	// Default 10 s.
	Timeout time.Duration
	// Grace is how long a send under way may go on after Run's context has ended.
	// Default 2 s.
	Grace time.Duration
	// BackoffMin and BackoffMax bound the pause before an event is tried again: it
	// doubles with each try and is spread by 30 % either way. Default 1 s and 5 min.
	BackoffMin, BackoffMax time.Duration
	// Poll is how often the outbox is looked at though nobody called Wake, in case
	// another process writes to it. Default 30 s.
	Poll time.Duration
	// Storm is how many events within a minute a Batcher is sent one by one. Those
	// that would be more come as digests, at most one in five seconds; a critical
	// event waits only for half a second. Default 20; negative: there are no digests.
	Storm int
	// Batch is how many events are read from the outbox at once. Default 100.
	Batch int
}

// A Dispatcher carries events from an Outbox to Senders.
type Dispatcher struct {
	cfg    Config
	queues []*queue
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
	setDefault(&cfg.BackoffMax, max(5*time.Minute, cfg.BackoffMin))
	setDefault(&cfg.Poll, 30*time.Second)
	setDefault(&cfg.Batch, 100)
	if cfg.Storm == 0 {
		cfg.Storm = 20
	}

	d := &Dispatcher{cfg: cfg}
	seen := make(map[string]bool)
	for _, s := range cfg.Senders {
		if s.Name() == "" || seen[s.Name()] {
			return nil, fmt.Errorf("the name %q of a sender is empty or taken by another: it names the sender's cursor", s.Name())
		}
		seen[s.Name()] = true
		d.queues = append(d.queues, newQueue(&d.cfg, s))
	}
	return d, nil
}

func setDefault[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Run delivers events until ctx ends, and then returns nil once the sends under way
// have ended or the grace period is over. It returns an error only if the outbox
// fails: what cannot be recorded must not go on.
func (d *Dispatcher) Run(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	for _, q := range d.queues {
		g.Go(func() error { return q.run(gctx) })
	}
	err := g.Wait()
	if len(d.queues) == 0 {
		<-ctx.Done()
	}
	return err
}

// Wake tells that the outbox has new events. It never blocks, and may be called
// before Run and from any goroutine.
func (d *Dispatcher) Wake() {
	for _, q := range d.queues {
		select {
		case q.wake <- struct{}{}:
		default: // it has yet to see the last one
		}
	}
}
