// Package heartbeat is a dead man's switch: it calls a URL as long as the daemon works, so
// that a service which expects the calls raises an alarm when they stop.
package heartbeat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/notify/outward"
)

// Options configures a Heartbeat. Alive and Logger are required.
type Options struct {
	// Alive returns nil as long as the daemon does its work, such as reading logs
	// within their merge delay, and otherwise why it does not, in words for a person.
	// No answer within Timeout counts as an error.
	Alive func(ctx context.Context) error
	// Changed is called with the error of Alive when the daemon stops working, and with
	// nil when it works again, to record an event. since is when the previous state
	// began. An error of Changed ends Run. Optional.
	Changed func(ctx context.Context, reason error, since time.Time) error

	// Beat is called at every Interval while the daemon works. An error of it ends Run.
	// Optional.
	Beat func(ctx context.Context) error

	// URL is called by GET at every Interval while the daemon works. The service behind
	// it raises an alarm when the calls stop, for any reason. The URL may hold secrets,
	// which are never shown. Optional.
	URL      string
	Interval time.Duration // default 1 min
	Timeout  time.Duration // of Alive, and of a call. Default 10 s, at most Interval
	Outward  outward.Options

	Logger *slog.Logger
	Now    func() time.Time // default time.Now
}

// maxReply bounds what is read of a reply.
const maxReply = 64 << 10

// A Heartbeat reports at intervals that the daemon works, so that a broken daemon is not
// mistaken for one without news.
type Heartbeat struct {
	o    Options
	url  *url.URL // nil for none
	http *http.Client

	dead   error     // the last result of Alive
	since  time.Time // when that began
	failed bool      // the last call of the URL
}

// New checks the options.
func New(o Options) (*Heartbeat, error) {
	if o.Alive == nil || o.Logger == nil {
		return nil, errors.New("a heartbeat needs Alive and a logger")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Interval <= 0 {
		o.Interval = time.Minute
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	o.Timeout = min(o.Timeout, o.Interval)
	h := &Heartbeat{o: o}
	if o.URL != "" {
		u, err := ctwatch.ParseURL(strings.TrimSpace(o.URL), "http", "https")
		if err != nil {
			return nil, fmt.Errorf("the URL of heartbeats %w", err)
		}
		h.url, h.http = u, outward.NewClient(u, o.Outward)
	}
	return h, nil
}

// Run beats at once and then every interval, until ctx ends, and then returns nil.
func (h *Heartbeat) Run(ctx context.Context) error {
	if h.http != nil {
		defer h.http.CloseIdleConnections()
	}
	h.since = h.o.Now()
	t := time.NewTicker(h.o.Interval)
	defer t.Stop()
	for {
		if err := h.beat(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// beat asks Alive once, and reports the result.
func (h *Heartbeat) beat(ctx context.Context) error {
	dead := h.alive(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if (dead == nil) != (h.dead == nil) {
		since := h.since
		h.since = h.o.Now()
		if dead != nil {
			h.o.Logger.ErrorContext(ctx, "the daemon does not do its work", "reason", ctwatch.Printable(dead.Error(), 500))
		} else {
			h.o.Logger.InfoContext(ctx, "the daemon does its work again", "stood", h.since.Sub(since).Round(time.Second).String())
		}
		if h.o.Changed != nil {
			if err := h.o.Changed(ctx, dead, since); err != nil {
				h.since = since // reported again, if Run continues
				return fmt.Errorf("recording the heartbeat: %w", err)
			}
		}
	}
	if h.dead = dead; dead != nil {
		return nil
	}
	if h.o.Beat != nil {
		if err := h.o.Beat(ctx); err != nil {
			return fmt.Errorf("recording the heartbeat: %w", err)
		}
	}
	if h.url != nil {
		h.call(ctx)
	}
	return nil
}

// alive calls Alive, and returns within the time limit even if Alive does not.
func (h *Heartbeat) alive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, h.o.Timeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- h.o.Alive(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("no answer within %s whether it works", h.o.Timeout)
	}
}

// call calls the URL once. It logs the first of several failures, and their end.
func (h *Heartbeat) call(ctx context.Context) {
	cctx, cancel := context.WithTimeout(ctx, h.o.Timeout)
	defer cancel()
	err := h.get(cctx)
	switch {
	case ctx.Err() != nil:
	case err != nil && !h.failed:
		h.failed = true
		h.o.Logger.WarnContext(ctx, "the heartbeat's URL cannot be called", "error", err)
	case err == nil && h.failed:
		h.failed = false
		h.o.Logger.InfoContext(ctx, "the heartbeat's URL is called again")
	}
}

func (h *Heartbeat) get(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url.String(), nil)
	if err != nil {
		return errors.New("heartbeat.url: want a URL such as https://example.com/path") // err holds it
	}
	req.Header.Set("User-Agent", "ctwatch")
	resp, err := h.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %s", h.url.Host, ctwatch.Printable(outward.Redact(outward.WithoutURL(err), outward.Secrets(h.url)...), 300))
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxReply) // so that the connection can be used again
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s answered %d %s", h.url.Host, resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	return nil
}
