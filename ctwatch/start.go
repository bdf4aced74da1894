package ctwatch

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Start is where to begin reading the logs that exist at the first run. The zero Start is
// "now": at their sizes then.
type Start struct {
	Beginning bool          // at the first entry
	Back      time.Duration // this long ago; 0 unless positive, never with Beginning
}

// String returns the Start as ParseStart reads it: "now", "beginning" or a duration.
func (s Start) String() string {
	switch {
	case s.Beginning:
		return "beginning"
	case s.Back > 0:
		return FormatDuration(s.Back)
	}
	return "now"
}

// ParseStart parses "now", "beginning" or a duration to look back.
func ParseStart(text string) (Start, error) {
	switch text {
	case "now":
		return Start{}, nil
	case "beginning":
		return Start{Beginning: true}, nil
	}
	d, err := ParseDuration(text)
	if err != nil || d <= 0 {
		return Start{}, fmt.Errorf(`%.40q is not "now", "beginning" or a duration to look back`, text)
	}
	return Start{Back: d}, nil
}

// ParseDuration parses what time.ParseDuration does, with days in front: "14d", "1d12h". A
// day has 24 hours.
func ParseDuration(text string) (time.Duration, error) {
	const day = 24 * time.Hour
	fail := fmt.Errorf("%.40q is not a duration with its unit, such as 30s, 10m or 14d", text)
	days, rest, ok := strings.Cut(text, "d")
	if !ok {
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, fail
		}
		return d, nil
	}
	n, err := strconv.ParseUint(days, 10, 32)
	if err != nil || n > uint64(math.MaxInt64/day) {
		return 0, fail
	}
	d := time.Duration(n) * day
	if rest == "" {
		return d, nil
	}
	r, err := time.ParseDuration(rest)
	if err != nil || r < 0 || rest[0] == '+' || rest[0] == '-' || d > math.MaxInt64-r {
		return 0, fail
	}
	return d + r, nil
}

// FormatDuration returns a duration without the trailing zero minutes and seconds of
// time.Duration.String.
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
