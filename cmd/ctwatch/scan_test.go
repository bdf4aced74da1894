package main

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ctwatch/ctwatch/ctlog"
	"ctwatch/ctwatch/follow"
)

// A scan says what limits its speed, and what can be done about it.
func TestScanHint(t *testing.T) {
	s := &scanRun{reader: &follow.Reader{Pace: ctlog.NewPaceFrom(firstScanRate, maxScanRate).Log()}}
	for _, c := range []struct {
		limit     ctlog.PaceLimit
		anonymous bool
		want      string
	}{
		{ctlog.NotLimited, true, ""},
		{ctlog.LimitedByMax, true, "Reading was limited to 500 requests/s by --max-rate. If the log's operator allows more, give a higher one."},
		{ctlog.LimitedByLog, false, "The log refused or delayed requests; it now gets 100.0 requests/s."},
		{ctlog.LimitedByLog, true, "The log refused or delayed requests; it now gets 100.0 requests/s. Many logs allow more to clients with a contact: give --contact."},
	} {
		s.anonymous = c.anonymous
		if got := s.hint(c.limit); got != c.want {
			t.Errorf("limit %d: %q, want %q", c.limit, got, c.want)
		}
	}
}

// A scan that makes no progress says why, but not at each request.
func TestScanReportsRetries(t *testing.T) {
	var out strings.Builder
	report := reportRetries(slog.New(slog.NewTextHandler(&out, nil)))
	for range 10 {
		report(256, time.Second, errors.New("status 500\x1b[2J"))
	}
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "start=256 in=1s") || strings.Contains(got, "\x1b") {
		t.Errorf("reported %q", got)
	}
}
