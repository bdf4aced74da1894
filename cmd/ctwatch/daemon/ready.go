package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
)

// A readiness is whether the daemon is ready. It notifies systemd (sd_notify(3)), if the
// daemon is a service.
type readiness struct {
	logger *slog.Logger
	ready  atomic.Bool

	extended time.Time // when the start was given more time
}

// startLonger is how long a start that makes progress may still take, each time it says so.
const startLonger = time.Minute

// headVerified is called for each tree head whose signature was good. With the
// first the daemon is ready: it reaches a log, and verifies what the log signs.
func (r *readiness) headVerified(log string) {
	if r.ready.CompareAndSwap(false, true) {
		r.logger.Info("ready: verified a tree head", "log", log)
		r.notify(systemd.SdNotifyReady)
	}
}

// is reports whether the daemon is ready.
func (r *readiness) is() bool { return r.ready.Load() }

func (r *readiness) stopping() { r.notify(systemd.SdNotifyStopping) }

// extend gives a start that makes progress more time. It may be called often.
func (r *readiness) extend() {
	if now := time.Now(); now.Sub(r.extended) > startLonger/3 {
		r.extended = now
		r.notify(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", startLonger.Microseconds()))
	}
}

// watchdog notifies systemd's watchdog that the daemon is alive, twice as often as needed.
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
		r.logger.Warn("systemd could not be notified", "state", state, "error", err)
	}
}
