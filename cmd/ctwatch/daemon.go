package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"ctwatch/configs"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
	"ctwatch/ctwatch/follow"
	"ctwatch/ctwatch/loglist"
	"ctwatch/ctwatch/metrics"
	"ctwatch/ctwatch/scan"
	"ctwatch/ctwatch/watchlist"
	"ctwatch/notify"
	"ctwatch/store"
)

// A daemon wires the rooms together and runs them.
type daemon struct {
	cfg    *configs.Config
	rules  []watchlist.Rule
	logger *slog.Logger

	out   io.Writer // where the stdout sender writes
	json  bool
	color bool

	onNATS func(url string) // called with where the embedded NATS server listens; optional
	onHTTP func(url string) // called, before onNATS, with where the HTTP listener is; optional

	client   *http.Client
	list     *watchlist.List
	db       *store.DB
	ready    *readiness
	paces    *paces
	metrics  *metrics.Metrics
	followed atomic.Pointer[map[ctwatch.LogID]bool] // nil before there are logs to follow
}

// run works until ctx ends, which is no error, or until the store is broken.
func (d *daemon) run(ctx context.Context) (err error) {
	d.client = httpClient()
	defer d.client.CloseIdleConnections()
	d.list = watchlist.New(d.rules)
	d.ready = newReadiness(d.logger)
	d.paces = newPaces(d.cfg.Logs.MaxRate)

	var wake atomic.Pointer[notify.Dispatcher]
	d.db, err = store.Open(ctx, database(d.cfg), store.Options{
		Logger: d.logger, Now: time.Now,
		OnEvents: func() {
			if p := wake.Load(); p != nil {
				p.Wake()
			}
		},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.db.Close()) }()

	if d.metrics, err = d.newMetrics(); err != nil {
		return err
	}
	listener, err := d.listenHTTP()
	if err != nil {
		return err
	}
	if listener != nil {
		defer listener.Close()
	}
	senders, closeSenders, err := d.senders()
	if err != nil {
		return err
	}
	defer closeSenders()
	dispatcher, err := notify.NewDispatcher(notify.Config{Outbox: d.db, Senders: senders, Logger: d.logger, OnSend: d.metrics.Sent})
	if err != nil {
		return err
	}
	wake.Store(dispatcher)

	sets, followLogs, err := d.logs(ctx)
	if err != nil {
		return err
	}
	follower, err := d.follower(ctx)
	if err != nil {
		return err
	}
	d.logger.Info("ctwatch starts", "version", buildVersion().Version, "watched", len(d.rules), "data", d.cfg.DataDir)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return dispatcher.Run(ctx) })
	g.Go(func() error { return followLogs(ctx) })
	g.Go(func() error { return (&follow.Group{New: follower, Leave: d.leave, Logger: d.logger}).Run(ctx, sets) })
	if listener != nil {
		g.Go(func() error { return listener.Run(ctx) })
	}
	g.Go(func() error { return d.ready.watchdog(ctx) })
	g.Go(func() error { return d.prune(ctx) })
	err = g.Wait()
	d.ready.stopping()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	d.logger.Info("ctwatch ends")
	return err
}

// senders makes what events are sent to, and a function that closes it.
func (d *daemon) senders() (senders []notify.Sender, closeAll func(), err error) {
	var closers []func()
	closeMade := func() {
		for i := len(closers) - 1; i >= 0; i-- {
			closers[i]()
		}
	}
	defer func() {
		if err != nil {
			closeMade()
		}
	}()

	n := notify.NATSOptions{
		URL: string(d.cfg.NATS.URL), CredentialsFile: d.cfg.NATS.CredentialsFile,
		Stream: d.cfg.NATS.Stream, SubjectPrefix: d.cfg.NATS.Subject, Logger: d.logger,
	}
	if n.URL == "" {
		e, err := notify.StartEmbedded(notify.EmbeddedOptions{
			Listen: d.cfg.NATS.Listen, StoreDir: filepath.Join(d.cfg.DataDir, "nats"), Logger: d.logger,
		})
		if err != nil {
			return nil, nil, err
		}
		closers = append(closers, e.Shutdown)
		n.InProcess = e
		d.logger.Info("embedded NATS server is ready", "url", e.ClientURL(), "stream", n.Stream, "subjects", n.SubjectPrefix+".>")
		if d.onNATS != nil {
			d.onNATS(e.ClientURL())
		}
	} else if n.TLS, err = natsTLS(d.cfg.NATS.TLS); err != nil {
		return nil, nil, err
	}
	nats, err := notify.NewNATS(n)
	if err != nil {
		return nil, nil, err
	}
	closers = append(closers, nats.Close)
	senders = append(senders, nats)

	if s := d.cfg.Slack; s != nil {
		slack, err := notify.NewSlack(slackOptions(s))
		if err != nil {
			return nil, nil, err
		}
		senders = append(senders, slack)
	}
	if d.cfg.Stdout {
		senders = append(senders, notify.NewStdout(notify.StdoutOptions{W: d.out, JSON: d.json, Color: d.color}))
	}
	return senders, closeMade, nil
}

