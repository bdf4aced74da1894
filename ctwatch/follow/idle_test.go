package follow_test

import (
	"testing"
	"time"

	"ctwatch/ctwatch/ctlogtest"
)

// A log that only signs the same tree again costs no transaction, at however many polls. What
// it adds then is read as ever.
func TestIdleLogWritesNothing(t *testing.T) {
	kinds(t, func(t *testing.T, o ctlogtest.Options) {
		o.MaxAge = time.Millisecond
		r := newRig(t, o)
		r.fill(300)
		r.follow(beginning)
		r.verified(r.publish().Size)
		time.Sleep(2 * poll)
		commits, heads, seen := r.db.Commits(), r.log.Requests(ctlogtest.Heads), r.status().LastHeadAt
		time.Sleep(100 * poll)
		if n := r.db.Commits() - commits; n != 0 || r.errors.Load() != 1 {
			t.Errorf("%d transactions, and that a step succeeded is recorded %d times", n, r.errors.Load())
		}
		if n := r.log.Requests(ctlogtest.Heads) - heads; n < 90 {
			t.Errorf("%d tree heads were requested in 100 polls", n)
		}
		if now := r.status().LastHeadAt; now.Sub(*seen) < 90*poll {
			t.Errorf("last seen at %v, and at %v 100 polls ago", now, seen)
		}
		r.precert("a." + watched)
		r.verified(r.publish().Size)
		if len(r.issued()) != 1 {
			t.Errorf("issued: %v", r.issued())
		}
	})
}
