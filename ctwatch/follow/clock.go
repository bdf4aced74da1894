package follow

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"ctwatch/ctwatch"
)

const (
	// MaxClockOffset is how far the local clock may be from those of the logs. Tree
	// heads are some seconds to some minutes old when they are read.
	MaxClockOffset = 10 * time.Minute

	// clockLogs is how many logs are asked for the time: those that signed a new tree
	// head most lately, so that idle ones do not count for long.
	clockLogs = 9
)

// errClockUnknown says that the clock was compared with nothing yet.
var errClockUnknown = errors.New("no tree head was verified since the start, so the local clock is not known to be right")

// A Clock compares the local clock with the timestamps of tree heads. One log may be
// wrong, or lie: the median of several counts. Its methods may be called concurrently.
type Clock struct {
	Now    func() time.Time // required
	Logger *slog.Logger     // required

	mu      sync.Mutex
	samples []clockSample // one for each log, that of the newest tree head last
	wrong   bool          // as it was logged
}

// A clockSample is how far the local clock was ahead of a log's when a tree head came.
type clockSample struct {
	log    ctwatch.LogID
	signed time.Time
	offset time.Duration
}

// Head takes into account a tree head of a log whose signature was good. One that came
// before counts no more: it says when it was signed, and not how late it is now.
func (c *Clock) Head(l ctwatch.Log, h ctwatch.Head) {
	if l.State == ctwatch.LogReadOnly || l.State == ctwatch.LogRetired || l.FinalSize > 0 {
		return // it signs no new tree heads
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.samples, func(s clockSample) bool { return s.log == l.ID })
	if i >= 0 {
		// One of the future says nothing of those that come after it.
		last := c.samples[i]
		if !h.Timestamp.After(last.signed) && last.offset >= -MaxClockOffset {
			return
		}
		c.samples = slices.Delete(c.samples, i, i+1)
	}
	c.samples = append(c.samples, clockSample{l.ID, h.Timestamp, c.Now().Sub(h.Timestamp)})
	err := c.check()
	switch {
	case err != nil && !c.wrong:
		c.Logger.Error("no pin documents are issued, since the clock is wrong", "error", err)
	case err == nil && c.wrong:
		c.Logger.Info("the local clock agrees with those of the logs again")
	}
	c.wrong = err != nil
}

// Offset returns how far the local clock is ahead of those of the logs, or, where it is
// negative, behind; known is false as long as there is no tree head.
func (c *Clock) Offset() (offset time.Duration, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.median()
}

// minClockLogs is how many logs it takes to know better than the local clock.
const minClockLogs = 3

// Latest returns the local time, or that of the logs if most of them say that it is later.
func (c *Clock) Latest() time.Time {
	now := c.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.offsets()
	if len(all) < minClockLogs {
		return now
	}
	return now.Add(-min(0, all[len(all)/2])) // of an even number the one that is less far
}

// Check returns nil if the local clock is known to be right, and else why it is not.
func (c *Clock) Check() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.check()
}

func (c *Clock) check() error {
	offset, known := c.median()
	switch {
	case !known:
		return errClockUnknown
	case offset > MaxClockOffset:
		return fmt.Errorf("the local clock is %s ahead of those of the logs: set it right", offset.Round(time.Second))
	case offset < -MaxClockOffset:
		return fmt.Errorf("the local clock is %s behind those of the logs: set it right", -offset.Round(time.Second))
	}
	return nil
}

func (c *Clock) median() (offset time.Duration, known bool) {
	all := c.offsets()
	if all == nil {
		return 0, false
	}
	return all[(len(all)-1)/2], true // of two the fresher one: age looks like a clock that is ahead
}

// offsets returns those that count, the smallest first.
func (c *Clock) offsets() (all []time.Duration) {
	for _, s := range c.samples[max(0, len(c.samples)-clockLogs):] {
		all = append(all, s.offset)
	}
	slices.Sort(all)
	return all
}
