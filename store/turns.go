package store

import (
	"context"
	"slices"
	"sync"
)

// Turns hand the one connection that writes to those who wait for it: in the order in
// which they came, but those first whose write is a row or two and holds up an alarm.
// (database/sql lets one of them go at random, so that a sender could wait for second
// after second while much is recorded.)
type turns struct {
	mu      sync.Mutex
	busy    bool
	row     int             // of urgent ones that went before others
	urgent  []chan struct{} // closed when it is their turn
	patient []chan struct{}
}

// maxUrgent is how many urgent ones go before one that waits.
const maxUrgent = 16

// take waits for its turn until ctx ends.
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
	if i < 0 { // it had its turn just now
		t.give()
	}
	return ctx.Err()
}

// give lets the next one go.
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
