package store

import (
	"context"
	"slices"
	"sync"
)

// A turns hands out the one connection that writes: in the order of requests, but urgent
// ones first. (database/sql chooses at random, so that a sender could wait for many
// seconds while much is recorded.)
type turns struct {
	mu      sync.Mutex
	busy    bool
	row     int             // urgent ones in a row that went before others
	urgent  []chan struct{} // closed when it is their turn
	patient []chan struct{}
}

// maxUrgent is how many urgent requests go before one that waits.
const maxUrgent = 16

// take waits for a turn until ctx ends.
func (t *turns) take(ctx context.Context, urgent bool) error {
	t.mu.Lock()
	if !t.busy {
		t.busy = true
		t.mu.Unlock()
		return nil
	}
	mine := make(chan struct{})
	queue := &t.patient
	if urgent {
		queue = &t.urgent
	}
	*queue = append(*queue, mine)
	t.mu.Unlock()
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	i := slices.Index(*queue, mine)
	if i >= 0 {
		*queue = slices.Delete(*queue, i, i+1)
	}
	t.mu.Unlock()
	if i < 0 { // it got its turn just now
		t.give()
	}
	return ctx.Err()
}

// give passes the turn on.
func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	queue := &t.urgent
	if len(t.urgent) == 0 || len(t.patient) > 0 && t.row >= maxUrgent {
		queue, t.row = &t.patient, 0
	} else {
		t.row++
	}
	if len(*queue) == 0 {
		t.busy = false
		return
	}
	close((*queue)[0])
	*queue = slices.Delete(*queue, 0, 1)
}
