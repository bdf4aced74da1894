// Package retryafter reads how long a server asks to be left alone: the header Retry-After
// (RFC 9110 §10.2.3), as logs, Slack and webhooks send it.
package retryafter

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Max is the longest that Of returns: more is a mistake of the server's. Callers bound it
// further by what they can do without.
const Max = 24 * time.Hour

// Of returns how long the server of a reply asks to be left alone: between 0, if it does
// not say or what it says has passed or makes no sense, and Max. A date is compared with the
// reply's own, so that it does not matter whose clock is wrong; with now where the reply has
// none.
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

// layouts are those of RFC 9110 §5.6.7, and what servers send in their place: the zone as a
// name other than GMT, as Go's time.RFC1123 writes it of a time in UTC, or as a number.
var layouts = [...]string{
	"Mon, 2 Jan 2006 15:04:05 MST",
	"Mon, 2 Jan 2006 15:04:05 -0700",
	"Mon, 2 Jan 2006 15:04:05 -07:00",
	"Monday, 02-Jan-06 15:04:05 MST", // RFC 850
	time.ANSIC,
	time.RFC3339,
}

// date reads a date in one of the layouts.
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
