package notifytest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"ctwatch/ctwatch"
)

// A Outbox is an Outbox as the store's is: one list of events, and a cursor
// for each sender that outlives dispatchers.
type Outbox struct {
	mu      sync.Mutex
	events  []ctwatch.Queued
	cursors map[string]*Cursor
	broken  error // what every method answers, if set
	Reads   chan string
}

type Cursor struct {
	Seq     int64
	Failing string
	Dead    map[int64]string
	Moves   int
}

func NewOutbox(events ...ctwatch.Event) *Outbox {
	o := &Outbox{cursors: make(map[string]*Cursor)}
	o.Add(events...)
	return o
}

func (o *Outbox) Add(events ...ctwatch.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range events {
		o.events = append(o.events, ctwatch.Queued{Seq: int64(len(o.events)) + 1, Event: e})
	}
}

// Cursor returns a copy of a sender's cursor.
func (o *Outbox) Cursor(sender string) Cursor {
	o.mu.Lock()
	defer o.mu.Unlock()
	if c := o.cursors[sender]; c != nil {
		return *c
	}
	return Cursor{}
}

func (o *Outbox) lock(ctx context.Context, sender string, f func(*Cursor) error) error {
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

func (o *Outbox) Register(_ context.Context, sender string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.cursors[sender] == nil {
		o.cursors[sender] = &Cursor{Dead: make(map[int64]string)}
	}
	return o.broken
}

func (o *Outbox) Pending(ctx context.Context, sender string, limit int) (out []ctwatch.Queued, err error) {
	err = o.lock(ctx, sender, func(c *Cursor) error {
		rest := o.events[c.Seq:]
		out = append(out, rest[:min(limit, len(rest))]...)
		return nil
	})
	if o.Reads != nil && len(out) == 0 {
		o.Reads <- sender
	}
	return out, err
}

func (o *Outbox) SetDelivered(ctx context.Context, sender string, seq int64) error {
	return o.lock(ctx, sender, func(c *Cursor) error { return c.move(seq) })
}

func (o *Outbox) SkipTo(ctx context.Context, sender string, seq int64) error {
	return o.SetDelivered(ctx, sender, seq)
}

func (o *Outbox) SetDeadLetter(ctx context.Context, sender string, seq int64, reason string) error {
	return o.lock(ctx, sender, func(c *Cursor) error {
		c.Dead[seq] = reason
		return c.move(seq)
	})
}

func (o *Outbox) SetFailing(ctx context.Context, sender, reason string) error {
	return o.lock(ctx, sender, func(c *Cursor) error { c.Failing = reason; return nil })
}

func (c *Cursor) move(seq int64) error {
	if seq <= c.Seq {
		return fmt.Errorf("the cursor is at %d and cannot go back to %d", c.Seq, seq)
	}
	c.Seq, c.Failing = seq, ""
	c.Moves++
	return nil
}

// Break makes every method return err from now on.
func (o *Outbox) Break(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.broken = err
}
