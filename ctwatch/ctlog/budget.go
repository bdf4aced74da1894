package ctlog

import (
	"context"
	"time"
)

// A Budget bounds how many replies with entries are in memory at once, over all
// logs that share it: while many logs are behind, they take turns. Each log may
// hold one reply beyond it, so that none has to wait for those that are slow.
type Budget struct {
	shared chan struct{}
	free   chan storage
}

// NewBudget returns a budget of n replies.
func NewBudget(n int) *Budget {
	return &Budget{make(chan struct{}, n), make(chan storage, n)}
}

// freeWithout is how many free buffers a log keeps that has no Budget.
const freeWithout = 16

// A share is one log's part in a Budget. Where shared is nil there are no bounds.
type share struct {
	shared chan struct{}
	own    chan struct{} // the one reply beyond
	free   chan storage
}

func (b *Budget) share() *share {
	if b == nil {
		return &share{free: make(chan storage, freeWithout)}
	}
	return &share{b.shared, make(chan struct{}, 1), b.free}
}

// take waits until buf may be filled, and gives it storage. It notes how long it
// waited: that is no fault of the log.
func (s *share) take(ctx context.Context, buf *buffer) error {
	if buf.free == nil || buf.slot != nil {
		return nil
	}
	if s.shared == nil {
		buf.adopt()
		return nil
	}
	begun := time.Now()
	select {
	case s.own <- struct{}{}: // while it is free the shared ones are left to others
		buf.slot = s.own
	default:
		select {
		case s.own <- struct{}{}:
			buf.slot = s.own
		case s.shared <- struct{}{}:
			buf.slot = s.shared
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	buf.waited += time.Since(begun)
	buf.adopt()
	return nil
}
