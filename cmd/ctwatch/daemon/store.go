package daemon

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/ctwatch/follow"
	"ctwatch/store"
)

// openStore opens the store, and applies the inventory.
func (d *Daemon) openStore(ctx context.Context) (err error) {
	d.db, err = store.Open(ctx, setup.Database(d.cfg), store.Options{
		Logger: d.logger, Now: d.now, Judge: d.policy.Judge, Learner: d.policy.CAs, OnEvents: d.wake, Progress: d.working,
		Pinned: func(name string) (app, host string, ok bool) { return d.inventory.Load().Pinned(name) },
	})
	if err != nil {
		return err
	}
	stored, err := d.db.Logs.List(ctx)
	if err == nil {
		d.logs = follow.NewLogSet(d.cfg.Logs.Start, stored)
		err = d.apply(ctx, d.inventory.Load())
	}
	if err != nil {
		_ = d.db.Close() // err says more
	}
	return err
}

// working is called while the store migrates an older database or judges certificates by
// changed rules, which may take minutes. Only a start has a time limit.
func (d *Daemon) working(p store.Progress) {
	show := d.o.Reloading
	if !d.reloading.Load() {
		d.ready.extend()
		show = d.o.Starting
	}
	if show != nil {
		show(p)
	}
}

func (d *Daemon) closeStore() error { return d.db.Close() }

// apply applies an inventory to the store: the keys that it trusts, the verdicts of its
// policy, and its endpoints.
func (d *Daemon) apply(ctx context.Context, inv *setup.Inventory) error {
	if err := inv.Apply(ctx, d.db, d.policy); err != nil {
		return err
	}
	return d.db.Endpoints.KeepOnly(ctx, inv.Endpoints)
}

// wake has new events sent, and the CAA records looked up that new certificates need.
func (d *Daemon) wake() {
	select {
	case d.newEvents <- struct{}{}:
	default:
	}
	if s := d.senders.Load(); s != nil {
		s.Wake()
	}
}

// Bounds of keeping the store.
const (
	keepEvents  = 90 * 24 * time.Hour    // how long events stay in the outbox after all senders have them
	pruneEvery  = 24 * time.Hour         // how often older ones are deleted
	digestEvery = 5 * time.Second        // how often a digest of alarms may become due
	othersEvery = 500 * time.Millisecond // how often other processes may have written
	tidyEvery   = 10 * time.Second       // how often it is stored that logs signed the same tree again, and the write-ahead log looked at
)

// keepStore deletes old events, adds digests, stores tree heads that can wait, and keeps
// the write-ahead log short.
func (d *Daemon) keepStore(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return every(ctx, pruneEvery, func(now time.Time) error {
			if _, err := d.db.Outbox.Prune(ctx, now.Add(-keepEvents)); err != nil {
				return fmt.Errorf("deleting old events: %w", err)
			}
			return nil
		})
	})
	g.Go(func() error {
		return every(ctx, digestEvery, func(time.Time) error { return d.db.Outbox.AddDigests(ctx) })
	})
	g.Go(func() error {
		return every(ctx, tidyEvery, func(time.Time) error {
			if err := d.db.Logs.SaveHeads(ctx); err != nil {
				return err
			}
			return d.db.ShortenLog(ctx)
		})
	})
	return g.Wait()
}

// wakeForOthers wakes senders whenever another process, such as "ctwatch certs reject",
// has changed what is trusted: there may be new events.
func (d *Daemon) wakeForOthers(ctx context.Context) error {
	last := int64(-1)
	return every(ctx, othersEvery, func(time.Time) error {
		// A store that fails ends the daemon elsewhere.
		if now, err := d.db.Plans.Revision(ctx); err == nil && now != last {
			last = now
			d.senders.Load().Wake()
		}
		return nil
	})
}

// every calls f again and again until ctx ends or f fails.
func every(ctx context.Context, interval time.Duration, f func(time.Time) error) error {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-t.C:
			if err := f(now); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}
