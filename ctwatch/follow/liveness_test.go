package follow_test

import (
	"strings"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/follow"
)

// How long no tree head may arrive depends on the merge delays of the logs, how often
// they are polled, and what the caller demands.
func TestLivenessLimit(t *testing.T) {
	mmd := func(delays ...time.Duration) (logs []ctwatch.Log) {
		for _, d := range delays {
			logs = append(logs, ctwatch.Log{MMD: d})
		}
		return logs
	}
	for name, tt := range map[string]struct {
		logs  []ctwatch.Log
		poll  time.Duration
		fixed time.Duration
		want  time.Duration
	}{
		"no merge delay is known":  {mmd(0, 0), time.Second, 0, time.Hour},
		"the shortest merge delay": {mmd(24*time.Hour, 20*time.Minute, 0), time.Second, 0, 20 * time.Minute},
		"at most an hour":          {mmd(24 * time.Hour), time.Second, 0, time.Hour},
		"at least two minutes":     {mmd(time.Minute), time.Second, 0, 2 * time.Minute},
		"at least four polls":      {mmd(time.Minute), 10 * time.Minute, 0, 40 * time.Minute},
		"as the caller demands":    {mmd(time.Minute), 10 * time.Minute, 3 * time.Second, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Now().Truncate(time.Second)
			l := follow.NewLiveness(func() time.Time { return now }, tt.fixed)
			l.SetLogs(tt.logs, tt.poll)
			now = now.Add(10 * time.Second)
			l.HeadRead()
			now = now.Add(tt.want)
			if err := l.Alive(t.Context()); err != nil {
				t.Errorf("after %s: %v", tt.want, err)
			}
			now = now.Add(10 * time.Millisecond)
			if err := l.Alive(t.Context()); err == nil || !strings.Contains(err.Error(), "no log has given") {
				t.Errorf("after more than %s: %v", tt.want, err)
			}
			l.HeadRead()
			if err := l.Alive(t.Context()); err != nil {
				t.Errorf("after another tree head: %v", err)
			}
		})
	}
}

// Without a log list nothing can be read, and the error says so after an hour.
func TestLivenessWithoutLogs(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	l := follow.NewLiveness(func() time.Time { return now }, 0)
	now = now.Add(time.Hour)
	if err := l.Alive(t.Context()); err != nil {
		t.Errorf("after an hour: %v", err)
	}
	now = now.Add(time.Second)
	if err := l.Alive(t.Context()); err == nil || !strings.Contains(err.Error(), "no log list") {
		t.Errorf("after more than an hour: %v", err)
	}
}
