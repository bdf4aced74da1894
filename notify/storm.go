package notify

import (
	"context"
	"slices"
	"time"

	"ctwatch/ctwatch"
)

const (
	// stormWindow is the time in which more than Config.Storm events are a storm.
	stormWindow = time.Minute
	// digestPause is how long the events of a storm are gathered after a digest.
	digestPause = 5 * time.Second
	// criticalPause is the same when one of them is critical, unless criticalBurst
	// times the limit of critical events were sent within the last minute: by then
	// people are awake.
	criticalPause = 100 * time.Millisecond
	criticalBurst = 5
	// maxDigest is how many events are read for one digest.
	maxDigest = 500
)

// A storm counts the events that a Batcher got within the last minute, and decides
// whether the next ones come individually or as a digest. The zero storm never uses
// digests.
type storm struct {
	batcher Batcher // nil if the sender is not one
	limit   int     // events in a stormWindow

	sent     times     // events
	critical times     // those of them that are critical
	digest   time.Time // when the last digest was taken
	more     bool      // the last digest left events that follow at once
}

// times are when the last events were sent, oldest first.
type times []time.Time

// add adds n times, and keeps the last ones.
func (t *times) add(n, keep int, now time.Time) {
	for range min(n, keep) {
		*t = append(*t, now)
	}
	*t = (*t)[max(0, len(*t)-keep):]
}

// within counts those of the last stormWindow, and forgets the others.
func (t *times) within(now time.Time) int {
	old := 0
	for old < len(*t) && now.Sub((*t)[old]) >= stormWindow {
		old++
	}
	*t = (*t)[old:]
	return len(*t)
}

// count records events that the service took.
func (s *storm) count(events []ctwatch.Queued, now time.Time) {
	n := 0
	for i := range events {
		if isCritical(events[i].Event) {
			n++
		}
	}
	s.sent.add(len(events), s.limit+1, now)
	s.critical.add(n, s.limit*criticalBurst, now)
}

// isOver reports whether n more events may be sent individually.
func (s *storm) isOver(n int, now time.Time) bool {
	return s.batcher == nil || s.sent.within(now)+n <= s.limit
}

// gather returns how long to wait for more events before a digest of these is sent.
func (s *storm) gather(events []ctwatch.Queued, now time.Time) time.Duration {
	pause := digestPause
	if s.critical.within(now) < s.limit*criticalBurst &&
		slices.ContainsFunc(events, func(q ctwatch.Queued) bool { return isCritical(q.Event) }) {
		pause = criticalPause
	}
	return pause - now.Sub(s.digest)
}

// deliverDigests sends events as digests, once a digest is due: at once if full says that
// there are as many events as are read at once. It reports false if it did not send all,
// so that the outbox has to be read again: there may be more events.
func (q *queue) deliverDigests(ctx context.Context, events []ctwatch.Queued, full bool) (all bool, err error) {
	wait := q.storm.gather(events, q.cfg.Now())
	if full || q.storm.more {
		wait = 0
	}
	q.storm.more = false
	if wait > 0 {
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
		if events = events[taken:]; len(events) == 0 {
			return true, nil
		}
		select {
		case <-q.wake: // perhaps by a critical event, which goes ahead of the rest
			q.storm.more = true
			return false, nil
		default:
		}
	}
	err = q.deliverAll(ctx, events)
	return err == nil && ctx.Err() == nil, err
}

// deliverDigest sends one digest, of as many events as the sender takes, and returns how
// many are done with: 0 after a failure and a pause.
func (q *queue) deliverDigest(ctx context.Context, queued []ctwatch.Queued) (done int, err error) {
	events := make([]ctwatch.Event, len(queued))
	for i := range queued {
		events[i] = queued[i].Event
	}
	r, err := q.try(ctx, queued, func(ctx context.Context, _ []ctwatch.Queued) (r result) {
		r.taken, r.retry, r.err = q.storm.batcher.SendBatch(ctx, events)
		return r
	})
	if r.taken > 0 {
		q.storm.digest = q.cfg.Now()
	}
	if err != nil {
		return 0, err
	}
	switch {
	case r.err == nil:
		return r.taken, nil
	case ctx.Err() != nil:
		return 0, nil // the rest is sent after the restart
	case !r.retry:
		return len(queued), q.deliverAll(ctx, queued[r.taken:])
	}
	if err := q.failed(ctx, &queued[r.taken], r.err); err != nil {
		return 0, err
	}
	q.pause(ctx, r.err)
	return 0, nil
}

func isCritical(e ctwatch.Event) bool { return e.Data.Severity.AtLeast(ctwatch.Critical) }
