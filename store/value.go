package store

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// The times that JSON can express (RFC 3339): a log may sign, and a certificate contain,
// any other.
var (
	minTime = time.Time{}.UnixMilli()
	maxTime = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).UnixMilli()
)

// ms returns a time as the database has it: the nearest that JSON can express.
func ms(t time.Time) int64 { return min(max(t.UnixMilli(), minTime), maxTime) }

func fromMS(n int64) time.Time { return time.UnixMilli(n).UTC() }

// stored returns a time as the database returns it.
func stored(t time.Time) time.Time { return fromMS(ms(t)) }

// nullMS is ms with NULL for the zero time.
func nullMS(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return ms(t)
}

// nullTime is ms with NULL for nil.
func nullTime(t *time.Time) any {
	if t == nil {
		return nil
	}
	return ms(*t)
}

func fromNullMS(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return fromMS(n.Int64)
}

// timePtr is fromNullMS with nil for NULL.
func timePtr(n sql.NullInt64) *time.Time {
	if !n.Valid {
		return nil
	}
	t := fromMS(n.Int64)
	return &t
}

// count converts a number of entries for the database.
func count(n uint64) (int64, error) {
	if n > math.MaxInt64 {
		return 0, fmt.Errorf("%d entries are too many for a log", n)
	}
	return int64(n), nil
}

func nullPin(p pins.Pin) any {
	if p.IsZero() {
		return nil
	}
	return p[:]
}

func nullHash(h *ctwatch.Hash) any {
	if h == nil {
		return nil
	}
	return h[:]
}

// hashPtr converts a column that may be NULL.
func hashPtr(b []byte) (*ctwatch.Hash, error) {
	if b == nil {
		return nil, nil
	}
	h := new(ctwatch.Hash)
	return h, h.Scan(b)
}

// blob is b, and never NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// nullText is s with NULL for "".
func nullText(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// list writes text as a JSON array.
func list(s []string) string {
	if len(s) == 0 {
		return "[]"
	}
	b, _ := json.Marshal(s) // strings always marshal
	return string(b)
}

// patternList, pinList and numberList are list, for what a statement looks for: pins in hex.
func patternList(ps []pins.Pattern) string {
	out := make([]string, len(ps))
	for i, p := range ps {
		out[i] = p.String()
	}
	return list(out)
}

func pinList(ps []pins.Pin) string {
	out := make([]string, len(ps))
	for i, p := range ps {
		out[i] = ctwatch.Hash(p).String()
	}
	return list(out)
}

func numberList(ns []int64) string {
	b, _ := json.Marshal(orEmpty(ns)) // numbers always marshal
	return string(b)
}

// A listOf reads what list writes.
type listOf struct{ to *[]string }

func (l listOf) Scan(src any) error {
	s, ok := src.(string)
	if !ok {
		return fmt.Errorf("a list is stored as %T", src)
	}
	if in, ok := strings.CutPrefix(s, `["`); ok && !strings.Contains(s, `\`) { // as nearly all are, and fast
		*l.to = strings.Split(strings.TrimSuffix(in, `"]`), `","`)
		return nil
	}
	*l.to = []string{}
	if s == "[]" {
		return nil
	}
	return json.Unmarshal([]byte(s), l.to)
}

// text replaces invalid UTF-8, so that text is the same in JSON and in the database.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func textList(in []string) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = text(s)
	}
	return out
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// joinPins returns a chain of pins as the database has it.
func joinPins(in []pins.Pin) []byte {
	out := make([]byte, 0, len(in)*pins.Size)
	for _, p := range in {
		out = append(out, p[:]...)
	}
	return out
}

func splitPins(b []byte) []pins.Pin {
	out := make([]pins.Pin, 0, len(b)/pins.Size)
	for ; len(b) >= pins.Size; b = b[pins.Size:] {
		out = append(out, pins.Pin(b))
	}
	return out
}
