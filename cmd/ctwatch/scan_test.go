package main

import (
	"testing"

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
