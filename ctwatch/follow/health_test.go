package follow_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
)

// An outage is reported once, and its end once.
func TestOutageIsReportedOnce(t *testing.T) {
	kinds(t, func(t *testing.T, o ctlogtest.Options) {
		r := newRig(t, o)
		r.fill(300)
		r.follow(beginning)
		r.verified(r.publish().Size)
		for episode := 1; episode <= 2; episode++ {
			remove := r.log.SetFault(ctlogtest.Status(http.StatusBadGateway, 0))
			r.until("to be unhealthy", func() bool { return len(r.of(ctwatch.LogUnhealthy)) == episode })
			if s := r.status(); s.Healthy || s.LastError == "" {
				t.Errorf("status: %+v", s)
			}
			if n := len(r.of(ctwatch.LogRecovered)); n != episode-1 {
				t.Errorf("%d recoveries in episode %d", n, episode)
			}
			before := r.log.Requests(ctlogtest.All)
			r.until("more polls", func() bool { return r.log.Requests(ctlogtest.All) > before+3 })
			remove()
			r.until("to have recovered", func() bool { return len(r.of(ctwatch.LogRecovered)) == episode })
			if s := r.status(); !s.Healthy || s.LastError != "" {
				t.Errorf("status: %+v", s)
			}
			if n := len(r.of(ctwatch.LogUnhealthy)); n != episode {
				t.Errorf("%d outages reported in episode %d", n, episode)
			}
		}
	})
}

// A failure of a few polls is no outage.
func TestShortFailureIsNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, ctlogtest.Options{})
		r.fill(10)
		r.follow(beginning)
		r.verified(r.publish().Size)
		r.log.SetFault(ctlogtest.Status(http.StatusBadGateway, 0).Every(2))
		before := r.log.Requests(ctlogtest.All)
		r.until("many polls", func() bool { return r.log.Requests(ctlogtest.All) > before+30 })
		if n := len(r.of(ctwatch.LogUnhealthy)); n != 0 {
			t.Errorf("%d outages reported", n)
		}
	})
}

// A log that answers, but signs nothing new, becomes unhealthy.
func TestTrap21RepeatedOldHead(t *testing.T) {
	kinds(t, func(t *testing.T, o ctlogtest.Options) {
		var late atomic.Bool
		o.Now = func() time.Time {
			if late.Load() {
				return time.Now()
			}
			return time.Now().Add(-48 * time.Hour)
		}
		r := newRig(t, o)
		r.fill(10)
		size := r.publish().Size
		r.follow(beginning)
		r.verified(size)
		r.until("to be unhealthy", func() bool { return len(r.of(ctwatch.LogUnhealthy)) == 1 })
		late.Store(true)
		r.fill(1)
		r.verified(r.publish().Size)
		r.until("to have recovered", func() bool { return len(r.of(ctwatch.LogRecovered)) == 1 })
	})
}

// A log whose entries take longer to read than its merge delay does not become unhealthy
// because of the age that its tree head has by then.
func TestSlowReadingIsNoStaleHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, ctlogtest.Options{Kind: ctwatch.KindStatic, MaxAge: 50 * time.Second}) // its merge delay is a minute
		r.log.SetFault(ctlogtest.SlowBy(25 * time.Second).On(ctlogtest.Entries))
		r.fill(300)
		size := r.publish().Size
		time.Sleep(45 * time.Second)
		r.follow(beginning)
		r.verified(size)
		r.polls(2)
		if n := len(r.of(ctwatch.LogUnhealthy)); n != 0 {
			t.Errorf("%d outages reported", n)
		}
	})
}

// A follower stops at once, wherever the log hangs.
func TestStopCancelsHangingRequest(t *testing.T) {
	for name, class := range map[string]ctlogtest.Class{"tree head": ctlogtest.Heads, "entries": ctlogtest.Entries} {
		t.Run(name, func(t *testing.T) {
			kinds(t, func(t *testing.T, o ctlogtest.Options) {
				r := newRig(t, o)
				r.fill(300)
				r.publish()
				r.log.SetFault(ctlogtest.Hang(nil).On(class))
				r.follow(beginning)
				r.until("it hangs", func() bool { return r.log.Requests(class) > 0 })
				begun := time.Now()
				r.stop()
				if took := time.Since(begun); took > time.Second { // of the bubble's clock
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// An outage that lasts over a restart is reported once.
func TestRestartRemembersOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, ctlogtest.Options{})
		r.fill(10)
		r.follow(beginning)
		r.verified(r.publish().Size)
		remove := r.log.SetFault(ctlogtest.Status(http.StatusBadGateway, 0))
		r.until("to be unhealthy", func() bool { return len(r.of(ctwatch.LogUnhealthy)) == 1 })
		r.stop()
		r.follow(beginning)
		before := r.log.Requests(ctlogtest.All)
		r.until("polls", func() bool { return r.log.Requests(ctlogtest.All) > before+2 })
		remove()
		r.until("to have recovered", func() bool { return len(r.of(ctwatch.LogRecovered)) == 1 })
		if n := len(r.of(ctwatch.LogUnhealthy)); n != 1 {
			t.Errorf("the outage was reported %d times", n)
		}
	})
}

// A readonly log is read to its final tree head, and then not polled. A final tree head
// other than that of the log list is a lie.
func TestTrap24ReadonlyLogEnds(t *testing.T) {
	kinds(t, func(t *testing.T, o ctlogtest.Options) {
		r := newRig(t, o)
		r.fill(600)
		id := r.precert("a." + watched)
		head := r.publish()
		r.final = &head
		r.follow(beginning)
		r.verified(601)
		if r.issued()[id] != 1 {
			t.Error("a certificate was missed")
		}
		r.until("to be left alone", func() bool { return r.idle() })
		if n := len(r.of(ctwatch.LogUnhealthy)) + len(r.of(ctwatch.LogMisbehaved)); n != 0 {
			t.Errorf("%d complaints", n)
		}
	})
}
