package daemon

import (
	"context"
	"time"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/configs"
	"ctwatch/ctwatch"
	"ctwatch/notify/heartbeat"
)

// beat reports that the daemon works, by events and by calling a URL, and raises an alarm
// when it does not.
func (d *Daemon) beat(ctx context.Context) error {
	url, err := d.cfg.Heartbeat.URL.Reveal()
	if err != nil {
		return err
	}
	h, err := heartbeat.New(heartbeat.Options{
		Alive: d.liveness.Alive, Changed: d.announceLiveness, Beat: d.announceBeat,
		URL: url, Interval: d.cfg.Heartbeat.Interval, Outward: setup.Outward(d.cfg.Heartbeat.AllowPrivate), Logger: d.logger,
	})
	if err != nil {
		wrong := configs.Mistakes{Config: d.cfg}
		wrong.At(err, "heartbeat")
		return wrong.Err()
	}
	return h.Run(ctx)
}

func (d *Daemon) announceBeat(ctx context.Context) error {
	return d.db.Outbox.Add(ctx, ctwatch.HeartbeatEvent(time.Now()))
}

// announceLiveness records that the daemon has stopped reading, or reads again.
func (d *Daemon) announceLiveness(ctx context.Context, reason error, since time.Time) error {
	if reason != nil {
		return d.db.Outbox.Add(ctx, ctwatch.StalledEvent(reason.Error(), time.Now()))
	}
	return d.db.Outbox.Add(ctx, ctwatch.ResumedEvent(since, time.Now()))
}
