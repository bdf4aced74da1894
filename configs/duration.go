package configs

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// Start says where the reading of a log begins, when ctwatch first starts. The
// zero Start is "now": at the log's size as it is then.
type Start struct {
	Beginning bool          // at the first entry
	Back      time.Duration // this long ago; 0 unless positive, never with Beginning
}

// String writes the Start as in the configuration.
func (s Start) String() string {
	switch {
	case s.Beginning:
		return "beginning"
	case s.Back > 0:
		return formatDuration(s.Back)
	}
	return "now"
}

// parseStart reads "now", "beginning" or a duration to look back.
func parseStart(text string) (Start, error) {
	switch text {
	case "now":
		return Start{}, nil
	case "beginning":
		return Start{Beginning: true}, nil
	}
	d, err := parseDuration(text)
	if err != nil || d <= 0 {
		return Start{}, errors.New(`want "now", "beginning", or how far to look back, such as 720h or 30d`)
	}
	return Start{Back: d}, nil
}

const day = 24 * time.Hour

var errDuration = errors.New("want a duration with its unit, such as 30s, 10m, 336h or 14d")

// parseDuration reads what time.ParseDuration does, with days in front: "14d",
// "1d12h". A day is 24 hours.
func parseDuration(text string) (time.Duration, error) {
	days, rest, ok := strings.Cut(text, "d")
	if !ok {
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, errDuration
		}
		return d, nil
	}
	n, err := strconv.ParseUint(days, 10, 32)
	if err != nil || n > uint64(math.MaxInt64/day) {
		return 0, errDuration
	}
	d := time.Duration(n) * day
	if rest == "" {
		return d, nil
	}
	r, err := time.ParseDuration(rest)
	if err != nil || r < 0 || rest[0] == '+' || rest[0] == '-' || d > math.MaxInt64-r {
		return 0, errDuration
	}
	return d + r, nil
}

// formatDuration writes a duration without the zero minutes and seconds that
// time.Duration.String ends in.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
