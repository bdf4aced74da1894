package daemon

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
)

// A readiness knows whether the daemon is ready, and tells systemd how it is
// (sd_notify(3)). Outside of systemd it tells nobody.
type readiness struct {
	logger *slog.Logger
	ready  atomic.Bool
}

// headVerified is called for each tree head whose signature was good. With the
// first the daemon is ready: it has reached a log and can tell true from false.
func (r *readiness) headVerified(log string) {
	if r.ready.CompareAndSwap(false, true) {
		r.logger.Info("ready: verified a tree head", "log", log)
		r.notify(systemd.SdNotifyReady)
	}
}

// is reports whether the daemon is ready.
func (r *readiness) is() bool { return r.ready.Load() }

func (r *readiness) stopping() { r.notify(systemd.SdNotifyStopping) }

// watchdog tells systemd's watchdog that the daemon is alive, twice as often as it
// asks for.
func (r *readiness) watchdog(ctx context.Context) error {
	interval, err := systemd.SdWatchdogEnabled(false)
	if err != nil || interval == 0 {
		return nil
	}
	t := time.NewTicker(interval / 2)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			r.notify(systemd.SdNotifyWatchdog)
		}
	}
}

func (r *readiness) notify(state string) {
	if _, err := systemd.SdNotify(false, state); err != nil {
		r.logger.Warn("systemd could not be told", "state", state, "error", err)
	}
}
