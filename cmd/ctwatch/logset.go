package main

import (
	"context"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
	"ctwatch/ctwatch/follow"
	"ctwatch/ctwatch/loglist"
	"ctwatch/ctwatch/scan"
)

// logs returns the sets of logs to follow, as the log list changes with time, and
// the function that goes on producing them.
func (d *daemon) logs(ctx context.Context) (<-chan []ctwatch.Log, func(context.Context) error, error) {
	extra, err := extraLogs(d.cfg)
	if err != nil {
		return nil, nil, err
	}
	sets := make(chan []ctwatch.Log)
	first := true // what is sent is what there was when the daemon started
	send := func(ctx context.Context, logs []ctwatch.Log) {
		followed := make(map[ctwatch.LogID]bool)
		for _, l := range logs {
			followed[l.ID] = true
			if first {
				d.atStart.Store(l.ID, true)
			}
		}
		d.followed.Store(&followed)
		d.pulse.follow(logs, d.cfg.Logs.Poll)
		d.outages.Of(len(logs))
		select {
		case sets <- logs:
		case <-ctx.Done():
		}
	}
	if d.cfg.Logs.List == "" {
		return sets, func(ctx context.Context) error { send(ctx, extra); return nil }, nil
	}
	source, err := logListSource(d.cfg, d.client, d.logger, d.listAlarms(ctx))
	if err != nil {
		return nil, nil, err
	}
	choose := func(l *loglist.List) []ctwatch.Log {
		chosen, unmatched := loglist.Choose(l.Logs, loglist.Choice{States: d.cfg.Logs.States, Only: d.cfg.Logs.Only, Now: time.Now()})
		for _, word := range unmatched {
			d.logger.Warn("logs.only names a log that is not in the list", "name", word)
		}
		all := merge(extra, chosen)
		if len(all) == 0 {
			d.logger.Error("no log is read, so that no certificate is found: no log of the list is chosen; see logs.only and logs.states")
		}
		return all
	}
	return sets, func(ctx context.Context) error {
		if len(extra) > 0 {
			send(ctx, extra) // they need not wait for the list
		}
		list, _, err := source.Load(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			d.logger.Warn("there is no log list yet; will go on trying", "error", err)
		} else {
			send(ctx, choose(list))
			first = false
		}
		source.Run(ctx, func(l *loglist.List) {
			send(ctx, choose(l))
			first = false
		})
		return nil
	}, nil
}

// merge adds the logs of the list to the configured ones, which win.
func merge(extra, listed []ctwatch.Log) []ctwatch.Log {
	out := append([]ctwatch.Log(nil), extra...)
	seen := make(map[ctwatch.LogID]bool)
	for _, l := range extra {
		seen[l.ID] = true
	}
	for _, l := range listed {
		if !seen[l.ID] {
			out = append(out, l)
		}
	}
	return out
}

// repliesAtOnce is how many replies with entries are in memory at once, besides one
// for each log. A reply takes about one MiB, and more are of no use to so few cores.
const repliesAtOnce = 8

// maxFromStart is the most entries of a log that is new to a running system which
// are read from its beginning: some hours of work. Of a longer one, what came
// before is a gap, and is told.
const maxFromStart = 1 << 24

const gapReason = "the log is new here and too long to read from its beginning"

// follower returns how to follow a log.
func (d *daemon) follower(ctx context.Context) (func(ctwatch.Log) (*follow.Follower, error), error) {
	// "now" means the first start of the system. A log that appears later is read
	// from its beginning: whoever watches counts on nothing being left out.
	known := make(map[ctwatch.LogID]bool)
	fresh := true
	statuses, err := d.db.Logs(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range statuses {
		known[s.ID] = true
		fresh = fresh && s.LastVerifiedAt == nil
	}
	budget := ctlog.NewBudget(repliesAtOnce)
	issuers := &ctlog.Issuers{Stored: d.db.IssuerCertificate}
	return func(l ctwatch.Log) (*follow.Follower, error) {
		pace := d.paces.log(l)
		counters := d.metrics.Log(l)
		client := *d.client
		client.Transport = counters.Transport(client.Transport)
		log, err := ctlog.Open(l, ctlog.Options{Client: &client, Logger: d.logger, UserAgent: userAgent(d.cfg), Pace: pace, Budget: budget, Issuers: issuers})
		if err != nil {
			return nil, err
		}
		start := follow.Start{Now: !d.cfg.Logs.Start.Beginning && d.cfg.Logs.Start.Back == 0, Back: d.cfg.Logs.Start.Back}
		_, atStart := d.atStart.Load(l.ID)
		if !known[l.ID] && !(fresh && atStart) && !d.cfg.Logs.Start.Beginning {
			start = follow.Start{Max: maxFromStart, Gap: gapReason}
		}
		return follow.New(follow.Options{
			Reader: &follow.Reader{
				Log: log, Scanner: &scan.Scanner{Log: l, List: d.list}, Logger: d.logger, Pace: pace,
				Issuers: &teacher{verdicts: d.verdicts, db: d.db, logger: d.logger},
				Hooks: follow.Hooks{
					Batch: counters.Batch, Failed: counters.Failed, Refused: counters.Refused,
					Took: func(s follow.Stage, took time.Duration) { d.metrics.Took(string(s), took) },
				},
			},
			Recorder: d.db, Logger: d.logger, Outages: d.outages, Now: time.Now,
			Poll: d.cfg.Logs.Poll, TailWait: d.cfg.Logs.TailWait, Start: start,
			Clock: d.clock,
			OnHead: func(ctwatch.Head) {
				d.pulse.headRead()
				d.ready.headVerified(l.Name)
			},
		}), nil
	}, nil
}

// leave notes that a log is no longer followed.
func (d *daemon) leave(ctx context.Context, l ctwatch.Log) error {
	return d.db.Leave(ctx, l.ID, "it left the log list, or its state is not one of logs.states")
}
