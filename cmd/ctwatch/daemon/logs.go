package daemon

import (
	"context"
	"sync/atomic"
	"time"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
	"ctwatch/ctwatch/follow"
	"ctwatch/ctwatch/loglist"
	"ctwatch/ctwatch/metrics"
	"ctwatch/ctwatch/scan"
)

// openLogList prepares reading the log list, which d.logs follows.
func (d *Daemon) openLogList(ctx context.Context) error {
	extra, err := setup.ExtraLogs(d.cfg)
	if err != nil {
		return err
	}
	replace := func(ctx context.Context, logs []ctwatch.Log, listed bool) {
		d.liveness.SetLogs(logs, d.cfg.Logs.Poll)
		d.outages.SetTotal(len(logs))
		d.logs.Replace(ctx, logs, listed)
	}
	if d.cfg.Logs.List == "" {
		d.listing = func(ctx context.Context) error { replace(ctx, extra, true); return nil }
		return nil
	}
	source, err := setup.LogListSource(d.cfg, d.client, d.logger, d.listAlarms(ctx))
	if err != nil {
		return err
	}
	use := func(ctx context.Context, l *loglist.List) {
		chosen, unmatched := loglist.Choose(l.Logs, loglist.Choice{States: d.cfg.Logs.States, Only: d.cfg.Logs.Only, Now: time.Now()})
		for _, word := range unmatched {
			d.logger.Warn("logs.only names a log that is not in the list", "name", word)
		}
		all := loglist.Merge(extra, chosen)
		if len(all) == 0 {
			d.logger.Error("no log is read, so that no certificate is found: no log of the list is chosen; see logs.only and logs.states")
		}
		replace(ctx, all, true)
	}
	d.listing = func(ctx context.Context) error {
		if len(extra) > 0 {
			replace(ctx, extra, false) // they need not wait for the list
		}
		list, _, err := source.Load(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			d.logger.Warn("no log list could be loaded yet; will try again", "error", err)
		default:
			use(ctx, list)
		}
		source.Run(ctx, func(l *loglist.List) { use(ctx, l) })
		return nil
	}
	return nil
}

func (d *Daemon) readLogList(ctx context.Context) error { return d.listing(ctx) }

// repliesAtOnce is how many replies with entries are in memory at once, besides one
// for each log. A reply takes about one MiB, and a few cores cannot use more.
const repliesAtOnce = 8

// followLogs follows the logs of the log list.
func (d *Daemon) followLogs(ctx context.Context) error {
	return (&follow.Group{New: d.follower(), OnUnfollow: d.unfollow, Logger: d.logger}).Run(ctx, d.logs.Changes())
}

// follower returns how to follow a log.
func (d *Daemon) follower() func(ctwatch.Log) (*follow.Follower, error) {
	budget := ctlog.NewBudget(repliesAtOnce)
	issuers := &ctlog.Issuers{Stored: d.db.Issuers.Certificate}
	return func(l ctwatch.Log) (*follow.Follower, error) {
		pace := d.paces.Log(l)
		counters := d.metrics.Log(l)
		client := *d.client
		client.Transport = counters.Transport(client.Transport)
		log, err := ctlog.Open(l, ctlog.Options{Client: &client, Logger: d.logger, UserAgent: setup.UserAgent(d.cfg), Pace: pace, Budget: budget, Issuers: issuers})
		if err != nil {
			return nil, err
		}
		start, limit := d.logs.Start(l.ID)
		return follow.New(follow.Options{
			Reader: &follow.Reader{
				Log: log, Scanner: &scan.Scanner{Log: l, List: d.watched}, Logger: d.logger, Pace: pace,
				MaxParallel: 2 * repliesAtOnce, // more take memory for connections
				Hooks: follow.Hooks{
					Batch: counters.Batch, Failed: counters.Failed, Refused: counters.Refused,
					Took: func(s follow.Stage, took time.Duration) { d.metrics.Took(string(s), took) },
				},
			},
			Recorder: d.db.Logs, Logger: d.logger, Outages: d.outages, Now: time.Now,
			Poll: d.cfg.Logs.Poll, TailWait: d.cfg.Logs.TailWait, Start: start, Limit: limit,
			Clock: d.clock,
			OnHead: func(ctwatch.Head) {
				d.liveness.HeadRead()
				d.ready.headVerified(l.Name)
			},
		}), nil
	}
}

// unfollow records that a log is no longer followed.
func (d *Daemon) unfollow(ctx context.Context, l ctwatch.Log) error {
	return d.db.Logs.Unfollow(ctx, l.ID, "it left the log list, or its state is not one of logs.states")
}

// listAlarms returns a function that takes everything that is wrong with the log list: it
// sets the metrics, and announces each cause once.
func (d *Daemon) listAlarms(ctx context.Context) func([]loglist.Alarm, time.Time) {
	return func(alarms []loglist.Alarm, published time.Time) {
		state := &metrics.LogList{Published: published, Alarms: make(map[string]bool)}
		for _, code := range loglist.Codes() {
			state.Alarms[code] = false
		}
		var details []string
		for _, a := range alarms {
			details = append(details, a.Detail)
			state.Alarms[a.Code] = true
			// The outbox takes an event once for its ID, which is the cause's. A store
			// that is broken ends the daemon elsewhere.
			if err := d.db.Outbox.Add(ctx, a.Event(d.now())); err != nil && ctx.Err() == nil {
				d.logger.Error("an alarm about the log list could not be recorded", "error", err)
			}
		}
		d.listState.metrics.Store(state)
		d.listState.wrong.Store(&details)
	}
}

// A listState has the problems of the log list.
type listState struct {
	metrics atomic.Pointer[metrics.LogList] // nil before the log list was asked for
	wrong   atomic.Pointer[[]string]        // the same in words
}

// details describes the problems of the log list. The daemon is ready anyway: it reads
// what was good before, and serves pin documents.
func (s *listState) details() []string {
	if details := s.wrong.Load(); details != nil {
		return *details
	}
	return nil
}
