package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"ctwatch/configs"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
)

func (a *app) demoCommand() *cobra.Command {
	var keep bool
	c := &cobra.Command{
		Use: "demo", Short: "See the whole system at work on this machine, without a network", Args: cobra.NoArgs,
		Long: `demo starts two Certificate Transparency logs (one of each kind), a CA, a receiver
of Slack messages and the daemon with its embedded NATS server, all on loopback.
A rule says which CA may issue. Its certificates are issued, and what arrived where,
when, and with which pins is told. An app ships pins for a TLS server, whose key is
rotated to one that was declared. Then another CA, which calls itself the same, issues:
once for a stranger, whose key is refused as a pin and whose certificate a person
rejects, and once for a partner, whose certificate a person authorises.
At the end it compares everything that arrived with everything that was issued.

Exit status: 0 only if every step really happened: nothing missing, nothing twice.`,
		Example: `  ctwatch demo
  ctwatch demo --keep    leave everything running, to look around`,
		RunE: func(c *cobra.Command, _ []string) error { return a.demo(c.Context(), keep) },
	}
	c.Flags().BoolVar(&keep, "keep", false, "leave everything running at the end, until interrupted")
	return c
}

// demoDomain is watched.
const demoDomain = "shop.example"

// A demo is the stage of the play: what runs, and what was told.
type demo struct {
	*teller
	static, rfc *ctlogtest.Log
	ca          *ctlogtest.CA // may issue
	otherCA     *ctlogtest.CA // may not, though it has the same name
	slack       *slackReceiver
	endpoint    *endpoint
	dir         string // where everything is kept
	cfg         *configs.Config
	logger      *slog.Logger

	patience  time.Duration         // how long anything may take to arrive
	configure func(*configs.Config) // changes the daemon's configuration; nil but in tests

	ctx    context.Context
	daemon *runningDaemon
	nats   *natsReader

	issued []*ctlogtest.Issued // what is watched and must be told of
	keys   int                 // how many of their keys became candidates for pins
	alarms []*ctlogtest.Issued // those of issued that must raise an alarm

	first   int               // of issued: what the endpoint served at first
	served  *ctlogtest.Issued // what the endpoint serves
	nextKey crypto.Signer     // declared, and served next

	slowest    time.Duration // of the alarms, from the log to Slack
	authorized time.Time     // when the partner's certificate was
}

func (a *app) demo(ctx context.Context, keep bool) (err error) {
	dir, err := a.demoDir(keep)
	if err != nil {
		return err
	}
	if !keep {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	d := a.newDemo(ctx)
	defer d.close()
	if err := d.play(dir); err != nil {
		return err
	}
	if keep {
		if err := d.startDaemon(); err != nil { // the reckoning stopped it
			return err
		}
		d.say("")
		d.say("Everything is still running; interrupt to end it. Meanwhile:")
		d.say("  ctwatch certs list --data %s", dir)
		d.say("  ctwatch pins plan --config %s", filepath.Join(dir, "ctwatch.yaml"))
		d.say("  ctwatch logs --data %s", dir)
		d.say("  nats --server %s sub 'ctwatch.>'", d.nats.url)
		d.say("  curl %smetrics", d.daemon.httpURL)
		<-ctx.Done()
	}
	return nil
}

func (a *app) newDemo(ctx context.Context) *demo {
	_, color := a.terminal(a.Stdout)
	return &demo{teller: &teller{w: a.Stdout, color: color}, ctx: ctx, logger: demoLogger(a), patience: 2 * time.Minute}
}

// play sets the stage, with its data in dir, and plays all acts. It tells of the
// one that fails.
func (d *demo) play(dir string) error {
	if err := d.setUp(dir); err != nil {
		return err
	}
	for _, act := range []func() error{
		d.firstCertificate, d.finalCertificate, d.wildcard, d.renewal, d.unwatched, d.outage,
		d.appShips, d.goodRotation, d.rogue, d.refusedAsPin, d.rejection, d.authorisation, d.shipsPartner,
		d.proof, d.reckoning,
	} {
		if err := act(); err != nil {
			d.fail(err)
			return errors.New("the demo did not play out; see above")
		}
	}
	d.say("")
	d.say("Everything that was issued was told of: nothing missing, nothing twice.")
	return nil
}

// demoDir is where the demo keeps its data: the one given, or a temporary one.
func (a *app) demoDir(keep bool) (string, error) {
	if a.dataDir != "" {
		if entries, err := os.ReadDir(a.dataDir); err == nil && len(entries) > 0 {
			return "", usagef("--data %s is not empty: the demo needs a directory of its own", a.dataDir)
		}
		if !keep {
			return "", usagef("--data goes with --keep: otherwise the demo leaves nothing behind")
		}
		return a.dataDir, os.MkdirAll(a.dataDir, 0o700)
	}
	return os.MkdirTemp("", "ctwatch-demo-")
}

// demoLogger shows the daemon's own log only when asked for, since the demo tells
// its story itself.
func demoLogger(a *app) *slog.Logger {
	if a.verbose {
		return a.logger()
	}
	return slog.New(slog.DiscardHandler)
}

// setUp starts everything.
func (d *demo) setUp(dir string) error {
	d.title("Setting the stage, on loopback only")
	var err error
	if d.ca, err = ctlogtest.NewCA(ctlogtest.CAOptions{Name: "Demo CA"}); err != nil {
		return err
	}
	if d.otherCA, err = ctlogtest.NewCA(ctlogtest.CAOptions{Name: "Demo CA"}); err != nil {
		return err
	}
	if d.static, err = d.startLog("Demo static 2026", ctwatch.KindStatic); err != nil {
		return err
	}
	if d.rfc, err = d.startLog("Demo RFC 6962 2026", ctwatch.KindRFC6962); err != nil {
		return err
	}
	if d.slack, err = startSlackReceiver(d.patience); err != nil {
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
	d.cfg.Logs = configs.Logs{Start: configs.Start{Beginning: true}, Poll: 200 * time.Millisecond, MaxRate: 100}
	for _, l := range []*ctlogtest.Log{d.static, d.rfc} {
		i := l.Info()
		d.cfg.Logs.Extra = append(d.cfg.Logs.Extra, configs.ExtraLog{Name: i.Name, Kind: string(i.Kind), URL: i.URL, SubmissionURL: i.SubmissionURL, Key: i.Key})
	}
	if d.configure != nil {
		d.configure(d.cfg)
	}
	if err := d.startDaemon(); err != nil {
		return err
	}
	d.say("The daemon, watching %s and all below it, with SQLite in %s", demoDomain, dir)
	d.say("Its rule for %s: only the CA with the key %v may issue", demoDomain, d.served.IssuerPin)
	d.say("Its NATS server at %s, and a subscriber to ctwatch.>", d.nats.url)
	return nil
}

// startLog starts a log that holds some entries for names nobody watches.
func (d *demo) startLog(name string, kind ctwatch.LogKind) (*ctlogtest.Log, error) {
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

func (d *demo) startDaemon() error {
	run, err := startDaemon(d.ctx, d.cfg, d.logger)
	if err != nil {
		return err
	}
	d.daemon = run
	if d.nats == nil {
		d.nats = newNATSReader(d.patience)
	}
	return d.nats.connect(d.ctx, run.natsURL, d.cfg.NATS.Stream)
}

// issue has the CA issue for names, and counts it among what must be told of.
func (d *demo) issue(key crypto.Signer, names ...string) (*ctlogtest.Issued, error) {
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
