package follow_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/ctwatch/follow"
)

// dated is a fault by which tree heads are dated later.
func dated(by time.Duration) ctlogtest.Fault {
	return ctlogtest.Alter("dated "+by.String(), func(v *ctlogtest.View) error {
		v.Head.Timestamp = time.Now().Add(by).Truncate(time.Millisecond)
		return nil
	}).On(ctlogtest.Heads)
}

// A tree head of the future is refused, counted and reported; one within the tolerance of
// clocks is not. Its entries are read once there is a better one.
func TestFutureHead(t *testing.T) {
	for name, tt := range map[string]struct {
		by     time.Duration
		first  bool // it is the first tree head of the log
		refuse bool
	}{
		"an hour":          {time.Hour, false, true},
		"the very first":   {time.Hour, true, true},
		"just too much":    {follow.MaxClockOffset + time.Minute, false, true},
		"clocks that vary": {follow.MaxClockOffset - time.Minute, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			kinds(t, func(t *testing.T, o ctlogtest.Options) {
				o.MaxAge = 10 * time.Second
				r := newRig(t, o)
				r.fill(300)
				r.publish()
				if !tt.first {
					r.follow(beginning)
					r.verified(300)
				}
				remove := r.log.SetFault(dated(tt.by))
				id := r.precert("a." + watched)
				size := r.publish().Size
				if tt.first {
					r.follow(beginning)
				}
				if !tt.refuse {
					r.verified(size)
					return
				}
				r.until("it to be reported", func() bool { return len(r.of(ctwatch.LogUnhealthy)) > 0 })
				s := r.status()
				if s.TreeSize == size || s.Verified == size || !strings.Contains(s.LastError, "in the future") {
					t.Errorf("status %+v", s)
				}
				if e := r.of(ctwatch.LogUnhealthy)[0]; !strings.Contains(e.Data.Summary, "in the future") {
					t.Errorf("reported: %s", e.Data.Summary)
				}
				if r.refused.Load() == 0 {
					t.Error("none was counted")
				}
				remove()
				r.verified(size)
				r.until("the log to be healthy", func() bool { return r.status().Healthy })
				if r.issued()[id] != 1 {
					t.Errorf("reported: %v", r.issued())
				}
			})
		})
	}
}

// If the local clock is behind most logs, no tree heads are refused, except from a log
// that is ahead of all others.
func TestLocalClockBehind(t *testing.T) {
	const behind = 3 * time.Hour
	for name, tt := range map[string]struct {
		others int // logs that are right
		by     time.Duration
		read   bool
	}{
		"others agree":         {3, 0, true},
		"no other log":         {0, 0, false},
		"others, and one lies": {4, time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, ctlogtest.Options{MaxAge: time.Second})
				now := func() time.Time { return time.Now().Add(-behind) }
				r.now, r.clock = now, &follow.Clock{Now: now, Logger: logger(t)}
				for i := range tt.others {
					r.clock.Observe(ctwatch.Log{ID: ctwatch.LogID{byte(i)}}, ctwatch.Head{Timestamp: time.Now()})
				}
				r.fill(10)
				r.log.SetFault(dated(tt.by))
				r.publish()
				r.follow(beginning)
				if tt.read {
					r.verified(10)
					return
				}
				r.until("it to be reported", func() bool { return len(r.of(ctwatch.LogUnhealthy)) > 0 })
				if s := r.status(); s.Verified > 0 || !strings.Contains(s.LastError, "clock of this machine") {
					t.Errorf("status %+v", s)
				}
			})
		})
	}
}

// A head of the future does not keep the later heads of its log from counting.
func TestClockForgetsFutureHead(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	c := follow.Clock{Now: func() time.Time { return now }, Logger: logger(t)}
	l := ctwatch.Log{ID: ctwatch.LogID{1}}
	c.Observe(l, ctwatch.Head{Timestamp: now.Add(24 * time.Hour)})
	if c.Check() == nil {
		t.Error("the only log says it is tomorrow")
	}
	c.Observe(l, ctwatch.Head{Timestamp: now})
	if err := c.Check(); err != nil {
		t.Error(err)
	}
}

// Latest is the local time, unless most of at least three logs are ahead of it.
func TestClockLatest(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		ahead []time.Duration // of the logs
		want  time.Duration
	}{
		"no log":            {nil, 0},
		"two are not many":  {[]time.Duration{time.Hour, time.Hour}, 0},
		"three agree":       {[]time.Duration{time.Hour, time.Hour, time.Hour}, time.Hour},
		"one of three lies": {[]time.Duration{time.Hour, 0, 0}, 0},
		"two of four lie":   {[]time.Duration{time.Hour, time.Hour, 0, 0}, 0},
		"the local is late": {[]time.Duration{-time.Hour, -time.Hour, -time.Hour}, 0},
	} {
		c := follow.Clock{Now: func() time.Time { return now }, Logger: logger(t)}
		for i, d := range tt.ahead {
			c.Observe(ctwatch.Log{ID: ctwatch.LogID{byte(i)}}, ctwatch.Head{Timestamp: now.Add(d)})
		}
		if got := c.Latest().Sub(now); got != tt.want {
			t.Errorf("%s: %v ahead, want %v", name, got, tt.want)
		}
	}
}