func slackOptions(s *configs.Slack) notify.SlackOptions {
	o := notify.SlackOptions{APIURL: s.APIURL, Channel: s.Channel}
	if s.Token.IsSet() {
		o.Token = s.Token.Reveal
	}
	if s.WebhookURL.IsSet() {
		o.WebhookURL = s.WebhookURL.Reveal
	}
	for _, r := range s.Routes {
		o.Routes = append(o.Routes, notify.SlackRoute{Severity: ctwatch.Severity(r.Severity), Channel: r.Channel})
	}
	return o
}

// logs returns the sets of logs to follow, as the log list changes with time, and
// the function that goes on producing them.
func (d *daemon) logs(ctx context.Context) (<-chan []ctwatch.Log, func(context.Context) error, error) {
	extra, err := extraLogs(d.cfg)
	if err != nil {
		return nil, nil, err
	}
	sets := make(chan []ctwatch.Log)
	send := func(ctx context.Context, logs []ctwatch.Log) {
		followed := make(map[ctwatch.LogID]bool)
		for _, l := range logs {
			followed[l.ID] = true
		}
		d.followed.Store(&followed)
		select {
		case sets <- logs:
		case <-ctx.Done():
		}
	}
	if d.cfg.Logs.List == "" {
		return sets, func(ctx context.Context) error { send(ctx, extra); return nil }, nil
	}
	source, err := logListSource(d.cfg, d.client, d.logger, true)
	if err != nil {
		return nil, nil, err
	}
	choose := func(l *loglist.List) []ctwatch.Log {
		chosen, unmatched := loglist.Choose(l.Logs, loglist.Choice{States: d.cfg.Logs.States, Only: d.cfg.Logs.Only, Now: time.Now()})
		for _, word := range unmatched {
			d.logger.Warn("logs.only names a log that is not in the list", "name", word)
		}
		return merge(extra, chosen)
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
		}
		source.Run(ctx, func(l *loglist.List) { send(ctx, choose(l)) })
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
	return func(l ctwatch.Log) (*follow.Follower, error) {
		pace := d.paces.log(l)
		counters := d.metrics.Log(l)
		client := *d.client
		client.Transport = counters.Transport(client.Transport)
		log, err := ctlog.Open(l, ctlog.Options{Client: &client, Logger: d.logger, UserAgent: userAgent(d.cfg), Pace: pace})
		if err != nil {
			return nil, err
		}
		start := follow.Start{Now: !d.cfg.Logs.Start.Beginning && d.cfg.Logs.Start.Back == 0, Back: d.cfg.Logs.Start.Back}
		if !fresh && !known[l.ID] && !d.cfg.Logs.Start.Beginning {
			start = follow.Start{Max: maxFromStart, Gap: gapReason}
		}
		return follow.New(follow.Options{
			Reader: &follow.Reader{
				Log: log, Scanner: &scan.Scanner{Log: l, List: d.list}, Logger: d.logger, Pace: pace,
				Hooks: follow.Hooks{
					Batch: counters.Batch, Failed: counters.Failed,
					Took: func(s follow.Stage, took time.Duration) { d.metrics.Took(string(s), took) },
				},
			},
			Recorder: d.db, Logger: d.logger, Now: time.Now,
			Poll: d.cfg.Logs.Poll, TailWait: d.cfg.Logs.TailWait, Start: start,
			OnHead: func(ctwatch.Head) { d.ready.headVerified(l.Name) },
		}), nil
	}, nil
}

// leave notes that a log is no longer followed.
func (d *daemon) leave(ctx context.Context, l ctwatch.Log) error {
	return d.db.Leave(ctx, l.ID, "it left the log list, or its state is not one of logs.states")
}

// keepEvents is how long events stay in the outbox after all senders have taken
// them.
const keepEvents = 90 * 24 * time.Hour

// prune deletes old events once a day.
func (d *daemon) prune(ctx context.Context) error {
	t := time.NewTicker(24 * time.Hour)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-t.C:
			if _, err := d.db.Prune(ctx, now.Add(-keepEvents)); err != nil && ctx.Err() == nil {
				return fmt.Errorf("deleting old events: %w", err)
			}
		}
	}
}
