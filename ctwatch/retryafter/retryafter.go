// Package retryafter parses the header Retry-After (RFC 9110 §10.2.3) as logs, Slack and webhooks
// send it: how long to wait before the next request.
package retryafter

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Max is the longest that Of returns: more is an error of the server. Callers may set lower
// bounds.
const Max = 24 * time.Hour

// Of returns how long to wait by the headers of a reply, at most Max. It returns 0 if there is no
// Retry-After, or if it has passed or makes no sense. A date is compared with the reply's Date, so
// that a wrong clock does not matter, or else with now.
func Of(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if isNumber(v) {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			return 0
		}
		return time.Duration(min(n, uint64(Max/time.Second))) * time.Second
	}
	at, ok := date(v)
	if !ok {
		return 0
	}
	if sent, ok := date(strings.TrimSpace(h.Get("Date"))); ok {
		now = sent
	}
	return max(0, min(at.Sub(now), Max))
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// layouts are those of RFC 9110 §5.6.7, and others that servers send: with a zone name other than
// GMT, as in Go's time.RFC1123 for a time in UTC, or with a numeric zone.
var layouts = [...]string{
	"Mon, 2 Jan 2006 15:04:05 MST",
	"Mon, 2 Jan 2006 15:04:05 -0700",
	"Mon, 2 Jan 2006 15:04:05 -07:00",
	"Monday, 02-Jan-06 15:04:05 MST", // RFC 850
	time.ANSIC,
	time.RFC3339,
}

// date parses a date in one of the layouts.
func date(s string) (time.Time, bool) {
	if len(s) > 100 {
		return time.Time{}, false
	}
	for _, layout := range layouts {
		at, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		if zone, offset := at.Zone(); strings.HasSuffix(layout, "MST") && (offset != 0 || !isUTC(zone)) {
			continue // time.Parse takes any three letters for a zone, and most for UTC
		}
		return at, true
	}
	return time.Time{}, false
}

func isUTC(zone string) bool { return zone == "GMT" || zone == "UTC" || zone == "UT" || zone == "Z" }
