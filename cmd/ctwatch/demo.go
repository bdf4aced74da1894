package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ctwatch/configs"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/store"
)

func (a *app) demoCommand() *cobra.Command {
	var keep bool
	c := &cobra.Command{
		Use: "demo", Short: "See the whole system at work on this machine, without a network", Args: cobra.NoArgs,
		Long: `demo starts two Certificate Transparency logs (one of each kind), a CA, a receiver
of Slack messages and the daemon with its embedded NATS server, all on loopback.
It issues certificates, and tells what arrived where, when, and with which pins.
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
	ca          *ctlogtest.CA
	slack       *slackReceiver
	cfg         *configs.Config
	logger      *slog.Logger

	patience  time.Duration         // how long anything may take to arrive
	configure func(*configs.Config) // changes the daemon's configuration; nil but in tests

	ctx    context.Context
	daemon *runningDaemon
	nats   *natsReader

	issued []*ctlogtest.Issued // what is watched and must be told of
	keys   int                 // how many different keys they have
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
		d.say("  ctwatch logs --data %s", dir)
		d.say("  nats --server %s sub 'ctwatch.>'", d.nats.url)
		d.say("  curl %smetrics", d.daemon.httpURL)
		<-ctx.Done()
	}
	return nil
}

func (a *app) newDemo(ctx context.Context) *demo {
	_, color := a.terminal(a.Stdout)
	return &demo{teller: &teller{w: a.Stdout, color: color}, ctx: ctx, logger: demoLogger(a), patience: 15 * time.Second}
}

// play sets the stage, with its data in dir, and plays all acts. It tells of the
// one that fails.
func (d *demo) play(dir string) error {
	if err := d.setUp(dir); err != nil {
		return err
	}
	for _, act := range []func() error{
		d.firstCertificate, d.finalCertificate, d.wildcard, d.renewal, d.unwatched, d.outage, d.proof, d.reckoning,
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

	d.cfg = configs.Default()
	d.cfg.DataDir = dir
	d.cfg.Stdout = false
	d.cfg.Watch = []configs.Watch{{Domain: demoDomain, Subdomains: true}}
	d.cfg.NATS.Listen = "127.0.0.1:0"
	d.cfg.HTTP.Listen = "127.0.0.1:0"
	d.cfg.Slack = &configs.Slack{Token: configs.NewSecret("xoxb-demo"), APIURL: d.slack.url, Channel: "#certs"}
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
	d.say("Its NATS server at %s, and a subscriber to ctwatch.>", d.nats.url)
	return nil
}

// startLog starts a log that holds some entries for names nobody watches.
func (d *demo) startLog(name string, kind ctwatch.LogKind) (*ctlogtest.Log, error) {
	l, err := ctlogtest.New(ctlogtest.Options{Name: name, Kind: kind, Gzip: true, DropPartials: true, Witnesses: true, AutoPublish: true})
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

func (d *demo) firstCertificate() error {
	d.title("1. A precertificate is logged: nothing is deployed yet")
	i, err := d.issue(nil, "api."+demoDomain)
	if err != nil {
		return err
	}
	return d.logged(d.static, i, true)
}

// logged puts a precertificate into a log, and waits for all that must follow.
func (d *demo) logged(l *ctlogtest.Log, i *ctlogtest.Issued, newKey bool) error {
	begun := time.Now()
	if _, _, err := l.AddPrecert(i); err != nil {
		return err
	}
	return d.told(begun, i, newKey)
}

// told waits until NATS and Slack have told of a new certificate, and shows it.
func (d *demo) told(begun time.Time, i *ctlogtest.Issued, newKey bool) error {
	e, err := d.nats.wait(d.ctx, ctwatch.CertificateIssued, i.ID)
	if err != nil {
		return err
	}
	c := e.Data.Certificate
	d.arrived("NATS", begun, string(e.Type), e.NATSSubject("ctwatch"))
	if c.Key.Pin != i.LeafPin || c.Issuer.Pin != i.IssuerPin {
		return fmt.Errorf("pins %v and %v were told; the keys issued have %v and %v", c.Key.Pin, c.Issuer.Pin, i.LeafPin, i.IssuerPin)
	}
	if newKey {
		e, err := d.nats.wait(d.ctx, ctwatch.PinCandidate, i.ID)
		if err != nil {
			return err
		}
		d.arrived("NATS", begun, string(e.Type), e.NATSSubject("ctwatch"))
	}
	text, err := d.slack.wait(d.ctx, e.ID)
	if err != nil {
		return err
	}
	d.arrived("Slack", begun, "message in #certs", text)
	d.say("    names   %s", strings.Join(c.Names, ", "))
	d.say("    leaf    %v", c.Key.Pin)
	d.say("    issuer  %v", c.Issuer.Pin)
	return nil
}

func (d *demo) finalCertificate() error {
	d.title("2. The final certificate appears, in the other log: the same certificate, seen again")
	begun := time.Now()
	i := d.issued[0]
	sct, _, err := d.rfc.AddPrecert(i)
	if err != nil {
		return err
	}
	der, err := i.Final(sct)
	if err != nil {
		return err
	}
	if _, _, err := d.rfc.AddFinal(i, der); err != nil {
		return err
	}
	for {
		e, err := d.nats.wait(d.ctx, ctwatch.CertificateLogged, i.ID)
		if err != nil {
			return err
		}
		s := e.Data.Certificate.Sightings
		d.arrived("NATS", begun, string(e.Type), fmt.Sprintf("%s, entry %d: %s", s[len(s)-1].Log, s[len(s)-1].Index, s[len(s)-1].Kind))
		if e.Data.Certificate.Fingerprints.Certificate != nil {
			d.say("    one identity for all of them: %v", i.ID)
			return nil
		}
	}
}

func (d *demo) wildcard() error {
	d.title("3. A wildcard certificate with a new key")
	i, err := d.issue(nil, "*."+demoDomain, demoDomain)
	if err != nil {
		return err
	}
	return d.logged(d.rfc, i, true)
}

func (d *demo) renewal() error {
	d.title("4. A renewal with the same key: issued, but no new pin to ship")
	i, err := d.issue(d.issued[0].Key, "api."+demoDomain)
	if err != nil {
		return err
	}
	return d.logged(d.static, i, false)
}

func (d *demo) unwatched() error {
	d.title("5. A certificate that nobody watches, among 500 others")
	i, err := d.ca.Issue(ctlogtest.Request{Names: []string{"www.other.example"}})
	if err != nil {
		return err
	}
	if _, _, err := d.static.AddPrecert(i); err != nil {
		return err
	}
	if err := d.static.Fill(500); err != nil {
		return err
	}
	d.say("Nothing must be told of it; the reckoning at the end will show.")
	return nil
}

func (d *demo) outage() error {
	d.title("6. The daemon is stopped, a certificate is issued, and the daemon starts again")
	if err := d.daemon.stop(); err != nil {
		return err
	}
	begun := time.Now()
	i, err := d.issue(nil, "pay."+demoDomain)
	if err != nil {
		return err
	}
	for _, l := range []*ctlogtest.Log{d.static, d.rfc} {
		if _, _, err := l.AddPrecert(i); err != nil {
			return err
		}
	}
	if err := d.startDaemon(); err != nil {
		return err
	}
	return d.told(begun, i, true)
}

// proof waits until all that was read is proven to be what the logs signed.
func (d *demo) proof() error {
	d.title("7. Every entry read is proven: the trees rebuilt have the roots that the logs signed")
	ctx, cancel := context.WithTimeout(d.ctx, d.patience)
	defer cancel()
	db, err := store.OpenReadOnly(ctx, filepath.Join(d.cfg.DataDir, "ctwatch.db"))
	if err != nil {
		return err
	}
	defer db.Close()
	for _, l := range []*ctlogtest.Log{d.static, d.rfc} {
		head, err := l.Publish()
		if err != nil {
			return err
		}
		s, err := waitVerified(ctx, db, l.Info().ID, head.Size)
		if err != nil {
			return err
		}
		d.say("%s: tree size %d, read %d, verified %d, root %v…", s.Name, s.TreeSize, s.Position, s.Verified, head.Root.String()[:16])
	}
	return nil
}

// waitVerified waits until a log is read and proven up to a size.
func waitVerified(ctx context.Context, db *store.DB, id ctwatch.LogID, size uint64) (ctwatch.LogStatus, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		logs, err := db.Logs(ctx)
		if err != nil {
			return ctwatch.LogStatus{}, err
		}
		for _, s := range logs {
			if s.ID == id && s.Verified == size && s.Position == size {
				return s, nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctwatch.LogStatus{}, fmt.Errorf("log %v was not verified up to %d: %w", id, size, ctx.Err())
		}
	}
}

// reckoning compares what arrived with what was issued.
func (d *demo) reckoning() error {
	d.title("8. The reckoning")
	// The daemon ends only after its senders have; what has not arrived by now
	// never will.
	if err := d.nats.settle(d.ctx); err != nil {
		return err
	}
	if err := d.daemon.stop(); err != nil {
		return err
	}
	want := make(map[ctwatch.Hash]bool)
	for _, i := range d.issued {
		want[i.ID] = true
	}
	candidates := 0
	told := make(map[ctwatch.Hash]int)
	ids := make(map[string]int)
	for _, e := range d.nats.all() {
		ids[e.ID]++
		switch e.Type {
		case ctwatch.CertificateIssued:
			told[e.Data.Certificate.ID]++
		case ctwatch.PinCandidate:
			candidates++
		}
		if c := e.Data.Certificate; c != nil && !want[c.ID] {
			return fmt.Errorf("a certificate that nobody watches was told of: %s", strings.Join(c.Names, ", "))
		}
	}
	for id := range want {
		if told[id] != 1 {
			return fmt.Errorf("certificate %v was told of %d times, not once", id, told[id])
		}
	}
	for id, n := range ids {
		if n != 1 {
			return fmt.Errorf("event %s arrived %d times", id, n)
		}
	}
	if candidates != d.keys {
		return fmt.Errorf("%d new keys were told of; there were %d", candidates, d.keys)
	}
	if twice := d.slack.twice(); twice != "" {
		return fmt.Errorf("event %s was posted to Slack twice", twice)
	}
	d.say("%d certificates for watched names issued, %d told of; %d new keys, %d pin candidates", len(want), len(told), d.keys, candidates)
	d.say("%d events on NATS and %d messages in Slack, each once", len(ids), d.slack.count())
	return nil
}
