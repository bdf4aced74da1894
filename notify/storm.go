package notify

import (
	"context"
	"fmt"
	"time"

	"ctwatch/ctwatch"
)

const (
	// stormWindow is the time in which more than Config.Storm events are a storm.
	stormWindow = time.Minute
	// digestPause is how long the events of a storm are gathered after a digest.
	digestPause = 5 * time.Second
	// criticalPause is the same when one of them is critical, for as long as the
	// storm is below wideAwake times the limit: by then nobody sleeps any more.
	criticalPause = 500 * time.Millisecond
	wideAwake     = 5
	// maxDigest is how many events are read for one digest.
	maxDigest = 500
)

// A storm counts what a Batcher was told within the last minute, and so decides
// whether the next events come one by one or as a digest. The zero storm never
// breaks.
type storm struct {
	batcher Batcher // nil: the sender is none
	limit   int     // events in a stormWindow

	told   []time.Time // when the last events were taken, oldest first; at most limit*wideAwake
	digest time.Time   // when the last digest was taken
}

// count takes note of n events that the service took.
func (s *storm) count(n int, now time.Time) {
	most := s.limit * wideAwake
	for range min(n, most) {
		s.told = append(s.told, now)
	}
	s.told = s.told[max(0, len(s.told)-most):]
}

// isOver reports whether n more events may be told one by one.
func (s *storm) isOver(n int, now time.Time) bool {
	if s.batcher == nil {
		return true
	}
	old := 0
	for old < len(s.told) && now.Sub(s.told[old]) >= stormWindow {
		old++
	}
	s.told = s.told[old:]
	return len(s.told)+n <= s.limit
}

// gather returns how long to wait for more events before a digest of these is sent.
func (s *storm) gather(events []ctwatch.Queued, now time.Time) time.Duration {
	pause := digestPause
	if len(s.told) < s.limit*wideAwake {
		for i := range events {
			if events[i].Event.Data.Severity.AtLeast(ctwatch.Critical) {
				pause = criticalPause
				break
			}
		}
	}
	return pause - now.Sub(s.digest)
}

// deliverDigests sends events as digests, once it is time for one. It reports false
// if it did not send all, so that the outbox has to be read again: others may have
// joined them.
func (q *queue) deliverDigests(ctx context.Context, events []ctwatch.Queued) (all bool, err error) {
	if wait := q.storm.gather(events, q.cfg.Now()); wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-ctx.Done():
		case <-t.C:
		case <-q.wake: // perhaps by a critical event
		}
		return false, nil
	}
	for len(events) > 1 {
		taken, err := q.deliverDigest(ctx, events)
		if err != nil || taken == 0 || ctx.Err() != nil {
			return false, err
		}
		events = events[taken:]
	}
	err = q.deliverAll(ctx, events)
	return err == nil && ctx.Err() == nil, err
}

// deliverDigest sends one digest, of as many of the events as the sender takes, and
// returns how many it is done with. It is 0 after a failure, and a pause.
func (q *queue) deliverDigest(ctx context.Context, queued []ctwatch.Queued) (done int, err error) {
	events := make([]ctwatch.Event, len(queued))
	for i := range queued {
		events[i] = queued[i].Event
	}
	r := q.within(ctx, func(ctx context.Context) (r result) {
		r.taken, r.retry, r.err = q.storm.batcher.SendBatch(ctx, events)
		return r
	})
	r.taken = max(0, min(r.taken, len(events)))
	if r.err == nil && r.taken == 0 {
		r.err = fmt.Errorf("the sender %s took no event of %d, and gave no reason", q.name, len(events))
	}
	if q.cfg.OnSend != nil {
		for range r.taken {
			q.cfg.OnSend(q.name, nil)
		}
		if r.err != nil && ctx.Err() == nil {
			q.cfg.OnSend(q.name, r.err)
		}
	}
	if r.taken > 0 {
		q.recovered(r.taken, len(events)-r.taken)
		q.storm.count(r.taken, q.cfg.Now())
		q.storm.digest = q.cfg.Now()
		if err := q.recordDelivered(ctx, queued[r.taken-1].Seq); err != nil {
			return 0, err
		}
	}
	switch {
	case r.err == nil:
		return r.taken, nil
	case ctx.Err() != nil:
		return 0, nil // the rest is sent again after the restart
	case !r.retry:
		return len(events), q.deliverAll(ctx, queued[r.taken:])
	}
	if err := q.failed(ctx, &queued[r.taken], r.err); err != nil {
		return 0, err
	}
	q.pause(ctx, r.err)
	return 0, nil
}
