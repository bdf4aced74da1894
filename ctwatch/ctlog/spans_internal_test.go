package ctlog

import (
	"fmt"
	"testing"
)

// read asks a log that gives at most so many entries at once for a row of spans,
// and returns how many requests that took. Every nth reply is cut to 7.
func (s *spanLearner) read(entries, most uint64, align bool, every int, entrySize int64) (requests int) {
	for at := uint64(0); at < entries; {
		span := s.entries()
		end := min(entries, at+span-at%span)
		for at < end {
			got := min(end-at, most)
			if align {
				got = min(got, most-at%most)
			}
			if requests++; every > 0 && requests%every == 0 {
				got = min(got, 7)
			}
			s.learn(at, end-at, got, int64(got)*entrySize)
			at += got
		}
	}
	return requests
}

// Whatever a log gives at once, and whether or not its replies end at multiples of that,
// the span soon reaches it, and larger spans are rarely tried.
func TestTrap04LearnsSpan(t *testing.T) {
	const size = 1 << 18
	for _, entrySize := range []int64{1000, 5000} {
		largest := uint64(maxSpan) // that is worth its memory
		if entrySize*512 > maxSpanBytes {
			largest = 256
		}
		for _, most := range []uint64{1, 7, 32, 64, 100, 256, 300, 500, 512, 1000, 1024, 4096} {
			for _, align := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d/%v/%d", most, align, entrySize), func(t *testing.T) {
					s := newSpanLearner()
					s.read(size, most, align, 0, entrySize)
					n := s.read(size, most, align, 0, entrySize)
					give := min(most, largest)
					best := size / int(give)
					if most > largest && align || most > 512 {
						best += size / int(most) // spans need not be aligned to so much
					}
					if n > best+best/20+2 {
						t.Errorf("%d requests, want %d; the last span is %d", n, best, s.entries())
					}
				})
			}
		}
	}
}

// Replies that are occasionally short do not change the span, nor does a limit that has
// ended.
func TestOccasionalShortReplies(t *testing.T) {
	for _, every := range []int{2, 3, 4, 10, 100} {
		s := newSpanLearner()
		s.read(1<<18, 256, true, every, 2500)
		if s.entries() < 256 {
			t.Errorf("one in %d: learnt %d", every, s.entries())
		}
	}
	s := newSpanLearner()
	s.read(10_000, 7, false, 0, 2500)
	if s.entries() > 8 {
		t.Errorf("learnt %d of replies of 7", s.entries())
	}
	s.read(1<<18, 256, true, 0, 2500)
	if s.entries() < 256 {
		t.Errorf("still asks for %d", s.entries())
	}
}
