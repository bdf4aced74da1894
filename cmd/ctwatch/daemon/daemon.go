// Package daemon is "ctwatch run": it follows the logs, records what it finds, probes
// servers, plans, and sends events, until its context ends. It wires the other packages
// together and decides nothing itself.
//
// A daemon consists of parts, which start in the order of Daemon.parts and stop in reverse.
package daemon

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/configs"
	"ctwatch/ctwatch/ctlog"
	"ctwatch/ctwatch/follow"
	"ctwatch/ctwatch/metrics"
	"ctwatch/ctwatch/planner"
	"ctwatch/ctwatch/policy"
	"ctwatch/ctwatch/watchlist"
	"ctwatch/ctwatch/web"
	"ctwatch/notify"
	"ctwatch/pins"
	"ctwatch/pins/probe"
	"ctwatch/pins/publish"
	"ctwatch/store"
)

// Options are what a daemon is made of. Inventory and Logger are required.
type Options struct {
	Inventory *setup.Inventory
	Logger    *slog.Logger

	// Reread reads the configuration again, at each Hangup and when its files change,
	// given the inventory in force. Both are optional.
	Reread func(*setup.Inventory) (*setup.Inventory, error)
	Hangup <-chan os.Signal

	// Called while the daemon works long on the database: at the start, when it may also
	// migrate it, and at a reload. Both are optional.
	Starting, Reloading func(store.Progress)

	Out   io.Writer // where the stdout sender writes
	JSON  bool      // as CloudEvents, one on a line
	Color bool

	OnHTTP func(url string) // called with the URL of the HTTP listener; optional
	OnNATS func(url string) // called, after OnHTTP, with that of the embedded NATS server; optional

	// For tests; each has a default.
	Now        func() time.Time                               // of the store and of pin documents
	Look       func(context.Context, pins.Endpoint) pins.Look // probes an endpoint
	Silence    time.Duration                                  // how long nothing may be read
	BackoffMax time.Duration                                  // the longest pause before an event is sent again
}

// A Daemon follows logs and does everything that follows from what it finds.
type Daemon struct {
	o      Options
	cfg    *configs.Config // as it was at the start
	logger *slog.Logger
	now    func() time.Time

	// New makes these. They are idle until a part uses them.
	inventory atomic.Pointer[setup.Inventory] // in force
	policy    *policy.Live
	watched   *watchlist.Live
	client    *http.Client // for logs and log lists
	paces     *ctlog.Paces
	clock     *follow.Clock
	liveness  *follow.Liveness
	outages   *follow.Outages
	ready     *readiness
	listState listState
	reloading atomic.Bool   // from the first reload on
	newEvents chan struct{} // has an element when events were recorded

	// Each of these is made by the part that is named.
	db        *store.DB                      // store
	logs      *follow.LogSet                 // store
	metrics   *metrics.Metrics               // metrics
	prober    *probe.Scheduler               // prober
	planner   *planner.Planner               // planner
	documents *publish.Issuer                // pin documents
	pages     http.Handler                   // pin documents
	listener  *web.Server                    // http; nil if the configuration has none
	permanent permanentSenders               // nats
	senders   atomic.Pointer[notify.Manager] // senders
	listing   func(context.Context) error    // log list
}

// New returns a daemon that is not running yet.
func New(o Options) *Daemon {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Look == nil {
		o.Look = setup.Prober().Look
	}
	cfg := o.Inventory.Config
	d := &Daemon{
		o: o, cfg: cfg, logger: o.Logger, now: o.Now,
		policy: o.Inventory.NewPolicy(), watched: watchlist.NewLive(o.Inventory.List),
		client: setup.HTTPClient(), paces: ctlog.NewPaces(float64(cfg.Logs.MaxRate)),
		clock: &follow.Clock{Now: o.Now, Logger: o.Logger}, liveness: follow.NewLiveness(o.Now, o.Silence),
		outages: &follow.Outages{Logger: o.Logger}, ready: &readiness{logger: o.Logger},
		newEvents: make(chan struct{}, 1),
	}
	d.inventory.Store(o.Inventory)
	d.o.Inventory = nil // a large watch list is not to outlive a reload
	d.policy.CAA = &policy.Checker{Servers: cfg.DNS.Servers}
	return d
}

// Run works until ctx ends, and then returns nil, or until a part fails, such as the store.
func (d *Daemon) Run(ctx context.Context) error {
	if os.Getenv("GOGC") == "" {
		// There is little garbage, so collecting it early costs next to nothing.
		debug.SetGCPercent(50)
	}
	return runParts(ctx, d.parts())
}

// parts lists what the daemon consists of, in the order in which it starts.
func (d *Daemon) parts() []part {
	return []part{
		{name: "connections to logs", stop: d.closeConnections},
		{name: "store", start: d.openStore, run: d.keepStore, stop: d.closeStore},
		{name: "prober", needs: []string{"store"}, start: d.makeProber, run: d.probe},
		{name: "planner", needs: []string{"store", "prober"}, start: d.makePlanner, run: d.plan},
		{name: "pin documents", needs: []string{"store", "planner"}, start: d.makeDocuments},
		{name: "metrics", needs: []string{"store", "planner", "pin documents"}, start: d.makeMetrics},
		{name: "http", needs: []string{"store", "pin documents", "metrics"}, start: d.listen, run: d.serve, stop: d.closeListener},
		{name: "nats", needs: []string{"store"}, start: d.makePermanent, stop: d.closePermanent},
		{name: "senders", needs: []string{"store", "metrics", "nats"}, start: d.makeSenders, run: d.send, stop: d.closeSenders},
		{name: "other processes", needs: []string{"store", "senders"}, run: d.wakeForOthers},
		{name: "log list", needs: []string{"store", "senders"}, start: d.openLogList, run: d.readLogList},
		{name: "followers", needs: []string{"store", "metrics", "log list"}, run: d.followLogs},
		{name: "CAA records", needs: []string{"store"}, run: d.collectCAA},
		{name: "heartbeat", needs: []string{"store", "followers"}, run: d.beat},
		{name: "reload", needs: []string{"store", "prober", "planner", "metrics", "senders"}, run: d.reloads},
		{name: "service manager", needs: []string{"followers"}, start: d.announce, run: d.ready.watchdog, stop: d.bye},
	}
}

func (d *Daemon) closeConnections() error {
	d.outages.Close()
	d.client.CloseIdleConnections()
	return nil
}

func (d *Daemon) announce(context.Context) error {
	inv := d.inventory.Load()
	d.logger.Info(inv.Probing())
	d.logger.Info("ctwatch starts", "version", setup.BuildVersion().Version, "watched", inv.List.Len(), "data", d.cfg.DataDir)
	return nil
}

func (d *Daemon) bye() error {
	d.ready.stopping()
	d.logger.Info("ctwatch ends")
	return nil
}

// collectCAA looks up the CAA records that the policy needs.
func (d *Daemon) collectCAA(ctx context.Context) error {
	c := policy.CAACollector{
		Store: d.db.Certificates, Policy: d.policy.Policy, Lookup: d.policy.CAA.Lookup, Wake: d.newEvents, Logger: d.logger,
	}
	return c.Run(ctx)
}
