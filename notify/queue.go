package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"time"

	"github.com/cenkalti/backoff/v5"

	"ctwatch/ctwatch"
)

// MaxRetryAfter bounds how long a service may ask to wait: a wrong header must not
// silence alerts for a year.
const MaxRetryAfter = time.Hour

// recordTimeout bounds recording the result of a send once the daemon stops. A send that
// succeeds while the daemon stops must still be recorded, or it is repeated. While the
// daemon runs there is no bound: a store that is busy for long has not failed.
const recordTimeout = 5 * time.Second

// recording returns a context to record in, which ends recordTimeout after ctx has.
func recording(ctx context.Context) (context.Context, context.CancelFunc) {
	rctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(recordTimeout, cancel)
		context.AfterFunc(rctx, func() { t.Stop() })
	})
	return rctx, func() { stop(); cancel() }
}

// A queue delivers events to one sender.
type queue struct {
	cfg     *Config
	sender  Sender
	name    string
	log     *slog.Logger
	timeout time.Duration // of a send
	wake    chan struct{}
	revived <-chan struct{} // nil if the sender is not a Reviver
	pauses  backoff.ExponentialBackOff

	// Set and guarded by the Dispatcher that runs the queue; nil before.
	stop context.CancelFunc
	done chan struct{} // closed once it has ended

	bulk   Bulk // nil if the sender is not one
	size   int  // of a batch
	stride int  // batches to read at once; 0 means one
	outage outage
	storm  storm
}

// An outage is a series of failed tries.
type outage struct {
	tries   int // 0 without an outage
	since   time.Time
	reason  string
	catchUp int // events delivered since an outage ended, until the queue is empty
}

func newQueue(cfg *Config, s Sender) *queue {
	q := &queue{
		cfg: cfg, sender: s, name: s.Name(),
		log:     cfg.Logger.With("sender", s.Name()),
		timeout: cfg.Timeout,
		size:    cfg.Batch,
		wake:    make(chan struct{}, 1),
		pauses: backoff.ExponentialBackOff{
			InitialInterval: cfg.BackoffMin, MaxInterval: cfg.BackoffMax,
			Multiplier: 2, RandomizationFactor: 0.3,
		},
	}
	if r, ok := as[Reviver](s); ok {
		q.revived = r.Revived()
	}
	if p, ok := as[Patient](s); ok {
		q.timeout = p.Timeout()
	}
	if b, ok := as[Bulk](s); ok {
		q.bulk, q.size = b, max(cfg.Batch, bulkBatch)
	}
	if b, ok := as[Batcher](s); ok && cfg.Storm > 0 {
		q.storm = storm{batcher: b, limit: cfg.Storm}
	}
	return q
}

// run delivers until ctx ends or the outbox fails. An error because ctx ended does not
// count as a failure.
func (q *queue) run(ctx context.Context) error {
	if err := q.cfg.Outbox.Register(ctx, q.name); err != nil && ctx.Err() == nil {
		return fmt.Errorf("registering the sender %s in the outbox: %w", q.name, err)
	}
	poll := time.NewTicker(q.cfg.Poll)
	defer poll.Stop()
	for ctx.Err() == nil {
		more, err := q.batch(ctx)
		if err != nil {
			return err
		}
		if more {
			continue
		}
		q.caughtUp()
		select {
		case <-ctx.Done():
		case <-q.wake:
		case <-poll.C:
		}
	}
	return nil
}

// batch delivers the next events, and reports whether there may be more already.
func (q *queue) batch(ctx context.Context) (more bool, err error) {
	limit := q.size * max(1, q.stride)
	pending, err := q.pending(ctx, limit)
	if err != nil || len(pending) == 0 {
		return false, err
	}
	wanted := q.wanted(pending)
	q.adjustStride(len(pending) == limit, len(wanted))
	if len(wanted) == 0 || q.storm.isOver(len(wanted), q.cfg.Now()) {
		if err := q.deliverAll(ctx, wanted); err != nil || ctx.Err() != nil {
			return false, err
		}
	} else {
		more = len(pending) == limit
		if more && limit < maxDigest { // a digest holds more than is sent individually at once
			if pending, err = q.pending(ctx, maxDigest); err != nil || len(pending) == 0 {
				return false, err
			}
			wanted = q.wanted(pending)
		}
		if all, err := q.deliverDigests(ctx, wanted, len(pending) >= maxDigest); err != nil || ctx.Err() != nil || !all {
			return true, err
		}
	}
	if last := pending[len(pending)-1].Seq; len(wanted) == 0 || wanted[len(wanted)-1].Seq < last {
		// Skip those at the end that the sender does not want.
		err = q.recordSkipped(ctx, last)
	}
	return more || len(pending) == limit, err
}

