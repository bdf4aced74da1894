package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"ctwatch/configs"
	"ctwatch/ctwatch"
)

// A narrator prints what happens, and cleans up at the end.
type narrator struct {
	w       io.Writer
	color   bool
	closers []func()
}

func (n *narrator) style(code, s string) string {
	if !n.color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (n *narrator) title(s string) { fmt.Fprintf(n.w, "\n%s\n", n.style("1", s)) }

func (n *narrator) say(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	if s != "" {
		s = "  " + ctwatch.Printable(s, 400)
	}
	fmt.Fprintln(n.w, s)
}

func (n *narrator) arrived(where string, begun time.Time, what, detail string) {
	fmt.Fprintf(n.w, "  %s %-5s after %4d ms: %s  %s\n", n.style("32", "✓"), where, time.Since(begun).Milliseconds(), what, ctwatch.Printable(detail, 200))
}

func (n *narrator) fail(err error) {
	fmt.Fprintf(n.w, "  %s %s\n", n.style("31", "✗"), ctwatch.Printable(err.Error(), 1000))
}

func (n *narrator) onClose(f func()) { n.closers = append(n.closers, f) }

// Close ends everything, the last first.
func (d *Demo) Close() {
	if d.nats != nil {
		d.nats.disconnect()
	}
	if d.daemon != nil {
		_ = d.daemon.stop()
	}
	for i := len(d.closers) - 1; i >= 0; i-- {
		d.closers[i]()
	}
}

// A runningDaemon is a daemon that works in the background.
type runningDaemon struct {
	natsURL string
	httpURL string
	cancel  context.CancelFunc
	done    chan struct{}
	err     error // once done is closed
}

// startDaemon starts the daemon, and returns once its NATS server listens.
func startDaemon(ctx context.Context, o Options, cfg *configs.Config) (*runningDaemon, error) {
	ctx, cancel := context.WithCancel(ctx)
	r := &runningDaemon{cancel: cancel, done: make(chan struct{})}
	url := make(chan string, 1)
	go func() {
		defer close(r.done)
		r.err = o.Daemon(ctx, cfg, o.Logger, func(u string) { r.httpURL = u }, func(u string) { url <- u })
	}()
	select {
	case r.natsURL = <-url:
		return r, nil
	case <-r.done:
		err := cmp.Or(r.err, ctx.Err(), errEarly) // asked to end, it ends without an error
		cancel()
		return nil, err
	}
}

// errEarly is the error of a daemon that ends before its NATS server is ready.
var errEarly = errors.New("the daemon ended before it was ready")

// stop ends the daemon and waits for it.
func (r *runningDaemon) stop() error {
	r.cancel()
	<-r.done
	return r.err
}

// poll calls f until it is done or fails, or ctx ends.
func poll(ctx context.Context, f func() (done bool, err error)) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if done, err := f(); done || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
