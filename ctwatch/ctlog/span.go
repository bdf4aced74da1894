package ctlog

import (
	"math/bits"
	"sync"
)

// The settings of a spanLearner. Most logs give up to 256 or about 1,000 entries in a reply,
// some 32. Replies of many logs do not cross a multiple of that number.
const (
	firstSpan = 256
	maxSpan   = 1024
	// maxSpanBytes bounds the expected reply to a larger span, which saves a request but
	// takes memory.
	maxSpanBytes = 2 << 20
	// firstTry is after how many full replies a larger span is tried. Each failure makes the
	// next try eight times as rare, up to lastTry.
	firstTry = 16
	lastTry  = firstTry * 8 * 8 * 8
	// patience is how many shorter replies of other lengths end the effect of a short one.
	patience = 4
)

// A spanLearner learns the span of a log from its replies: the most entries in one reply.
//
// The span falls to the length of a short reply if a second one, from another start, has the
// same length or ends at a multiple of it, and no reply in between was longer: that is the
// log's limit. From then on spans are aligned to it, since the replies of some logs end at
// its multiples. Replies that are short for another reason do not agree, and change nothing.
//
// The span rises to the next power of two after several full replies, and after more and
// more of them if the log turns out to return no more. At worst this wastes a few of a
// thousand requests, and the span does not oscillate.
type spanLearner struct {
	mu    sync.Mutex
	size  uint64
	short shortReply // that may show the limit; of length 0 if there is none
	full  int        // replies of a whole span since it last changed
	try   int        // how many of them it takes to try more
	tried uint64     // the size before the current try; 0 if there is none
}

// A shortReply is one with fewer entries than were requested.
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

// learn updates the span by a reply to a request for entries from start on: how many were
// requested, how many it has, and its size in bytes.
func (s *spanLearner) learn(start, asked, got uint64, size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if got > s.short.length {
		s.short.length = 0
	}
	switch {
	case got >= asked:
		if asked < s.size {
			return // too few were requested to learn anything
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
		// Requested before the span fell; or the rest of a span, which ends where the log's
		// replies end, and whose length shows nothing.
	case s.agrees(start, got):
		s.size, s.full, s.short.length = s.short.length, 0, 0
		if s.tried != 0 { // the log returns no more than before, or little more
			s.tried, s.try = 0, min(s.try*8, lastTry)
		}
	case s.short.length > got && s.short.others < patience:
		s.short.others++ // may be short for another reason
	default:
		s.short = shortReply{length: got, start: start}
	}
}

// agrees reports whether a short reply has the same cause as the one before.
func (s *spanLearner) agrees(start, got uint64) bool {
	c := s.short
	return c.length != 0 && c.start != start && (got == c.length || (start+got)%c.length == 0)
}
