package main

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ctwatch/ctwatch/ctlogtest"
)

// TestWrongClockIsReported: a daemon whose clock is ahead of those of the logs is not
// ready, shows by how much, and publishes no pins, until the clock is set right.
func TestWrongClockIsReported(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	served := s.forAPI(nil)
	s.log(served)
	p := person{s, s.pinsConfig(s.endpoint(served))}
	p.does(exitDone, "probe", "--record")
	p.does(exitDone, "pins", "approve", served.LeafPin.String(), "--reason", "ours")
	_, next := p.declares()
	var ahead atomic.Int64
	ahead.Store(int64(24 * time.Hour))
	s.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	d := s.start(p.config)

	s.eventually("it is not ready because of the clock", func() bool {
		status, body := d.get("readyz", "")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "ahead of the logs: correct it")
	})
	s.eventually("pins are withheld because of the clock", func() bool {
		got := d.fetch("pins/" + shop + ".json")
		return got.status == http.StatusServiceUnavailable && strings.Contains(got.body, "clock of the server")
	})
	if offset := d.metrics()["ctwatch_clock_offset_seconds"]; offset < 23*3600 || offset > 25*3600 {
		t.Errorf("ctwatch_clock_offset_seconds is %v", offset)
	}

	ahead.Store(0)
	s.log(s.issue(ctlogtest.Request{Names: []string{"other.example.org"}})) // new tree heads
	s.eventually("it is ready", func() bool { status, _ := d.get("readyz", ""); return status == http.StatusOK })
	got := d.untilPublished(s, served.LeafPin, next)
	if tomorrow := time.Now().Add(12 * time.Hour).UnixMilli(); got.Serial > tomorrow {
		t.Errorf("serial %d is of a clock that was ahead", got.Serial)
	}
}
