// Package demo runs the whole system on loopback: two logs, a CA, a TLS server, a
// receiver of Slack messages and the daemon. It compares what arrives with what it issued,
// and fails if anything is missing, wrong or twice.
package demo

import (
	"cmp"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"ctwatch/configs"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
)

// demoDomain is watched.
const demoDomain = "shop.example"

// Options are what a demo runs with.
type Options struct {
	Out    io.Writer // where the demo prints what happens
	Color  bool
	Logger *slog.Logger // of the daemon
	// Daemon runs the daemon by a configuration until the context ends. It calls onHTTP
	// and then onNATS with the URLs at which they listen.
	Daemon func(ctx context.Context, cfg *configs.Config, logger *slog.Logger, onHTTP, onNATS func(url string)) error
	// Command runs ctwatch with arguments and returns its exit status.
	Command  func(ctx context.Context, args []string, stdout, stderr io.Writer) (status int)
	Patience time.Duration // how long anything may take to arrive; two minutes by default

	// Configure changes the daemon's configuration once the logs and servers run. Optional.
	Configure func(*Demo, *configs.Config)
}

// Exit statuses of commands.
const (
	done   = 0
	failed = 1
	no     = 3
)

// A Demo is what runs, and what has arrived.
type Demo struct {
	*narrator
	RFC     *ctlogtest.Log // the RFC 6962 log
	OtherCA *ctlogtest.CA  // may not issue, though it has the name of the one that may

	o        Options
	static   *ctlogtest.Log
	ca       *ctlogtest.CA // may issue
	slack    *slackReceiver
	endpoint *endpoint
	dir      string // where everything is kept
	cfg      *configs.Config

	ctx    context.Context
	daemon *runningDaemon
	nats   *natsReader

	issued []*ctlogtest.Issued // what is watched, and must be reported
	keys   int                 // how many of their keys became candidates for pins
	alarms []*ctlogtest.Issued // those of issued that must raise an alarm

	first   int               // of issued: what the endpoint served at first
	served  *ctlogtest.Issued // what the endpoint serves
	nextKey crypto.Signer     // declared, and served next

	slowest    time.Duration // of the alarms, from the log to Slack
	authorized time.Time     // when the partner's certificate was
}

// New returns a demo that ends with ctx. It has to be closed.
func New(ctx context.Context, o Options) *Demo {
	o.Patience = cmp.Or(o.Patience, 2*time.Minute)
	return &Demo{narrator: &narrator{w: o.Out, color: o.Color}, ctx: ctx, o: o}
}

// Play starts everything, with its data in dir, and plays all acts. It prints what happens,
// and which act fails.
func (d *Demo) Play(dir string) error {
	if err := d.setUp(dir); err != nil {
		return err
	}
	for _, act := range []func() error{
		d.firstCertificate, d.finalCertificate, d.wildcard, d.renewal, d.unwatched, d.outage,
		d.appShips, d.goodRotation, d.rogue, d.refusedAsPin, d.rejection, d.authorization, d.shipsPartner,
		d.proof, d.comparison,
	} {
		if err := act(); err != nil {
			d.fail(err)
			return errors.New("the demo failed; see above")
		}
	}
	d.say("")
	d.say("Everything that was issued was reported: nothing missing, nothing twice.")
	return nil
}

// Keep starts the daemon again after Play, prints how to look around, and waits for the
// context to end.
func (d *Demo) Keep() error {
	if err := d.startDaemon(); err != nil { // the last act stopped it
		return err
	}
	d.say("")
	d.say("Everything is still running; interrupt to end it. Meanwhile:")
	d.say("  ctwatch certs list --data %s", d.dir)
	d.say("  ctwatch pins plan --config %s", filepath.Join(d.dir, "ctwatch.yaml"))
	d.say("  ctwatch logs --data %s", d.dir)
	d.say("  nats --server %s sub 'ctwatch.>'", d.nats.url)
	d.say("  curl %smetrics", d.daemon.httpURL)
	<-d.ctx.Done()
	return nil
}

// RefuseSlack has the receiver of Slack messages refuse a method, such as "chat.update".
func (d *Demo) RefuseSlack(method string) { d.slack.refuse = method }

