package main

import (
	"context"
	"errors"
	"time"

	"ctwatch/notify/nats"
	"ctwatch/store"
)

// republished is how old the events are at most that are published again after the stream was
// deleted. Older ones are kept, too (keepEvents), and are a person's to replay.
const republished = 24 * time.Hour

// watchStream connects the NATS sender to the store: for its warnings, what it remembers of the
// stream, and the events that a new stream gets.
func (d *daemon) watchStream(ctx context.Context, o *nats.Options) (err error) {
	if o.Key, err = d.db.Senders.Secret(ctx, "message IDs on NATS"); err != nil {
		return err
	}
	o.Warn = func(ctx context.Context, code, text string) {
		if err := d.db.Senders.AddWarning(ctx, nats.Name, code, text); err != nil && ctx.Err() == nil {
			d.logger.Error("a warning about NATS cannot be kept for \"ctwatch notify status\"", "error", err)
		}
	}
	o.Resolved = func(ctx context.Context, code string) {
		if err := d.db.Senders.ResolveWarning(ctx, nats.Name, code); err != nil && ctx.Err() == nil {
			d.logger.Error("a warning about NATS cannot be taken back", "error", err)
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
