package follow

import (
	"log/slog"
	"strings"
	"testing"

	"ctwatch/ctwatch/ctlog"
)

// What limits catching up is logged with the setting that raises it, if much is left.
func TestReportLimit(t *testing.T) {
	for _, c := range []struct {
		limit ctlog.PaceLimit
		left  uint64
		want  string
	}{
		{ctlog.NotLimited, 1_000_000, ""},
		{ctlog.LimitedByMax, stride - 1, ""},
		{ctlog.LimitedByMax, 1_000_000, `msg="catching up is limited by logs.max_rate; if the log's operator allows more requests, raise it" log=Lab entries_left=1000000 entries_per_second=50000 time_left=20s max_rate=200`},
		{ctlog.LimitedByLog, 100_000, `msg="catching up is limited by the log, which refused or delayed requests" log=Lab entries_left=100000 entries_per_second=50000 time_left=2s requests_per_second=10`},
	} {
		var out strings.Builder
		f := &Follower{name: "Lab", Options: Options{
			Reader: &Reader{Pace: ctlog.NewPace(200).Log()}, Logger: slog.New(slog.NewTextHandler(&out, nil)),
		}}
		if got := f.reportLimit(c.limit, c.left, 50_000); got != (c.want != "") || !strings.Contains(out.String(), c.want) || c.want == "" && out.Len() > 0 {
			t.Errorf("limit %d, %d left: %v, %q; want %q", c.limit, c.left, got, out.String(), c.want)
		}
	}
}
