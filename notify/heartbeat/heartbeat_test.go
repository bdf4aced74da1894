package heartbeat

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ctwatch/notify/notifytest"
)

const beatPath = "/hooks/s3cr3t-t0ken?auth=qu3ry-s3cret"

// beats runs a heartbeat until the test ends, with a time limit that only the test may
// make short: on a busy machine life itself may take a while to answer.
func beats(t *testing.T, o Options) (stop func() error) {
	t.Helper()
	if o.Logger == nil {
		o.Logger = notifytest.Discard()
	}
	o.Interval = 10 * time.Millisecond
	o.Outward.AllowPrivate = true
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if o.Timeout == 0 {
		h.o.Timeout = notifytest.Patience
	} else {
		h.o.Timeout = o.Timeout
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return notifytest.Receive(t, done) })
	t.Cleanup(func() { stop() })
	return stop
}

// The calls stop while the daemon does not work, and each change is reported once.
func TestHeartbeatStopsAndReports(t *testing.T) {
	r := notifytest.NewReceiver(t, nil)
	var reason atomic.Pointer[error]
	said := make(chan string, 10)
	stop := beats(t, Options{
		URL: r.URL + beatPath,
		Alive: func(context.Context) error {
			if p := reason.Load(); p != nil {
				return *p
			}
			return nil
		},
		Changed: func(_ context.Context, reason error, since time.Time) error {
			if since.IsZero() {
				t.Error("since never")
			}
			if reason == nil {
				said <- "alive"
			} else {
				said <- reason.Error()
			}
			return nil
		},
	})
	notifytest.Eventually(t, "it beats", func() bool { return r.Count() > 3 })
	if len(said) > 0 {
		t.Errorf("reported as working without a failure before: %s", <-said)
	}
	why := errors.New("nothing was read for 25h")
	reason.Store(&why)
	if got := notifytest.Receive(t, said); got != why.Error() {
		t.Error(got)
	}
	n := r.Count()
	time.Sleep(50 * time.Millisecond) // nothing is to happen in this time
	if r.Count() > n+1 {
		t.Errorf("it beats though there is no life: %d calls more", r.Count()-n)
	}
	reason.Store(nil)
	if got := notifytest.Receive(t, said); got != "alive" {
		t.Error(got)
	}
	n = r.Count()
	notifytest.Eventually(t, "it beats again", func() bool { return r.Count() > n })
	if err := stop(); err != nil {
		t.Error(err)
	}
	if len(said) > 0 {
		t.Errorf("reported more: %s", <-said)
	}
}

func TestNoAnswerCountsAsError(t *testing.T) {
	said := make(chan error, 10)
	release := make(chan struct{})
	defer close(release)
	beats(t, Options{
		Timeout: 10 * time.Millisecond,
		Alive:   func(context.Context) error { <-release; return nil },
		Changed: func(_ context.Context, reason error, _ time.Time) error { said <- reason; return nil },
	})
	if err := notifytest.Receive(t, said); err == nil || !strings.Contains(err.Error(), "10ms") {
		t.Error(err)
	}
}

func TestUnrecordedChangeEndsRun(t *testing.T) {
	broken := errors.New("disk I/O error")
	h, err := New(Options{
		Alive:   func(context.Context) error { return errors.New("dead") },
		Changed: func(context.Context, error, time.Time) error { return broken },
		Logger:  notifytest.Discard(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Run(notifytest.Within(t, notifytest.Patience)); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// A URL that fails is called again, and logged once and without secrets.
func TestFailingURLIsLoggedOnce(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"refuses":   notifytest.Answer(500, strings.Repeat("x", 1<<20)),
		"redirects": notifytest.Answer(302, "", "Location", "/elsewhere"),
		"hangs":     func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"hangs up":  func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log notifytest.Buffer
			r := notifytest.NewReceiver(t, handler)
			calls, limit := 4, time.Duration(0)
			if name == "hangs" {
				calls, limit = 2, 3*time.Second
			}
			stop := beats(t, Options{
				Timeout: limit,
				URL:     r.URL + beatPath, Alive: func(context.Context) error { return nil },
				Logger: slog.New(slog.NewTextHandler(&log, nil)),
			})
			notifytest.Eventually(t, "it is called again and again", func() bool { return r.Count() >= calls })
			notifytest.Eventually(t, "that is logged", func() bool { return strings.Contains(log.String(), "cannot be called") })
			if err := stop(); err != nil {
				t.Error(err)
			}
			if text := log.String(); strings.Count(text, "\n") != 1 || strings.Contains(text, "s3cr3t") || strings.Contains(text, "qu3ry") {
				t.Error(text)
			}
		})
	}
}

func TestNewRefusesWrongOptions(t *testing.T) {
	alive := func(context.Context) error { return nil }
	for _, o := range []Options{
		{},
		{Logger: notifytest.Discard()},
		{Alive: alive},
		{Alive: alive, Logger: notifytest.Discard(), URL: "ftp://example.com/s3cr3t"},
	} {
		if _, err := New(o); err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