const (
	// bulkBatch is how many events are read at once for a Bulk.
	bulkBatch = 256
	// maxStride bounds how many batches are read at once.
	maxStride = 8
)

// adjustStride sets how much is read next: more while many events wait and few are
// wanted, so that an alarm does not wait behind thousands of unwanted events.
func (q *queue) adjustStride(full bool, wanted int) {
	if full && wanted*10 <= q.size {
		q.stride = min(maxStride, 2*max(1, q.stride))
	} else {
		q.stride = 1
	}
}

// pending reads the next events, at most limit; none if ctx has ended.
func (q *queue) pending(ctx context.Context, limit int) ([]ctwatch.Queued, error) {
	pending, err := q.cfg.Outbox.Pending(ctx, q.name, limit)
	if ctx.Err() != nil {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading the events that wait for %s: %w", q.name, err)
	}
	return pending, nil
}

// wanted returns those events that the sender wants.
func (q *queue) wanted(pending []ctwatch.Queued) (wanted []ctwatch.Queued) {
	for _, p := range pending {
		if q.sender.Wants(p.Event) {
			wanted = append(wanted, p)
		}
	}
	return wanted
}

// deliverAll sends events in order until the service has taken each, or never can, or ctx
// ends.
func (q *queue) deliverAll(ctx context.Context, events []ctwatch.Queued) error {
	for len(events) > 0 && ctx.Err() == nil {
		r, err := q.try(ctx, events, q.send)
		if r.panicked && len(events) > 1 && err == nil {
			r, err = q.try(ctx, events[:1], q.send) // it may be about any of them
		}
		if err != nil {
			return err
		}
		events = events[r.taken:]
		switch {
		case r.err == nil:
			continue
		case ctx.Err() != nil:
			return nil // the rest is sent after the restart
		case !r.retry:
			q.recovered(1, len(events)-1)
			if err := q.recordDead(ctx, &events[0], r.err); err != nil {
				return err
			}
			events = events[1:]
			continue
		}
		if err := q.failed(ctx, &events[0], r.err); err != nil {
			return err
		}
		if !q.pause(ctx, r.err) {
			return nil
		}
	}
	return nil
}

// A result is what a sender returned.
type result struct {
	taken int // of the first events
	retry bool
	err   error // about the event after those

	panicked bool // instead of returning
}

// send sends the first of the events, or the first ones if the sender is a Bulk.
func (q *queue) send(ctx context.Context, events []ctwatch.Queued) (r result) {
	if q.bulk != nil && len(events) > 1 {
		r.taken, r.retry, r.err = q.bulk.SendBulk(ctx, events)
		r.retry = r.retry || r.err == nil // a Bulk that takes none is called again
		return r
	}
	if r.retry, r.err = q.sender.Send(ctx, events[0].Event); r.err == nil {
		r.taken = 1
	}
	return r
}

// try calls send with events, within the time limit, and records those that were taken.
func (q *queue) try(ctx context.Context, events []ctwatch.Queued, send func(context.Context, []ctwatch.Queued) result) (result, error) {
	r := q.within(ctx, func(ctx context.Context) result { return send(ctx, events) })
	r.taken = max(0, min(r.taken, len(events)))
	switch {
	case r.err == nil && r.taken == 0:
		r.err = fmt.Errorf("the sender %s took none of %d events, without an error", q.name, len(events))
	case r.err != nil && r.taken == len(events):
		r.retry, r.err = false, nil // there is no event that the error is about
	}
	if q.cfg.OnSend != nil {
		for range r.taken {
			q.cfg.OnSend(q.name, nil)
		}
		if r.err != nil && ctx.Err() == nil {
			q.cfg.OnSend(q.name, r.err)
		}
	}
	if r.taken == 0 {
		return r, nil
	}
	q.recovered(r.taken, len(events)-r.taken)
	q.storm.count(events[:r.taken], q.cfg.Now())
	return r, q.recordDelivered(ctx, events[r.taken-1].Seq)
}

