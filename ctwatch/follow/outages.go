package follow

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// How long Outages waits for more of the same: until so long nothing has changed, but not
// longer than most.
const (
	outagesQuiet = 3 * time.Second
	outagesMost  = 30 * time.Second
	outagesNamed = 5 // logs that a line names
)

// Outages logs which logs cannot be followed, and which can be again. What hinders one log
// mostly hinders others, so that those of some seconds share a line: a network that is
// down is one. Each log by itself is logged at debug level.
//
// Its methods may be called concurrently. Close it at the end.
type Outages struct {
	Logger *slog.Logger // required

	mu     sync.Mutex
	of     int       // logs that are followed
	down   []outage  // not told yet
	up     []string  // not told yet
	since  time.Time // when the first of them was
	timer  *time.Timer
	closed bool
}

type outage struct {
	log string
	err error
}

// Of says how many logs are followed.
func (o *Outages) Of(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.of = n
}

// Close logs what has not been logged, and everything after that at once.
func (o *Outages) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.tell()
}

// began notes that a log cannot be followed from now on.
func (o *Outages) began(log string, err error) {
	o.Logger.Debug("log cannot be followed", "log", log, "error", err)
	o.mu.Lock()
	defer o.mu.Unlock()
	if i := slices.Index(o.up, log); i >= 0 {
		o.up = slices.Delete(o.up, i, i+1) // it was told that it cannot, and that is so
		return
	}
	o.down = append(o.down, outage{log, err})
	o.wait()
}

// ended notes that a log can be followed again.
func (o *Outages) ended(log string) {
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

// wait puts off what is told by as long as more is to be expected.
func (o *Outages) wait() {
	now := time.Now()
	if o.timer == nil {
		o.since = now
	} else {
		o.timer.Stop()
	}
	if o.closed {
		o.tell()
		return
	}
	o.timer = time.AfterFunc(max(0, min(outagesQuiet, o.since.Add(outagesMost).Sub(now))), func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.tell()
	})
}

func (o *Outages) tell() {
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
		o.line(slog.LevelWarn, names, "cannot be followed; will go on trying", slog.Any("error", down[0].err))
	}
	if len(up) > 0 {
		o.line(slog.LevelInfo, up, "can be followed again")
	}
}

// line logs one line about some logs.
func (o *Outages) line(level slog.Level, logs []string, what string, more ...slog.Attr) {
	if len(logs) == 1 {
		o.Logger.LogAttrs(context.Background(), level, "log "+what, append([]slog.Attr{slog.String("log", logs[0])}, more...)...)
		return
	}
	named := slices.Clone(logs[:min(len(logs), outagesNamed)])
	if n := len(logs) - len(named); n > 0 {
		named = append(named, fmt.Sprintf("and %d more", n))
	}
	o.Logger.LogAttrs(context.Background(), level, fmt.Sprintf("%d of %d logs %s", len(logs), max(o.of, len(logs)), what), append([]slog.Attr{slog.Any("logs", named)}, more...)...)
}
