package follow

import (
	"context"
	"fmt"
	"time"

	"ctwatch/ctwatch"
)

// A log becomes unhealthy, and healthy again, only after several polls, so that a short
// failure wakes no one and one outage is reported once.
const (
	unhealthyPolls = 10 // a log that fails for so many poll intervals is unhealthy
	slowPolls      = 20 // a log that takes longer to be read up to a tree head, and longer than minSlow, is unhealthy
	healthySteps   = 3  // a log is healthy again after so many good steps in a row

	minSlow = 10 * time.Second
)

// health is the state of a log.
type health struct {
	unhealthy    bool      // and reported
	failingSince time.Time // since when every step has been bad; zero after a good one
	good         int       // good steps in a row
	caughtUp     bool      // everything was read once: from then on, a log must not fall behind
}

// updateHealth updates the log's health by the outcome of a step, and reports a change.
func (f *Follower) updateHealth(ctx context.Context, stepErr error) error {
	reason := f.healthProblem(stepErr)
	if reason == "" {
		f.health.caughtUp = true
		f.health.failingSince = time.Time{}
		if f.health.good++; f.health.unhealthy && f.health.good >= healthySteps {
			f.health.unhealthy = false
			return f.Recorder.SetHealthy(ctx, f.id)
		}
		return nil
	}
	f.health.good = 0
	if f.health.failingSince.IsZero() {
		f.health.failingSince = f.begun
	}
	if f.Now().Sub(f.health.failingSince) < unhealthyPolls*f.Poll {
		return nil
	}
	return f.unhealthy(ctx, reason)
}

// checkSpeed updates the log's health during a long step.
func (f *Follower) checkSpeed(ctx context.Context) error {
	if took := f.Now().Sub(f.begun); f.health.caughtUp && took > max(slowPolls*f.Poll, minSlow) {
		return record(f.unhealthy(ctx, slow(took)))
	}
	return nil
}

// unhealthy reports once that the log is unhealthy. A retired log may disappear without
// notice.
func (f *Follower) unhealthy(ctx context.Context, reason string) error {
	if f.health.unhealthy || f.log.Info().State == ctwatch.LogRetired {
		return nil
	}
	f.health.unhealthy, f.health.good = true, 0
	return f.Recorder.SetUnhealthy(ctx, f.id, reason)
}

// healthProblem returns what is wrong with the log; "" if it is healthy.
func (f *Follower) healthProblem(stepErr error) string {
	if stepErr != nil {
		return "it cannot be followed: " + stepErr.Error()
	}
	if took := f.Now().Sub(f.begun); f.health.caughtUp && took > max(slowPolls*f.Poll, minSlow) {
		return slow(took)
	}
	l := f.log.Info()
	if l.State == ctwatch.LogReadOnly || l.FinalSize > 0 {
		return "" // it signs no new tree heads
	}
	// The head was requested when the step began: slow reading does not make it old.
	if age := f.begun.Sub(f.head.Timestamp); age > mergeDelay(l)+f.Poll+f.TailWait {
		return fmt.Sprintf("its newest tree head was signed %v ago, and its maximum merge delay is %v", age.Round(time.Second), mergeDelay(l))
	}
	return ""
}

func slow(took time.Duration) string {
	return fmt.Sprintf("reading it up to its tree head has taken %v so far: it grows faster than it can be read", took.Round(time.Second))
}

// mergeDelay is the log's maximum merge delay, within which a new tree head is due; if it is
// not known, what is usual for the kind of log.
func mergeDelay(l ctwatch.Log) time.Duration {
	switch {
	case l.MMD > 0:
		return l.MMD
	case l.Kind == ctwatch.KindStatic:
		return time.Minute
	}
	return 24 * time.Hour
}
