package follow

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// Outages waits for more logs until nothing has changed for outagesWait, but no longer than
// maxOutagesWait.
const (
	outagesWait     = 3 * time.Second
	maxOutagesWait  = 30 * time.Second
	maxOutagesNamed = 5 // in one line
)

// Outages logs which logs cannot be followed, and which can be followed again. What affects
// one log, such as a network that is down, mostly affects others, so those of a few seconds
// share a line. Each log is also logged separately, at debug level.
//
// Its methods may be called concurrently. Close it at the end.
type Outages struct {
	Logger *slog.Logger // required

	mu     sync.Mutex
	total  int       // how many logs are followed
	down   []outage  // not logged yet
	up     []string  // not logged yet
	since  time.Time // when the first of them was
	timer  *time.Timer
	closed bool
}

type outage struct {
	log string
	err error
}

// SetTotal sets how many logs are followed.
func (o *Outages) SetTotal(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.total = n
}

// Close ends the lines: what is not logged yet is logged only at debug level.
func (o *Outages) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	if o.timer != nil {
		o.timer.Stop()
	}
}

// start records that a log can no longer be followed.
func (o *Outages) start(log string, err error) {
	o.Logger.Debug("log cannot be followed", "log", log, "error", err)
	o.mu.Lock()
	defer o.mu.Unlock()
	if i := slices.Index(o.up, log); i >= 0 {
		o.up = slices.Delete(o.up, i, i+1) // it was logged as down, and still is
		return
	}
	o.down = append(o.down, outage{log, err})
	o.wait()
}

// end records that a log can be followed again.
func (o *Outages) end(log string) {
	o.Logger.Debug("log is followed again", "log", log)
	o.mu.Lock()
	defer o.mu.Unlock()
	if i := slices.IndexFunc(o.down, func(d outage) bool { return d.log == log }); i >= 0 {
		o.down = slices.Delete(o.down, i, i+1)
		return
	}
	o.up = append(o.up, log)
	o.wait()
}

// wait delays the line for as long as more logs may share it.
func (o *Outages) wait() {
	if o.closed {
		return
	}
	now := time.Now()
	if o.timer == nil {
		o.since = now
	} else {
		o.timer.Stop()
	}
	o.timer = time.AfterFunc(max(0, min(outagesWait, o.since.Add(maxOutagesWait).Sub(now))), func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if !o.closed {
			o.flush()
		}
	})
}

func (o *Outages) flush() {
	if o.timer != nil {
		o.timer.Stop()
		o.timer = nil
	}
	down, up := o.down, o.up
	o.down, o.up = nil, nil
	var names []string
	for _, d := range down {
		names = append(names, d.log)
	}
	if len(down) > 0 {
		o.line(slog.LevelWarn, names, "cannot be followed; retrying", slog.Any("error", down[0].err))
	}
	if len(up) > 0 {
		o.line(slog.LevelInfo, up, "can be followed again")
	}
}

// line logs one line about several logs.
func (o *Outages) line(level slog.Level, logs []string, what string, more ...slog.Attr) {
	if len(logs) == 1 {
		o.Logger.LogAttrs(context.Background(), level, "log "+what, append([]slog.Attr{slog.String("log", logs[0])}, more...)...)
		return
	}
	named := slices.Clone(logs[:min(len(logs), maxOutagesNamed)])
	if n := len(logs) - len(named); n > 0 {
		named = append(named, fmt.Sprintf("and %d more", n))
	}
	o.Logger.LogAttrs(context.Background(), level, fmt.Sprintf("%d of %d logs %s", len(logs), max(o.total, len(logs)), what), append([]slog.Attr{slog.String("logs", strings.Join(named, ", "))}, more...)...)
}
