package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"ctwatch/configs"
	"ctwatch/ctwatch"
	"ctwatch/notify"
)

// A pulse knows when a log was last heard of.
type pulse struct {
	now   func() time.Time
	start time.Time
	last  atomic.Int64  // Unix milliseconds; 0: never
	limit atomic.Int64  // nanoseconds that it may be silent
	given time.Duration // how long it may be silent, whatever the logs are; 0: by them
}

// headRead is called for each tree head that is accepted.
func (p *pulse) headRead() { p.last.Store(p.now().UnixMilli()) }

// Bounds of how long nothing may be read. Logs are asked for their tree head every
// poll, and always have one.
const (
	minSilence = 2 * time.Minute
	maxSilence = time.Hour
)

// follow sets how long nothing may be read: the shortest merge delay of the logs that
// are followed, by which a healthy one has news, within bounds.
func (p *pulse) follow(logs []ctwatch.Log, poll time.Duration) {
	if p.given > 0 {
		p.limit.Store(int64(p.given))
		return
	}
	limit := maxSilence
	for _, l := range logs {
		if l.MMD > 0 {
			limit = min(limit, l.MMD)
		}
	}
	p.limit.Store(int64(max(limit, minSilence, 4*poll)))
}

// alive returns an error if nothing was read for too long.
func (p *pulse) alive(context.Context) error {
	since, limit := p.start, time.Duration(p.limit.Load())
	if ms := p.last.Load(); ms != 0 {
		since = time.UnixMilli(ms)
	}
	if limit == 0 {
		limit = maxSilence // no log list yet
	}
	silent := p.now().Sub(since)
	switch {
	case silent <= limit:
		return nil
	case p.last.Load() == 0 && p.limit.Load() == 0:
		return errors.New("there are no logs to follow, since no log list could be had")
	}
	return fmt.Errorf("no log has given a tree head that verifies for %s, since %s", silent.Round(time.Second), since.UTC().Format(time.RFC3339))
}

// beat tells that the daemon does its work, by events and by calling a URL, and raises
// an alarm when it does not.
func (d *daemon) beat(ctx context.Context) error {
	url, err := d.cfg.Heartbeat.URL.Reveal()
	if err != nil {
		return err
	}
	h, err := notify.NewHeartbeat(notify.HeartbeatOptions{
		Alive: d.pulse.alive, Changed: d.tellPulse, Beat: d.tellBeat,
		URL: url, Interval: d.cfg.Heartbeat.Interval, OutwardOptions: outward(d.cfg.Heartbeat.AllowPrivate), Logger: d.logger,
	})
	if err != nil {
		wrong := configs.Mistakes{Config: d.cfg}
		wrong.At(err, "heartbeat")
		return wrong.Err()
	}
	return h.Run(ctx)
}

func (d *daemon) tellBeat(ctx context.Context) error {
	return d.db.Announce(ctx, ctwatch.HeartbeatEvent(time.Now()))
}

// tellPulse records that the daemon does its work no more, or again.
func (d *daemon) tellPulse(ctx context.Context, reason error, since time.Time) error {
	if reason != nil {
		return d.db.Announce(ctx, ctwatch.StalledEvent(reason.Error(), time.Now()))
	}
	return d.db.Announce(ctx, ctwatch.ResumedEvent(since, time.Now()))
}
