package ctlog_test

import (
	"fmt"
	"testing"

	"ctwatch/ctwatch/ctlog"
	"ctwatch/ctwatch/ctlogtest"
)

// readAll reads a log in aligned spans, as many replies as each takes, and returns
// how many requests that were.
func readAll(t *testing.T, l *ctlogtest.Log, log ctlog.Log, size uint64) int {
	t.Helper()
	before := l.Requests(ctlogtest.Entries)
	for at := uint64(0); at < size; {
		span := log.Span()
		end := min(size, at+span-at%span)
		if got := uint64(len(leaves(t, log, at, end, size))); got != end-at {
			t.Fatalf("%d entries of [%d, %d)", got, at, end)
		}
		at = end
	}
	return l.Requests(ctlogtest.Entries) - before
}

// TestTrap04RepliesThatEndAtBoundaries: whatever a log gives at once, and whether
// or not its replies end at multiples of that, it is asked for no less before long,
// and for no more than once in a while.
func TestTrap04RepliesThatEndAtBoundaries(t *testing.T) {
	const atMost = 8_000 // entries
	// A reply of 1,024 of these entries would be larger than it is worth.
	const largest = 512
	for _, most := range []int{7, 32, 100, 256, 1000} {
		for _, align := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d/%v", most, align), func(t *testing.T) {
				t.Parallel()
				size := uint64(min(atMost, 300*most))
				l, log := start(t, ctlogtest.Options{MaxReply: most, Align: align}, int(size))
				readAll(t, l, log, size)
				learnt := log.Span()
				if want := uint64(min(most, largest)); learnt != want {
					t.Errorf("learnt %d, want %d", learnt, want)
				}
				n := readAll(t, l, log, size)
				best := (int(size) + min(most, largest) - 1) / min(most, largest)
				if align && most > largest {
					best += int(size) / most // spans are not aligned to so much
				}
				if n > best+best/8+3 {
					t.Errorf("%d requests for %d entries; %d would do", n, size, best)
				}
			})
		}
	}
}

// TestPassingShortRepliesTeachNothing: a reply in four is cut short for no reason.
func TestPassingShortRepliesTeachNothing(t *testing.T) {
	l, log := start(t, ctlogtest.Options{MaxReply: 256, Align: true}, 10_000)
	remove := l.SetFault(ctlogtest.ShortReplies(7).Every(4))
	readAll(t, l, log, 10_000) // more is tried here, once, in vain
	readAll(t, l, log, 10_000)
	if log.Span() != 256 {
		t.Errorf("learnt %d", log.Span())
	}
	remove()

	// For as long as nothing else comes, it is the limit; and then no longer.
	remove = l.SetFault(ctlogtest.ShortReplies(7))
	readAll(t, l, log, 1_000)
	if log.Span() != 7 {
		t.Errorf("learnt %d from nothing but replies of 7", log.Span())
	}
	remove()
	readAll(t, l, log, 10_000)
	if log.Span() != 256 {
		t.Errorf("still asks for %d", log.Span())
	}
}
