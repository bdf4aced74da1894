package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/configs"
	"ctwatch/ctwatch/ctlog"
	"ctwatch/ctwatch/follow"
	"ctwatch/ctwatch/metrics"
	"ctwatch/ctwatch/planner"
	"ctwatch/ctwatch/policy"
	"ctwatch/ctwatch/watchlist"
	"ctwatch/notify"
	"ctwatch/notify/nats"
	"ctwatch/notify/nats/embedded"
	"ctwatch/notify/stdout"
	"ctwatch/pins"
	"ctwatch/pins/probe"
	"ctwatch/pins/publish"
	"ctwatch/store"
)

// A daemon wires the rooms together and runs them.
type daemon struct {
	cfg    *configs.Config  // as it was at the start
	first  *setup.Inventory // by cfg
	logger *slog.Logger
	probe  func(context.Context, pins.Endpoint) pins.Look // optional; by the network
	now    func() time.Time                               // optional; by the system's clock: for the store and pin documents

	out   io.Writer // where the stdout sender writes
	json  bool
	color bool

	// reread reads the configuration again, whenever hangup says so and when its files
	// change. Both are optional.
	reread func() (*setup.Inventory, error)
	hangup <-chan os.Signal

	silence time.Duration // how long nothing may be read before that is told; 0: by the logs
	backoff time.Duration // the longest pause before an event is tried again; 0: the dispatcher's own

	onNATS func(url string) // called with where the embedded NATS server listens; optional
	onHTTP func(url string) // called, before onNATS, with where the HTTP listener is; optional

	client    *http.Client
	list      *watchlist.Live
	inventory atomic.Pointer[setup.Inventory] // by the configuration in force
	verdicts  *policy.Live
	news      chan struct{} // there are new events
	db        *store.DB
	planner   *planner.Planner
	looks     *probe.Scheduler
	senders   *notify.Manager
	ready     *readiness
	liveness  *follow.Liveness
	logs      *follow.LogSet
	clock     *follow.Clock
	paces     *ctlog.Paces
	issuer    *publish.Issuer // of pin documents; nil where none are served
	outages   *follow.Outages
	metrics   *metrics.Metrics
	logList   atomic.Pointer[metrics.LogList] // nil before the log list was asked for
	listWrong atomic.Pointer[[]string]        // what is wrong with it, for people
}

