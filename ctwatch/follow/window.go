package follow

import (
	"sync"
	"time"
)

// The numbers of a window. Each request takes the memory of a reply, about one MiB.
const (
	leastRequests = 4
	firstRequests = 16
	mostRequests  = 64

	// A larger window must read faster by enough, and a smaller one may read slower by
	// little: a tenth of what the change could bring at best, or less.
	enoughFaster = 1.1
	littleSlower = 0.95
	// restRounds is how many rounds pass between two attempts to change a window that is
	// right, and failedRounds how many after a request failed. A round is at least leastRound
	// replies.
	restRounds   = 8
	failedRounds = 32
	leastRound   = 16
)

// A window is how many requests for entries a Reader has under way at once: as few as read
// as fast as possible. What the limit is does not matter: the distance to the log, its
// bandwidth, its pace or this machine. The window grows by half as long as that makes reading
// faster, and shrinks by a third as long as that does not make it slower, and halves when a
// request fails. It is kept from one Read to the next.
type window struct {
	most int // at least firstRequests

	mu      sync.Mutex
	size    int     // now
	settled int     // before the current attempt; equal to size if there is none
	speed   float64 // of reading in that window, in entries per second
	shrink  bool    // what is attempted next
	rest    int     // rounds before that
	cut     time.Time

	// A round lasts for twice as many replies as the window has, while there is enough to
	// request.
	full    bool
	begun   time.Time
	replies int
	entries uint64
}

// requests returns how many requests may be under way now.
func (w *window) requests() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.size
}

// fill sets whether there is enough to request, from now on. It is called before all else.
func (w *window) fill(full bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.size == 0 {
		w.size, w.settled = firstRequests, firstRequests
	}
	w.full = full
	w.start()
}

func (w *window) start() { w.begun, w.replies, w.entries = time.Now(), 0, 0 }

// failed halves the window because of a request that began at a time: once for all that were
// under way.
func (w *window) failed(begun time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if begun.Before(w.cut) {
		return
	}
	w.cut = time.Now()
	w.size = max(leastRequests, w.size/2)
	w.settled, w.shrink, w.rest = w.size, false, failedRounds
	w.start()
}

// read takes the number of entries of one good reply into account.
func (w *window) read(entries uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.replies++
	w.entries += entries
	took := time.Since(w.begun).Seconds()
	if !w.full || w.replies < max(2*w.size, leastRound) || took <= 0 {
		return
	}
	w.round(float64(w.entries) / took)
	w.start()
}

// round adapts the window to the speed in one round.
func (w *window) round(speed float64) {
	want := enoughFaster
	if w.shrink {
		want = littleSlower
	}
	switch {
	case w.size == w.settled && w.rest > 0:
		w.speed = speed
		w.rest--
		return
	case w.size != w.settled && speed < want*w.speed:
		w.size = w.settled
		w.shrink, w.rest = !w.shrink, restRounds
		return
	}
	w.settled, w.speed = w.size, speed
	if w.shrink {
		w.size = max(leastRequests, w.size*2/3)
	} else {
		w.size = min(w.most, w.size+w.size/2)
	}
	if w.size == w.settled { // it cannot go further
		w.shrink, w.rest = !w.shrink, restRounds
	}
}
