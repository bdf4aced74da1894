package follow

import (
	"context"
	"fmt"
	"time"

	"ctwatch/ctwatch"
)

// Whether a log is well is decided with patience either way, in polls, so that
// nobody is woken by a hiccup, and nobody is told twice of one outage.
const (
	sickPolls = 10 // a log that has been unwell for so many poll intervals is unhealthy
	slowPolls = 20 // one that takes longer to be read up to a tree head, and longer than slowLeast, is read too slowly
	wellSteps = 3  // so many good steps in a row, and it has recovered

	slowLeast = 10 * time.Second
)

// health is what is known of how a log is.
type health struct {
	sick     bool      // told to be unhealthy
	unwell   time.Time // since when every step has been bad; zero while well
	good     int       // good steps in a row
	caughtUp bool      // everything was read once: from then on, being behind is an ailment
}

// assess takes a step's outcome into account, and tells of a change.
func (f *Follower) assess(ctx context.Context, stepErr error) error {
	reason := f.ailment(stepErr)
	if reason == "" {
		f.health.caughtUp = true
		f.health.unwell = time.Time{}
		if f.health.good++; f.health.sick && f.health.good >= wellSteps {
			f.health.sick = false
			return f.Recorder.SetHealthy(ctx, f.id)
		}
		return nil
	}
	f.health.good = 0
	if f.health.unwell.IsZero() {
		f.health.unwell = f.begun
	}
	if f.Now().Sub(f.health.unwell) < sickPolls*f.Poll {
		return nil
	}
	return f.unhealthy(ctx, reason)
}

// assessSpeed is called while a long step goes on.
func (f *Follower) assessSpeed(ctx context.Context) error {
	if took := f.Now().Sub(f.begun); f.health.caughtUp && took > max(slowPolls*f.Poll, slowLeast) {
		return record(f.unhealthy(ctx, slow(took)))
	}
	return nil
}

// unhealthy tells that the log is unhealthy, once. A retired log owes nobody
// anything: that it is gone is no news.
func (f *Follower) unhealthy(ctx context.Context, reason string) error {
	if f.health.sick || f.log.Info().State == ctwatch.LogRetired {
		return nil
	}
	f.health.sick, f.health.good = true, 0
	return f.Recorder.SetUnhealthy(ctx, f.id, reason)
}

// ailment says what is wrong with the log; "" when nothing is.
func (f *Follower) ailment(stepErr error) string {
	if stepErr != nil {
		return "it cannot be followed: " + stepErr.Error()
	}
	if took := f.Now().Sub(f.begun); f.health.caughtUp && took > max(slowPolls*f.Poll, slowLeast) {
		return slow(took)
	}
	l := f.log.Info()
	if l.State == ctwatch.LogReadOnly || l.FinalSize > 0 {
		return "" // it signs no new tree heads
	}
	// It was asked when the step began: that reading takes long is no fault of the log's.
	if age := f.begun.Sub(f.head.Timestamp); age > mergeDelay(l)+f.Poll+f.TailWait {
		return fmt.Sprintf("its newest tree head was signed %v ago, and its maximum merge delay is %v", age.Round(time.Second), mergeDelay(l))
	}
	return ""
}

func slow(took time.Duration) string {
	return fmt.Sprintf("reading it up to its tree head has taken %v so far: it grows faster than it can be read", took.Round(time.Second))
}

// mergeDelay is the log's maximum merge delay, within which a new tree head is
// due; what is usual for its kind where it is not known.
func mergeDelay(l ctwatch.Log) time.Duration {
	switch {
	case l.MMD > 0:
		return l.MMD
	case l.Kind == ctwatch.KindStatic:
		return time.Minute
	}
	return 24 * time.Hour
}