// run works until ctx ends, which is no error, or until the store is broken.
func (d *daemon) run(ctx context.Context) (err error) {
	if os.Getenv("GOGC") == "" {
		// There is little garbage, so collecting it early costs next to nothing.
		debug.SetGCPercent(50)
	}
	asked := ctx
	if d.now == nil {
		d.now = time.Now
	}
	d.client = setup.HTTPClient()
	defer d.client.CloseIdleConnections()
	d.inventory.Store(d.first)
	d.verdicts = d.first.NewPolicy()
	d.verdicts.CAA = &policy.Checker{Servers: d.cfg.DNS.Servers}
	d.news = make(chan struct{}, 1)
	d.list = watchlist.NewLive(watchlist.New(d.first.Rules()))
	d.ready = newReadiness(d.logger)
	d.liveness = follow.NewLiveness(d.now, d.silence)
	d.clock = &follow.Clock{Now: d.now, Logger: d.logger}
	d.paces = ctlog.NewPaces(float64(d.cfg.Logs.MaxRate))
	d.outages = &follow.Outages{Logger: d.logger}
	defer d.outages.Close()

	var wake atomic.Pointer[notify.Dispatcher]
	d.db, err = store.Open(ctx, setup.Database(d.cfg), store.Options{
		Logger: d.logger, Now: d.now, Judge: d.verdicts.Judge, Learner: d.verdicts.CAs,
		Pinned: func(name string) (app, host string, ok bool) { return d.inventory.Load().Pinned(name) },
		OnEvents: func() {
			select {
			case d.news <- struct{}{}:
			default:
			}
			if p := wake.Load(); p != nil {
				p.Wake()
			}
		},
	})
	if err != nil {
		return err
	}
	defer func() {
		if asked.Err() != nil && errors.Is(err, context.Canceled) {
			err = nil // it was asked to end, perhaps before all had begun
		}
		err = errors.Join(err, d.db.Close())
	}()

	stored, err := d.db.Logs.List(ctx)
	if err != nil {
		return err
	}
	d.logs = follow.NewLogSet(d.cfg.Logs.Start, stored)
	if d.metrics, err = d.newMetrics(); err != nil {
		return err
	}
	if err := d.plan(ctx); err != nil {
		return err
	}
	listener, err := d.listenHTTP()
	if err != nil {
		return err
	}
	if listener != nil {
		defer listener.Close()
	}
	permanent, closePermanent, err := d.permanentSenders(ctx)
	if err != nil {
		return err
	}
	defer closePermanent()
	d.senders, err = notify.NewManager(notify.Config{Outbox: d.db.Outbox, Logger: d.logger, OnSend: d.metrics.Sent, Storm: d.cfg.Notify.Storm, BackoffMax: d.backoff}, permanent, d.db.Outbox.Unregister)
	if err != nil {
		return err
	}
	defer d.senders.Close()
	replaceable, err := setup.Senders(d.cfg, d.senderOptions())
	if err != nil {
		return err
	}
	if err := d.senders.Replace(ctx, replaceable); err != nil {
		return err
	}
	wake.Store(d.senders.Dispatcher)

	watchList, err := d.watchList(ctx)
	if err != nil {
		return err
	}
	d.logger.Info(d.first.Probing())
	d.logger.Info("ctwatch starts", "version", setup.BuildVersion().Version, "watched", len(d.first.Watched)+len(d.first.Listed), "data", d.cfg.DataDir)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.senders.Run(ctx) })
	g.Go(func() error { return watchList(ctx) })
	g.Go(func() error {
		return (&follow.Group{New: d.follower(), Leave: d.leave, Logger: d.logger}).Run(ctx, d.logs.Changes())
	})
	if listener != nil {
		g.Go(func() error { return listener.Run(ctx) })
	}
	g.Go(func() error {
		return (&policy.CAACollector{Store: d.db.Certificates, Policy: d.verdicts.Policy, Lookup: d.verdicts.CAA.Lookup, Wake: d.news, Logger: d.logger}).Run(ctx)
	})
	g.Go(func() error { return d.looks.Run(ctx) })
	g.Go(func() error { return d.planner.Run(ctx) })
	g.Go(func() error { return d.wakeForOthers(ctx) })
	g.Go(func() error { return d.beat(ctx) })
	g.Go(func() error { return d.reloads(ctx) })
	g.Go(func() error { return d.ready.watchdog(ctx) })
	g.Go(func() error { return d.prune(ctx) })
	g.Go(func() error { return d.tellHeld(ctx) })
	err = g.Wait()
	d.ready.stopping()
	d.logger.Info("ctwatch ends")
	return err
}

func (d *daemon) senderOptions() setup.SenderOptions {
	return setup.SenderOptions{Logger: d.logger, DB: d.db, Policy: d.verdicts, Judge: slackJudge(d.db)}
}

// permanentSenders makes the senders that stay until the daemon ends, and a function
// that closes them.
func (d *daemon) permanentSenders(ctx context.Context) (senders []notify.Sender, closeAll func(), err error) {
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

	n, err := setup.NATSOptions(d.cfg, d.logger)
	if err != nil {
		return nil, nil, err
	}
	if err := d.watchStream(ctx, &n); err != nil {
		return nil, nil, err
	}
	if n.URL == "" {
		e, err := embedded.Start(embedded.Options{
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
	}
	nats, err := nats.New(n)
	if err != nil {
		return nil, nil, err
	}
	closers = append(closers, nats.Close)
	senders = append(senders, nats)

	if d.cfg.Stdout {
		senders = append(senders, stdout.New(stdout.Options{W: d.out, JSON: d.json, Color: d.color}))
	}
	return senders, closeMade, nil
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
			if _, err := d.db.Outbox.Prune(ctx, now.Add(-keepEvents)); err != nil && ctx.Err() == nil {
				return fmt.Errorf("deleting old events: %w", err)
			}
		}
	}
}

// heldPoll is how often it is looked whether a digest of alarms is due.
const heldPoll = 5 * time.Second

// tellHeld writes the digests of alarms about certificates that nothing proves.
func (d *daemon) tellHeld(ctx context.Context) error {
	t := time.NewTicker(heldPoll)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			if err := d.db.Outbox.AddDigests(ctx); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}
