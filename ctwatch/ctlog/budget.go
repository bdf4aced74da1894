package ctlog

import (
	"context"
	"time"
)

// A Budget bounds how many replies with entries are in memory at once, over all
// logs that share it: while many logs are behind, they take turns. Each log may
// hold one reply beyond it, so that none has to wait for those that are slow.
type Budget struct{ shared chan struct{} }

// NewBudget returns a budget of n replies.
func NewBudget(n int) *Budget { return &Budget{make(chan struct{}, n)} }

// A share is one log's part in a Budget; nil has no bounds.
type share struct {
	shared chan struct{}
	own    chan struct{} // the one reply beyond
}

func (b *Budget) share() *share {
	if b == nil {
		return nil
	}
	return &share{b.shared, make(chan struct{}, 1)}
}

// take waits until buf may be filled, unless it may be already, and notes how long
// that took: it is no fault of the log.
func (s *share) take(ctx context.Context, buf *buffer) error {
	if s == nil || buf.pool == nil || buf.slot != nil {
		return nil
	}
	begun := time.Now()
	defer func() { buf.waited += time.Since(begun) }()
	select {
	case s.own <- struct{}{}:
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
	return nil
}
