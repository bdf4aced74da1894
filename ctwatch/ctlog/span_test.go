package ctlog_test

import (
	"testing"

	"ctwatch/ctwatch/ctlogtest"
)

// TestTrap04AlignedRequests: a log whose replies do not cross a boundary is soon
// asked in rows that do not cross one either.
func TestTrap04AlignedRequests(t *testing.T) {
	const size = 1500
	l, log := start(t, ctlogtest.Options{MaxReply: 100, Align: true}, size)
	for at := uint64(0); at < size; {
		span := log.Span()
		end := min(size, at+span-at%span)
		if got := uint64(len(leaves(t, log, at, end, size))); got != end-at {
			t.Fatalf("%d entries of [%d, %d)", got, at, end)
		}
		at = end
	}
	if log.Span() != 100 {
		t.Errorf("learnt %d", log.Span())
	}
	if n := l.Requests(ctlogtest.Entries); n > 18 {
		t.Errorf("%d requests for 1,500 entries by hundreds", n)
	}
}
