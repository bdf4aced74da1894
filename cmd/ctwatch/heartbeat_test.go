package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
)

// TestHeartbeatLastsWhileLogsAreRead: the URL is called and the event published
// while there are tree heads. When there are no more, an event says so and both end; both
// go on when there are tree heads again.
func TestHeartbeatLastsWhileLogsAreRead(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.fill(10)
	s.publish()
	s.silence = time.Hour
	var ahead atomic.Int64 // of the daemon's clock
	s.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	var mu sync.Mutex
	var calls int
	monitor := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		calls++
	}))
	t.Cleanup(monitor.Close)
	called := func() int {
		mu.Lock()
		defer mu.Unlock()
		return calls
	}

	d := s.start(s.config(fmt.Sprintf("heartbeat: {interval: 1s, url_file: %q}\n", s.file("heartbeat-url", monitor.URL+"/ping/5e2b7c19\n"))))
	ear := s.listen(d)
	any := func(message) bool { return true }
	for range 2 {
		ear.await(ctwatch.WatchHeartbeat, any)
	}
	s.eventually("the URL is called again and again", func() bool { return called() > 1 })

	for _, l := range s.logs {
		l.SetFault(ctlogtest.Status(http.StatusServiceUnavailable, 0))
	}
	for _, l := range s.logs { // a tree head that is under way counts before the clock goes on
		asked := l.Requests(ctlogtest.Heads)
		s.eventually("the log is asked twice", func() bool { return l.Requests(ctlogtest.Heads) > asked+1 })
	}
	ahead.Store(int64(2 * time.Hour))
	stalled := ear.await(ctwatch.WatchStalled, func(m message) bool { return strings.Contains(m.Data.Summary, "no log has given") })
	if stalled.Data.Severity != ctwatch.Critical {
		t.Errorf("that nothing is read is %s", stalled.Data.Severity)
	}
	n, asked := called(), s.rfc.Requests(ctlogtest.Heads)
	s.eventually("logs are asked again and again", func() bool { return s.rfc.Requests(ctlogtest.Heads) > asked+2 })
	if more := called() - n; more > 1 { // one may have been under way
		t.Errorf("the URL was called %d times although nothing was read", more)
	}
	for _, l := range s.logs {
		l.ClearFaults()
	}
	resumed := ear.await(ctwatch.WatchResumed, any)
	ear.await(ctwatch.WatchHeartbeat, func(m message) bool { return m.sequence > resumed.sequence })
	n = called()
	s.eventually("the URL is called again", func() bool { return called() > n })

	for _, m := range s.stream(d.natsURL) {
		if m.Type == ctwatch.WatchHeartbeat && m.sequence > stalled.sequence && m.sequence < resumed.sequence {
			t.Errorf("a heartbeat at %v, though nothing was read from %v to %v", m.Time, stalled.Time, resumed.Time)
		}
	}
	d.stop()
	if d.log.contains("5e2b7c19") {
		t.Error("the log shows the URL, which is secret")
	}
}
