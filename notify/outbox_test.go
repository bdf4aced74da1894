package notify

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"ctwatch/ctwatch"
)

// A memoryOutbox is an Outbox as the store's is: one list of events, and a cursor
// for each sender that outlives dispatchers.
type memoryOutbox struct {
	mu      sync.Mutex
	events  []ctwatch.Queued
	cursors map[string]*memoryCursor
	broken  error // what every method answers, if set
	reads   chan string
}

type memoryCursor struct {
	seq     int64
	failing string
	dead    map[int64]string
	moves   int
}

func newMemoryOutbox(events ...ctwatch.Event) *memoryOutbox {
	o := &memoryOutbox{cursors: make(map[string]*memoryCursor)}
	o.add(events...)
	return o
}

func (o *memoryOutbox) add(events ...ctwatch.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range events {
		o.events = append(o.events, ctwatch.Queued{Seq: int64(len(o.events)) + 1, Event: e})
	}
}

// cursor returns a copy of a sender's cursor.
func (o *memoryOutbox) cursor(sender string) memoryCursor {
	o.mu.Lock()
	defer o.mu.Unlock()
	if c := o.cursors[sender]; c != nil {
		return *c
	}
	return memoryCursor{}
}

func (o *memoryOutbox) lock(ctx context.Context, sender string, f func(*memoryCursor) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.broken != nil {
		return o.broken
	}
	c := o.cursors[sender]
	if c == nil {
		return errors.New("not registered")
	}
	return f(c)
}

func (o *memoryOutbox) Register(_ context.Context, sender string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.cursors[sender] == nil {
		o.cursors[sender] = &memoryCursor{dead: make(map[int64]string)}
	}
	return o.broken
}

func (o *memoryOutbox) Pending(ctx context.Context, sender string, limit int) (out []ctwatch.Queued, err error) {
	err = o.lock(ctx, sender, func(c *memoryCursor) error {
		rest := o.events[c.seq:]
		out = append(out, rest[:min(limit, len(rest))]...)
		return nil
	})
	if o.reads != nil && len(out) == 0 {
		o.reads <- sender
	}
	return out, err
}

func (o *memoryOutbox) SetDelivered(ctx context.Context, sender string, seq int64) error {
	return o.lock(ctx, sender, func(c *memoryCursor) error { return c.move(seq) })
}

func (o *memoryOutbox) SkipTo(ctx context.Context, sender string, seq int64) error {
	return o.SetDelivered(ctx, sender, seq)
}

func (o *memoryOutbox) SetDeadLetter(ctx context.Context, sender string, seq int64, reason string) error {
	return o.lock(ctx, sender, func(c *memoryCursor) error {
		c.dead[seq] = reason
		return c.move(seq)
	})
}

func (o *memoryOutbox) SetFailing(ctx context.Context, sender, reason string) error {
	return o.lock(ctx, sender, func(c *memoryCursor) error { c.failing = reason; return nil })
}

func (c *memoryCursor) move(seq int64) error {
	if seq <= c.seq {
		return fmt.Errorf("the cursor is at %d and cannot go back to %d", c.seq, seq)
	}
	c.seq, c.failing = seq, ""
	c.moves++
	return nil
}
