package follow_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/follow"
)

// The local clock is right if most of the logs that sign tree heads agree with it.
func TestClock(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	type head struct {
		log   byte
		age   time.Duration // by the local clock, when it is read
		state string
	}
	const day = 24 * time.Hour
	heads := func(ages ...time.Duration) (out []head) {
		for i, age := range ages {
			out = append(out, head{log: byte(i), age: age})
		}
		return out
	}
	for name, tt := range map[string]struct {
		heads []head
		want  string // of the error; "" if the clock is right
	}{
		"nothing read yet":             {nil, "no tree head was verified"},
		"fresh heads":                  {heads(time.Second, time.Minute, 9*time.Minute), ""},
		"a day ahead":                  {heads(day, day+time.Minute, day), "24h0m0s ahead"},
		"a day behind":                 {heads(-day, -day, -day), "24h0m0s behind"},
		"just within":                  {heads(10 * time.Minute), ""},
		"just beyond":                  {heads(10*time.Minute + time.Second), "ahead"},
		"one log lies of the future":   {heads(time.Second, -day, time.Second), ""},
		"one log lags":                 {heads(time.Second, 12*time.Hour, time.Second), ""},
		"of two logs one lags":         {heads(12*time.Hour, time.Second), ""},
		"logs that stopped signing":    {[]head{{0, time.Second, ctwatch.LogUsable}, {1, 900 * day, ctwatch.LogReadOnly}, {2, 900 * day, ctwatch.LogRetired}}, ""},
		"an older head does not count": {[]head{{log: 0, age: time.Second}, {log: 0, age: time.Hour}}, ""},
		"set right: newer heads count": {[]head{{log: 0, age: day}, {log: 0, age: time.Second}}, ""},
		"idle logs give way to those that sign": {append(
			heads(day, day, day, day, day, day, day, day, day, day),
			head{log: 20}, head{log: 21}, head{log: 22}, head{log: 23}, head{log: 24}), ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := follow.Clock{Now: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler)}
			for _, h := range tt.heads {
				c.Observe(ctwatch.Log{ID: ctwatch.LogID{h.log}, State: h.state}, ctwatch.Head{Timestamp: now.Add(-h.age)})
			}
			err := c.Check()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// A wrong clock is logged once as an error, and once when it is right again.
func TestClockIsLoggedOnce(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	var logs bytes.Buffer
	local := now.Add(24 * time.Hour)
	c := follow.Clock{Now: func() time.Time { return local }, Logger: slog.New(slog.NewTextHandler(&logs, nil))}
	for range 3 {
		now = now.Add(time.Second)
		c.Observe(ctwatch.Log{}, ctwatch.Head{Timestamp: now})
	}
	if offset, known := c.Offset(); !known || offset < 23*time.Hour {
		t.Errorf("offset %v, %v", offset, known)
	}
	local = now
	for range 3 {
		now, local = now.Add(time.Second), local.Add(time.Second)
		c.Observe(ctwatch.Log{}, ctwatch.Head{Timestamp: now})
	}
	if n, m := strings.Count(logs.String(), "level=ERROR"), strings.Count(logs.String(), "level=INFO"); n != 1 || m != 1 {
		t.Errorf("%d errors and %d times well again, want 1 and 1:\n%s", n, m, logs.String())
	}
}
