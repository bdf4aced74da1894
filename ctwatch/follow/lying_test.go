package follow_test

import (
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
)

// A log whose entries do not verify is polled as often as any other, however long it has
// lied.
func TestLyingLogIsPolledOften(t *testing.T) {
	kinds(t, func(t *testing.T, o ctlogtest.Options) {
		o.MaxAge = 10 * time.Second
		r := newRig(t, o)
		r.fill(300)
		r.follow(beginning)
		r.verified(r.publish().Size)
		r.log.SetFault(ctlogtest.AlterEntry(310, nil))
		r.fill(256)
		r.publish()
		r.until("the log to be reported", func() bool { return len(r.of(ctwatch.LogMisbehaved)) > 0 })
		time.Sleep(20 * time.Second)
		id := r.precert("a." + watched)
		published := time.Now()
		r.publish()
		r.until("what is new to be reported", func() bool { return r.issued()[id] == 1 })
		if took := time.Since(published); took > time.Second {
			t.Errorf("after %v, at a poll of %v", took, poll)
		}
		r.log.ClearFaults()
	})
}
