package follow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"ctwatch/ctwatch"
)

// A Liveness reports whether logs are being read: whether any log has recently given a
// tree head that verifies. Make it with NewLiveness. Its methods may be called
// concurrently.
type Liveness struct {
	now     func() time.Time
	started time.Time
	fixed   time.Duration // the limit whatever the logs are; 0: by the logs
	limit   atomic.Int64  // nanoseconds without a tree head; 0: no logs yet
	last    atomic.Int64  // Unix milliseconds; 0: no tree head yet
}

// Bounds of how long no tree head may arrive. Every poll requests one, and logs always have
// one.
const (
	minSilence = 2 * time.Minute
	maxSilence = time.Hour
)

// NewLiveness returns a Liveness that counts from now on. A limit other than 0 replaces
// the one that follows from the logs.
func NewLiveness(now func() time.Time, limit time.Duration) *Liveness {
	return &Liveness{now: now, started: now(), fixed: limit}
}

// HeadRead records that a tree head was accepted.
func (l *Liveness) HeadRead() { l.last.Store(l.now().UnixMilli()) }

// SetLogs sets the limit by the logs that are followed and how often they are polled.
func (l *Liveness) SetLogs(logs []ctwatch.Log, poll time.Duration) {
	limit := l.fixed
	if limit == 0 {
		limit = silenceLimit(logs, poll)
	}
	l.limit.Store(int64(limit))
}

// silenceLimit is the shortest merge delay of the logs, within which a healthy log
// signs a new tree head, within bounds.
func silenceLimit(logs []ctwatch.Log, poll time.Duration) time.Duration {
	limit := maxSilence
	for _, l := range logs {
		if l.MMD > 0 {
			limit = min(limit, l.MMD)
		}
	}
	return max(limit, minSilence, 4*poll)
}

// Alive returns an error if no tree head has arrived for too long.
func (l *Liveness) Alive(context.Context) error {
	since, limit := l.started, time.Duration(l.limit.Load())
	if ms := l.last.Load(); ms != 0 {
		since = time.UnixMilli(ms)
	}
	silent := l.now().Sub(since)
	switch {
	case silent <= cmp.Or(limit, maxSilence):
		return nil
	case limit == 0 && l.last.Load() == 0:
		return errors.New("there are no logs to follow: no log list could be loaded")
	}
	return fmt.Errorf("no log has given a tree head that verifies for %s, since %s", silent.Round(time.Second), since.UTC().Format(time.RFC3339))
}
