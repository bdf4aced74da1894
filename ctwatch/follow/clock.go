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
	// MaxClockOffset is how far the local clock may differ from the clocks of the logs.
	// Tree heads are seconds to minutes old when they are read.
	MaxClockOffset = 10 * time.Minute

	// clockLogs is how many logs count: those that signed a new tree head last, so that
	// idle logs do not count for long.
	clockLogs = 9
)

// errClockUnknown means that the clock was not compared with any log yet.
var errClockUnknown = errors.New("no tree head was verified since the start, so the local clock is not known to be right")

// A Clock compares the local clock with the timestamps of tree heads. It uses the median of
// several logs, since one may be wrong or lie. Its methods may be called concurrently.
type Clock struct {
	Now    func() time.Time // required
	Logger *slog.Logger     // required

	mu      sync.Mutex
	samples []clockSample // one for each log; the newest tree head is last
	wrong   bool          // what was logged last
}

// A clockSample is how far the local clock was ahead of a log's when a tree head arrived.
type clockSample struct {
	log    ctwatch.LogID
	signed time.Time
	offset time.Duration
}

// Observe adds a tree head with a good signature. One that was seen before does not count:
// it shows when it was signed, not what time it is.
func (c *Clock) Observe(l ctwatch.Log, h ctwatch.Head) {
	if l.State == ctwatch.LogReadOnly || l.State == ctwatch.LogRetired || l.FinalSize > 0 {
		return // it signs no new tree heads
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.samples, func(s clockSample) bool { return s.log == l.ID })
	if i >= 0 {
		// A tree head of the future does not make those after it old.
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
		c.Logger.Error("the clock is wrong: no pin documents are issued", "error", err)
	case err == nil && c.wrong:
		c.Logger.Info("the local clock agrees with the logs again")
	}
	c.wrong = err != nil
}

// Offset returns how far the local clock is ahead of the logs; a negative offset means that
// it is behind. known is false until there is a tree head.
func (c *Clock) Offset() (offset time.Duration, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.median()
}

// minClockLogs is how many logs it takes to overrule the local clock.
const minClockLogs = 3

// Latest returns the local time, or that of the logs if most of them are ahead of it.
func (c *Clock) Latest() time.Time {
	now := c.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.offsets()
	if len(all) < minClockLogs {
		return now
	}
	return now.Add(-min(0, all[len(all)/2])) // of an even number, the smaller offset
}

// Check returns nil if the local clock is known to be right, and the reason otherwise.
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
		return fmt.Errorf("the local clock is %s ahead of the logs: correct it", offset.Round(time.Second))
	case offset < -MaxClockOffset:
		return fmt.Errorf("the local clock is %s behind the logs: correct it", -offset.Round(time.Second))
	}
	return nil
}

func (c *Clock) median() (offset time.Duration, known bool) {
	all := c.offsets()
	if all == nil {
		return 0, false
	}
	return all[(len(all)-1)/2], true // of two, the fresher one: age looks like a clock that is ahead
}

// offsets returns the offsets that count, the smallest first.
func (c *Clock) offsets() (all []time.Duration) {
	for _, s := range c.samples[max(0, len(c.samples)-clockLogs):] {
		all = append(all, s.offset)
	}
	slices.Sort(all)
	return all
}
