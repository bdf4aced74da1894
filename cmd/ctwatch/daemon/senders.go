package daemon

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/configs"
	"ctwatch/ctwatch/operator"
	"ctwatch/notify"
	"ctwatch/notify/nats"
	"ctwatch/notify/nats/embedded"
	"ctwatch/notify/stdout"
	"ctwatch/store"
)

// permanentSenders are those that stay until the daemon ends: NATS and stdout.
type permanentSenders struct {
	list     []notify.Sender
	nats     *nats.Sender
	embedded *embedded.Server // nil if there is a NATS server elsewhere
}

// makePermanent starts the embedded NATS server, if there is no other, and makes the
// senders that stay until the daemon ends.
func (d *Daemon) makePermanent(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			_ = d.closePermanent()
		}
	}()
	p := &d.permanent
	o, err := setup.NATSOptions(d.cfg, d.logger)
	if err != nil {
		return err
	}
	if err := d.watchStream(ctx, &o); err != nil {
		return err
	}
	if o.URL == "" {
		p.embedded, err = embedded.Start(embedded.Options{
			Listen: d.cfg.NATS.Listen, StoreDir: filepath.Join(d.cfg.DataDir, "nats"), Logger: d.logger,
		})
		if err != nil {
			return err
		}
		o.InProcess = p.embedded
		url := p.embedded.ClientURL()
		d.logger.Info("embedded NATS server is ready", "url", url, "stream", o.Stream, "subjects", o.SubjectPrefix+".>")
		if d.o.OnNATS != nil {
			d.o.OnNATS(url)
		}
	}
	if p.nats, err = nats.New(o); err != nil {
		return fmt.Errorf("nats.%w", err)
	}
	p.list = append(p.list, p.nats)
	if d.cfg.Stdout {
		p.list = append(p.list, stdout.New(stdout.Options{W: d.o.Out, JSON: d.o.JSON, Color: d.o.Color}))
	}
	return nil
}

func (d *Daemon) closePermanent() error {
	if p := d.permanent; p.nats != nil {
		p.nats.Close()
	}
	if p := d.permanent; p.embedded != nil {
		p.embedded.Shutdown()
	}
	return nil
}

// makeSenders makes the manager of senders, with those of the configuration.
func (d *Daemon) makeSenders(ctx context.Context) error {
	m, err := notify.NewManager(notify.Config{
		Outbox: d.db.Outbox, Logger: d.logger, OnSend: d.metrics.Sent, Storm: d.cfg.Notify.Storm, BackoffMax: d.o.BackoffMax,
	}, d.permanent.list, d.db.Outbox.Unregister)
	if err != nil {
		return err
	}
	senders, err := d.configuredSenders(d.cfg)
	if err == nil {
		err = m.Replace(ctx, senders)
	}
	if err != nil {
		m.Close()
		return err
	}
	d.senders.Store(m)
	return nil
}

// configuredSenders makes the senders that may change while the daemon runs.
func (d *Daemon) configuredSenders(cfg *configs.Config) ([]notify.Sender, error) {
	return setup.Senders(cfg, setup.SenderOptions{
		Logger: d.logger, DB: d.db, Policy: d.policy,
		Operator: operator.New(operator.Options{Certificates: d.db.Certificates}),
	})
}

func (d *Daemon) send(ctx context.Context) error { return d.senders.Load().Run(ctx) }

func (d *Daemon) closeSenders() error {
	d.senders.Load().Close()
	return nil
}

// republished bounds the age of events that are published again after the stream was
// deleted. Older ones can be replayed by hand (keepEvents).
const republished = 24 * time.Hour

// watchStream connects the NATS sender to the store: for its warnings, what it remembers of the
// stream, and the events that a new stream gets.
func (d *Daemon) watchStream(ctx context.Context, o *nats.Options) (err error) {
	if o.Key, err = d.db.Senders.Secret(ctx, "message IDs on NATS"); err != nil {
		return err
	}
	o.Warn = func(ctx context.Context, code, text string) {
		if err := d.db.Senders.AddWarning(ctx, nats.Name, code, text); err != nil && ctx.Err() == nil {
			d.logger.Error("a warning about NATS could not be stored for \"ctwatch notify status\"", "error", err)
		}
	}
	o.Resolved = func(ctx context.Context, code string) {
		if err := d.db.Senders.ResolveWarning(ctx, nats.Name, code); err != nil && ctx.Err() == nil {
			d.logger.Error("a warning about NATS could not be removed", "error", err)
		}
	}
	o.Republish = func(ctx context.Context) (int64, error) {
		n, err := d.db.Outbox.Replay(ctx, nats.Name, store.Replay{Since: d.now().Add(-republished)})
		if errors.Is(err, store.ErrNoSender) { // nothing was ever published
			return 0, nil
		}
		return n, err
	}
	o.Recall = func(ctx context.Context) (created time.Time, err error) {
		note, err := d.db.Senders.Note(ctx, nats.Name)
		if err == nil && note != "" {
			created, err = time.Parse(time.RFC3339Nano, note)
		}
		return created, err
	}
	o.Remember = func(ctx context.Context, created time.Time) error {
		return d.db.Senders.SetNote(ctx, nats.Name, created.UTC().Format(time.RFC3339Nano))
	}
	return nil
}
