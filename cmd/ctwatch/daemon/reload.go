package daemon

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"reflect"
	"runtime/debug"
	"slices"
	"time"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/configs"
)

// filesEvery is how often the files of the configuration are checked for changes.
const filesEvery = 2 * time.Second

// reloads reads the configuration again on every hangup, and when one of its files has
// changed and is stable.
func (d *Daemon) reloads(ctx context.Context) error {
	tick := time.NewTicker(filesEvery)
	defer tick.Stop()
	used := stamps(d.inventory.Load())
	before := used
	for {
		asked := false
		select {
		case <-ctx.Done():
			return nil
		case <-d.o.Hangup:
			asked = true
		case <-tick.C:
		}
		now := stamps(d.inventory.Load())
		settled := slices.Equal(now, before)
		before = now
		if !asked && (!settled || slices.Equal(now, used)) {
			continue
		}
		used = now
		if d.o.Reread != nil {
			if err := d.reload(ctx); err != nil {
				return err
			}
		}
		if asked {
			d.prober.Now()
		}
		used = stamps(d.inventory.Load())
		before = used
	}
}

// A stamp changes with a file.
type stamp struct {
	name string
	size int64
	at   time.Time
}

// stamps returns the state of the configuration file and of those that it names.
func stamps(inv *setup.Inventory) []stamp {
	names := slices.Concat([]string{inv.Config.File()}, inv.Config.WatchFiles, inv.Config.Hooks)
	for _, app := range inv.Config.Apps {
		for _, s := range app.Shipped {
			names = append(names, s.File)
		}
	}
	var out []stamp
	for _, name := range names {
		if name == "" {
			continue
		}
		s := stamp{name: name, size: -1}
		if info, err := os.Stat(name); err == nil {
			s.size, s.at = info.Size(), info.ModTime()
		}
		out = append(out, s)
	}
	return out
}

const notReloaded = "the configuration was not reloaded, and the one before stays in force"

// reload puts the configuration in force as it is in the files now: watch list, rules,
// apps and notifications. One that cannot be used is logged, and changes nothing. An
// error is one of the store.
func (d *Daemon) reload(ctx context.Context) error {
	d.reloading.Store(true)
	before := d.inventory.Load()
	next, err := d.o.Reread(before)
	if err != nil {
		d.refuse(err)
		return nil
	}
	senders, err := d.configuredSenders(next.Config)
	if err != nil {
		d.refuse(err)
		return nil
	}
	if err := d.senders.Load().Replace(ctx, senders); err != nil {
		d.refuse(err)
		return nil
	}
	d.policy.Replace(next.Policies())
	d.watched.Replace(next.List)
	if err := d.apply(ctx, next); err != nil {
		return err
	}
	for _, setting := range fixedSettings(d.cfg, next.Config) {
		d.logger.Warn("a changed setting is in force only after a restart", "setting", setting)
	}
	if s := next.Probing(); s != before.Probing() {
		d.logger.Info(s)
	}
	d.inventory.Store(next)
	d.planner.Replan()
	d.metrics.Reloaded(true)
	watched, watchedBefore := next.List.Len(), before.List.Len()
	if next.List != before.List {
		before = nil
		debug.FreeOSMemory() // the watch list before may be large
	}
	level, attrs := reloaded(watched, watchedBefore)
	attrs = append(attrs, slog.String("file", next.Config.File()), slog.Int("apps", len(next.Apps)))
	d.logger.LogAttrs(ctx, level, "configuration reloaded", attrs...)
	return nil
}

// reloaded says how many names are watched, and were before if that differs. A list of
// less than half of the names is a warning: a file may have been cut.
func reloaded(watched, before int) (slog.Level, []slog.Attr) {
	attrs := []slog.Attr{slog.Int("watched", watched)}
	if watched != before {
		attrs = append(attrs, slog.Int("before", before))
	}
	if watched < before-watched {
		return slog.LevelWarn, append(attrs, slog.String("hint", "more than half of the names are gone: check that no watch file was cut"))
	}
	return slog.LevelInfo, attrs
}

// refuse says why a configuration is not put in force.
func (d *Daemon) refuse(err error) {
	d.metrics.Reloaded(false)
	var all configs.Errors
	if !errors.As(err, &all) {
		d.logger.Error(notReloaded, "error", err)
	}
	for _, e := range all {
		d.logger.Error(notReloaded, "error", e)
	}
}

// fixedSettings lists the settings that differ and are not reloaded.
func fixedSettings(a, b *configs.Config) []string {
	var out []string
	differ := func(name string, same bool) {
		if !same {
			out = append(out, name)
		}
	}
	differ("data_dir", a.DataDir == b.DataDir)
	differ("logs", reflect.DeepEqual(a.Logs, b.Logs))
	differ("nats", reflect.DeepEqual(a.NATS, b.NATS))
	differ("http", reflect.DeepEqual(a.HTTP, b.HTTP))
	differ("probe", a.Probe == b.Probe || b.Probe.Interval == 0)
	differ("signing", a.Signing == b.Signing)
	differ("stdout", a.Stdout == b.Stdout)
	differ("heartbeat", a.Heartbeat.Interval == b.Heartbeat.Interval && a.Heartbeat.URL.IsSet() == b.Heartbeat.URL.IsSet())
	differ("dns", reflect.DeepEqual(a.DNS, b.DNS))
	differ("notify", a.Notify == b.Notify)
	return out
}