// setUp starts everything.
func (d *Demo) setUp(dir string) error {
	d.title("Starting everything, on loopback only")
	var err error
	if d.ca, err = ctlogtest.NewCA(ctlogtest.CAOptions{Name: "Demo CA"}); err != nil {
		return err
	}
	if d.OtherCA, err = ctlogtest.NewCA(ctlogtest.CAOptions{Name: "Demo CA"}); err != nil {
		return err
	}
	if d.static, err = d.startLog("Demo static 2026", ctwatch.KindStatic); err != nil {
		return err
	}
	if d.RFC, err = d.startLog("Demo RFC 6962 2026", ctwatch.KindRFC6962); err != nil {
		return err
	}
	if d.slack, err = startSlackReceiver(d.o.Patience); err != nil {
		return err
	}
	d.onClose(d.slack.stop)
	d.say("A receiver of Slack messages at %s", d.slack.url)

	if d.endpoint, err = startEndpoint(); err != nil {
		return err
	}
	d.onClose(d.endpoint.stop)
	d.first = len(d.issued)
	if d.served, err = d.issue(nil, demoHost); err != nil {
		return err
	}
	if err := d.endpoint.deploy(d.served); err != nil {
		return err
	}
	d.say("%s, a TLS server, at %s", demoHost, d.endpoint.addr)

	d.dir = dir
	text := fmt.Sprintf(demoConfig, strconv.Quote(dir), demoDomain, d.served.IssuerPin, d.endpoint.addr, demoHost)
	if err := os.WriteFile(filepath.Join(dir, "ctwatch.yaml"), []byte(text), 0o600); err != nil {
		return err
	}
	if d.cfg, err = configs.Load(filepath.Join(dir, "ctwatch.yaml"), configs.ProcessEnv()); err != nil {
		return err
	}
	d.cfg.Stdout = false
	d.cfg.Probe.Interval = time.Second
	d.cfg.NATS.Listen = "127.0.0.1:0"
	d.cfg.HTTP.Listen = "127.0.0.1:0"
	d.cfg.Slack = &configs.Slack{Token: configs.NewSecret("xoxb-demo"), APIURL: d.slack.url, Channel: slackChannel}
	d.cfg.Logs = configs.Logs{Start: ctwatch.Start{Beginning: true}, Poll: 200 * time.Millisecond, MaxRate: 100}
	for _, l := range []*ctlogtest.Log{d.static, d.RFC} {
		i := l.Info()
		d.cfg.Logs.Extra = append(d.cfg.Logs.Extra, configs.ExtraLog{Name: i.Name, Kind: i.Kind, URL: i.URL, SubmissionURL: i.SubmissionURL, Key: i.Key})
	}
	if d.o.Configure != nil {
		d.o.Configure(d, d.cfg)
	}
	if err := d.startDaemon(); err != nil {
		return err
	}
	d.say("The daemon, watching %s and all below it, with SQLite in %s", demoDomain, dir)
	d.say("Its rule for %s: only the CA with the key %v may issue", demoDomain, d.served.IssuerPin)
	d.say("Its NATS server at %s, and a subscriber to ctwatch.>", d.nats.url)
	return nil
}

// startLog starts a log that holds some entries for names that are not watched.
func (d *Demo) startLog(name string, kind ctwatch.LogKind) (*ctlogtest.Log, error) {
	l, err := ctlogtest.New(ctlogtest.Options{Name: name, Kind: kind, Gzip: true, DropPartials: true, Witnesses: true, AutoPublish: true, MaxAge: 10 * time.Second})
	if err != nil {
		return nil, err
	}
	stop, err := l.Start()
	if err != nil {
		return nil, err
	}
	d.onClose(stop)
	if err := l.Fill(1000); err != nil {
		return nil, err
	}
	d.say("%s, a %s log with 1000 entries, at %s", name, kind, l.URL())
	return l, nil
}

func (d *Demo) startDaemon() error {
	run, err := startDaemon(d.ctx, d.o, d.cfg)
	if err != nil {
		return err
	}
	d.daemon = run
	if d.nats == nil {
		d.nats = newNATSReader(d.o.Patience)
	}
	return d.nats.connect(d.ctx, run.natsURL, d.cfg.NATS.Stream)
}

// issue has the CA issue for names, and counts it among what must be reported.
func (d *Demo) issue(key crypto.Signer, names ...string) (*ctlogtest.Issued, error) {
	i, err := d.ca.Issue(ctlogtest.Request{Names: names, Key: key})
	if err != nil {
		return nil, err
	}
	d.issued = append(d.issued, i)
	if key == nil {
		d.keys++
	}
	return i, nil
}
