package ctlog

import (
	"math/bits"
	"sync"
)

// The numbers of a spanLearner. Most logs give up to 256 or about 1,000 entries in a
// reply, some 32; replies of many do not cross a multiple of what they give.
const (
	firstSpan = 256
	maxSpan   = 1024
	// maxSpanBytes bounds the reply that a larger span is expected to bring: it
	// saves a request, but several are held in memory for each log.
	maxSpanBytes = 2 << 20
	// firstTry is after how many full replies more is tried; each try that fails
	// makes the next one eight times as rare, until it is lastTry.
	firstTry = 16
	lastTry  = firstTry * 8 * 8 * 8
	// patience is how many shorter replies of other lengths it takes to forget a
	// short one.
	patience = 4
)

// A spanLearner knows the span of a log, which is the most entries that one of its
// replies holds, as replies teach it.
//
// It falls to the length of a reply too short for a span when a second one, to another start, has
// the same length or ends at a multiple of it, and none in between was longer: that
// is the log's limit. Spans are aligned to it from then on, as logs need whose
// replies end at its multiples. Replies that are short for a passing reason do not
// agree, and change nothing.
//
// It rises to the next power of two after some replies as long as it; after ever more
// of them where the log turned out to give no more. At worst a few of a thousand
// requests are wasted so, and it does not swing.
type spanLearner struct {
	mu    sync.Mutex
	size  uint64
	short shortReply // that may show the limit; of length 0 when there is none
	full  int        // replies of a whole span since it last changed
	try   int        // how many of them there are before more is tried
	tried uint64     // the size from which more is being tried; 0 if none
}

// A shortReply is one with fewer entries than were asked for.
type shortReply struct {
	length, start uint64
	others        int // shorter ones since, of other lengths
}

func newSpanLearner() *spanLearner { return &spanLearner{size: firstSpan, try: firstTry} }

// entries returns the span.
func (s *spanLearner) entries() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

// learn takes in that a reply to a request for entries from start on held some of
// those asked for, and its size in bytes.
func (s *spanLearner) learn(start, asked, got uint64, size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if got > s.short.length {
		s.short.length = 0
	}
	switch {
	case got >= asked:
		if asked < s.size {
			return // too little was asked for to learn from it
		}
		if s.tried != 0 {
			s.tried, s.try = 0, firstTry
		}
		if s.full++; s.full < s.try || s.size >= maxSpan || size*2 > maxSpanBytes {
			return
		}
		s.tried, s.full = s.size, 0
		s.size = 1 << bits.Len64(s.size) // the next power of two
	case got >= s.size || start%s.size != 0 && start%got != 0:
		// Asked for before the span fell; or the rest of a span, which ends where
		// the log's replies do, and whose length says nothing.
	case s.agrees(start, got):
		s.size, s.full, s.short.length = s.short.length, 0, 0
		if s.tried != 0 { // the log gives no more than it did, or little more
			s.tried, s.try = 0, min(s.try*8, lastTry)
		}
	case s.short.length > got && s.short.others < patience:
		s.short.others++ // it may be short for a passing reason
	default:
		s.short = shortReply{length: got, start: start}
	}
}

// agrees reports whether a short reply has the same cause as the one before.
func (s *spanLearner) agrees(start, got uint64) bool {
	c := s.short
	return c.length != 0 && c.start != start && (got == c.length || (start+got)%c.length == 0)
}
