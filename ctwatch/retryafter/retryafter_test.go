package retryafter_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"ctwatch/ctwatch/retryafter"
)

var now = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// Seconds and dates are read in all forms that servers send, within bounds.
func TestOf(t *testing.T) {
	for name, tt := range map[string]struct {
		value, date string
		want        time.Duration
	}{
		"none":                    {"", "", 0},
		"seconds":                 {"120", "", 2 * time.Minute},
		"seconds with blanks":     {" 120 ", "", 2 * time.Minute},
		"no seconds":              {"0", "", 0},
		"negative seconds":        {"-5", "", 0},
		"a fraction":              {"1.5", "", 0},
		"a day at most":           {"86401", "", retryafter.Max},
		"much more than that":     {"9999999999999999999", "", retryafter.Max},
		"more than 64 bits":       {strings.Repeat("9", 200), "", 0},
		"GMT":                     {"Fri, 27 Nov 2026 12:02:00 GMT", "", 2 * time.Minute},
		"UTC, as Go writes it":    {now.Add(2 * time.Minute).Format(time.RFC1123), "", 2 * time.Minute},
		"a numeric zone":          {now.Add(2 * time.Minute).Format(time.RFC1123Z), "", 2 * time.Minute},
		"another numeric zone":    {"Fri, 27 Nov 2026 13:02:00 +0100", "", 2 * time.Minute},
		"a zone with a colon":     {"Fri, 27 Nov 2026 13:02:00 +01:00", "", 2 * time.Minute},
		"a day of one digit":      {"Tue, 1 Dec 2026 12:00:00 UTC", "Tue, 1 Dec 2026 11:59:00 UTC", time.Minute},
		"RFC 850":                 {"Friday, 27-Nov-26 12:02:00 GMT", "", 2 * time.Minute},
		"asctime":                 {"Fri Nov 27 12:02:00 2026", "", 2 * time.Minute},
		"RFC 3339":                {"2026-11-27T12:02:00Z", "", 2 * time.Minute},
		"a zone nobody can place": {"Fri, 27 Nov 2026 12:02:00 CST", "", 0},
		"the past":                {"Fri, 27 Nov 2026 11:00:00 GMT", "", 0},
		"far away":                {"Sat, 27 Nov 2027 12:00:00 UTC", "", retryafter.Max},
		"further than a duration": {"Mon, 27 Nov 9999 12:00:00 GMT", "Mon, 27 Nov 1000 12:00:00 GMT", retryafter.Max},
		"by the server's clock":   {"Mon, 27 Nov 2000 12:02:00 UTC", "Mon, 27 Nov 2000 12:00:00 UTC", 2 * time.Minute},
		"a date of its own":       {"Fri, 27 Nov 2026 12:02:00 GMT", "today", 2 * time.Minute},
		"nonsense":                {"soon", "", 0},
		"very much of it":         {strings.Repeat("Fri, ", 10000), "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{"Retry-After": {tt.value}}
			if tt.date != "" {
				h.Set("Date", tt.date)
			}
			if got := retryafter.Of(h, now); got != tt.want {
				t.Errorf("%q is %v, want %v", tt.value, got, tt.want)
			}
		})
	}
}

// FuzzOf: whatever a server sends, the pause is within bounds, and what net/http reads
// is read the same.
func FuzzOf(f *testing.F) {
	f.Add("120", "")
	f.Add(now.Format(time.RFC1123), now.Format(http.TimeFormat))
	f.Add(now.Format(time.RFC1123Z), "")
	f.Add("Mon, 27 Nov 9999 12:00:00 GMT", "Mon, 27 Nov 1000 12:00:00 GMT")
	f.Fuzz(func(t *testing.T, value, date string) {
		h := http.Header{"Retry-After": {value}, "Date": {date}}
		got := retryafter.Of(h, now)
		if got < 0 || got > retryafter.Max {
			t.Errorf("%q at %q is %v", value, date, got)
		}
		if at, err := http.ParseTime(value); err == nil && date == "" {
			if want := max(0, min(at.Sub(now), retryafter.Max)); got != want {
				t.Errorf("%q is %v, want %v", value, got, want)
			}
		}
	})
}
