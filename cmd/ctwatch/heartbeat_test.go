package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
)

// TestTheHeartbeatGoesOnForAsLongAsLogsAreRead: the URL is called and the event
// published while there are tree heads; when there are none any more that is told, and
// both end; and both go on when there are some again.
func TestTheHeartbeatGoesOnForAsLongAsLogsAreRead(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.fill(10)
	s.publish()
	s.silence = 2 * time.Second
	var mu sync.Mutex
	var calls []time.Time
	monitor := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, time.Now())
	}))
	t.Cleanup(monitor.Close)
	called := func() []time.Time {
		mu.Lock()
		defer mu.Unlock()
		return append([]time.Time(nil), calls...)
	}

	d := s.start(s.config(fmt.Sprintf("heartbeat: {interval: 1s, url_file: %q}\n", s.file("heartbeat-url", monitor.URL+"/ping/5e2b7c19\n"))))
	ear := s.listen(d)
	any := func(message) bool { return true }
	for range 2 {
		ear.await(ctwatch.WatchHeartbeat, any)
	}
	s.eventually("the URL is called again and again", func() bool { return len(called()) > 1 })

	for _, l := range s.logs {
		l.SetFault(ctlogtest.Status(http.StatusServiceUnavailable, 0))
	}
	stalled := ear.await(ctwatch.WatchStalled, any)
	if stalled.Data.Severity != ctwatch.Critical {
		t.Errorf("that nothing is read is %s", stalled.Data.Severity)
	}
	for _, l := range s.logs {
		l.ClearFaults()
	}
	resumed := ear.await(ctwatch.WatchResumed, any)
	ear.await(ctwatch.WatchHeartbeat, func(m message) bool { return m.Time.After(resumed.Time) })
	n := len(called())
	s.eventually("the URL is called again", func() bool { return len(called()) > n })

	between := func(at time.Time) bool {
		return at.After(stalled.Time.Add(500*time.Millisecond)) && at.Before(resumed.Time.Add(-500*time.Millisecond))
	}
	for _, m := range s.stream(d.natsURL) {
		if m.Type == ctwatch.WatchHeartbeat && between(m.Time) {
			t.Errorf("a heartbeat at %v, though nothing was read from %v to %v", m.Time, stalled.Time, resumed.Time)
		}
	}
	for _, at := range called() {
		if between(at) {
			t.Errorf("the URL was called at %v, though nothing was read from %v to %v", at, stalled.Time, resumed.Time)
		}
	}
	d.stop()
	if d.log.contains("5e2b7c19") {
		t.Error("the log shows the URL, which is secret")
	}
}
