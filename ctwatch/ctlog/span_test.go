package ctlog_test

import (
	"testing"

	"ctwatch/ctwatch/ctlogtest"
)

// Requests to a log whose replies do not cross a boundary are soon aligned to it.
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