// within calls send within the time limit. Once ctx has ended, a sender that ignores its
// context is abandoned after the grace period, so that it cannot block the shutdown.
func (q *queue) within(ctx context.Context, send func(context.Context) result) result {
	sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), q.timeout)
	defer cancel()
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			if p := recover(); p != nil {
				// A retry would panic again, and block all other events.
				r = result{err: fmt.Errorf("the sender panicked: %v", p), panicked: true}
			}
			done <- r
		}()
		r = send(sctx)
	}()
	var r result
	select {
	case r = <-done:
	case <-ctx.Done():
		grace := time.AfterFunc(q.cfg.Grace, cancel)
		defer grace.Stop()
		select {
		case r = <-done:
		case <-time.After(q.cfg.Grace + q.cfg.Grace/4):
			return result{retry: true, err: errors.New("abandoned: the sender did not return when its context ended")}
		}
	}
	if r.err != nil && sctx.Err() != nil && errors.Is(r.err, sctx.Err()) {
		r.retry, r.err = true, fmt.Errorf("no answer within %s: %w", q.timeout, r.err)
	}
	return r
}

// pause waits until the next try is due, and reports false if ctx ended.
func (q *queue) pause(ctx context.Context, err error) bool {
	wait := q.pauses.NextBackOff()
	var after *RetryAfterError
	if errors.As(err, &after) {
		wait = max(wait, min(after.After, MaxRetryAfter))
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
	case <-q.revived:
	}
	return true
}

// failed records a failed try. It logs the first of an outage, and later ones at growing
// intervals.
func (q *queue) failed(ctx context.Context, p *ctwatch.Queued, err error) error {
	o := &q.outage
	if o.tries == 0 {
		*o = outage{since: q.cfg.Now()}
	}
	o.tries++
	reason := ctwatch.Printable(err.Error(), 500)
	if o.tries == 1 {
		q.log.WarnContext(ctx, "events cannot be delivered; they wait and are retried", "error", reason, "event", p.Event.ID)
	} else if o.tries >= 8 && bits.OnesCount(uint(o.tries)) == 1 {
		q.log.WarnContext(ctx, "events still cannot be delivered", "error", reason, "event", p.Event.ID,
			"tries", o.tries, "since", o.since.UTC().Format(time.RFC3339))
	}
	if reason == o.reason {
		return nil
	}
	o.reason = reason
	if err := q.cfg.Outbox.SetFailing(ctx, q.name, reason); err != nil && ctx.Err() == nil {
		return fmt.Errorf("recording that %s fails: %w", q.name, err)
	}
	return nil
}

// recovered ends an outage, if there was one, with the delivery of n events.
func (q *queue) recovered(n, behind int) {
	o := &q.outage
	if o.tries > 0 {
		q.log.Info("events are delivered again", "down", q.cfg.Now().Sub(o.since).Round(time.Second).String(),
			"tries", o.tries, "waiting_at_least", behind)
		*o = outage{catchUp: n}
		q.pauses.Reset()
	} else if o.catchUp > 0 {
		o.catchUp += n
	}
}

// caughtUp logs, once after an outage, that no event waits anymore.
func (q *queue) caughtUp() {
	if q.outage.catchUp > 1 {
		q.log.Info("caught up after the outage", "delivered", q.outage.catchUp)
	}
	q.outage.catchUp = 0
}

func (q *queue) recordDelivered(ctx context.Context, seq int64) error {
	ctx, cancel := recording(ctx)
	defer cancel()
	if err := q.cfg.Outbox.SetDelivered(ctx, q.name, seq); err != nil {
		return fmt.Errorf("recording that %s took event %d: %w", q.name, seq, err)
	}
	return nil
}

func (q *queue) recordSkipped(ctx context.Context, seq int64) error {
	ctx, cancel := recording(ctx)
	defer cancel()
	if err := q.cfg.Outbox.SkipTo(ctx, q.name, seq); err != nil {
		return fmt.Errorf("recording that %s skips to event %d: %w", q.name, seq, err)
	}
	return nil
}

func (q *queue) recordDead(ctx context.Context, p *ctwatch.Queued, cause error) error {
	ctx, cancel := recording(ctx)
	defer cancel()
	reason := ctwatch.Printable(cause.Error(), 500)
	q.log.ErrorContext(ctx, "an event can never be delivered and becomes a dead letter",
		"error", reason, "event", p.Event.ID, "type", p.Event.Type, "subject", p.Event.Subject)
	if err := q.cfg.Outbox.SetDeadLetter(ctx, q.name, p.Seq, reason); err != nil {
		return fmt.Errorf("recording that %s cannot deliver event %d: %w", q.name, p.Seq, err)
	}
	return nil
}
