package probe_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ctwatch/pins"
	"ctwatch/pins/probe"
)

// A fixture is endpoints that take a while to probe, with a clock that only the test
// advances.
type fixture struct {
	t *testing.T

	mu        sync.Mutex
	endpoints []pins.Endpoint
	down      map[string]bool
	takes     time.Duration
	started   map[string][]time.Time
	recorded  map[string]int
	running   int
	most      int
	readings  int
	fail      error // of recording
}

// schedule runs a scheduler until the test's bubble ends.
func (w *fixture) schedule(interval time.Duration, looks int) (s *probe.Scheduler, ended <-chan error) {
	w.t.Helper()
	w.started, w.recorded = make(map[string][]time.Time), make(map[string]int)
	s, err := probe.NewScheduler(probe.ScheduleConfig{
		Look: w.look,
		Endpoints: func() []pins.Endpoint {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.readings++
			return w.endpoints
		},
		Record: func(_ context.Context, l pins.Look) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.recorded[l.Endpoint.Host]++
			return w.fail
		},
		Logger:   slog.New(slog.DiscardHandler),
		Interval: interval,
		Looks:    looks,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		synctest.Wait()
	})
	return s, done
}

func (w *fixture) look(ctx context.Context, e pins.Endpoint) pins.Look {
	w.mu.Lock()
	w.started[e.Host] = append(w.started[e.Host], time.Now())
	w.running++
	w.most = max(w.most, w.running)
	l := pins.Look{Endpoint: e, At: time.Now()}
	if w.down[e.Host] {
		l.Err = errNotDialed
	}
	w.mu.Unlock()
	select {
	case <-time.After(w.takes):
	case <-ctx.Done():
	}
	w.mu.Lock()
	w.running--
	w.mu.Unlock()
	return l
}

// after lets time pass, and returns how often an endpoint was probed until then.
func (w *fixture) after(d time.Duration, host string) int {
	time.Sleep(d) // of the bubble's clock
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.started[host])
}

// list makes endpoints of hosts.
func (w *fixture) list(hosts ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.endpoints = nil
	for _, h := range hosts {
		w.endpoints = append(w.endpoints, pins.Endpoint{Host: h})
	}
}

func hosts(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("h%d.example.test", i))
	}
	return out
}

// TestLooksSpreadOverTheInterval: the first looks are at once, and later ones spread over
// the interval.
func TestLooksSpreadOverTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &fixture{t: t, takes: 100 * time.Millisecond}
		w.list(hosts(100)...)
		start := time.Now()
		w.schedule(10*time.Minute, 10)
		w.after(2*time.Hour, "")
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.most != 10 {
			t.Errorf("up to %d looks at once, want 10", w.most)
		}
		minutes := make(map[int]int) // in which the second looks were
		for h, at := range w.started {
			if first := at[0].Sub(start); first > time.Second {
				t.Errorf("%s: the first look was after %s", h, first)
			}
			minutes[int(at[1].Sub(start).Minutes())]++
			for i := range at[2:] {
				// A look may have to wait for others.
				if pause := at[i+2].Sub(at[i+1]); pause < 9*time.Minute || pause > 11*time.Minute+time.Second {
					t.Errorf("%s: a pause of %s", h, pause)
				}
			}
			if w.recorded[h] != len(at) && w.recorded[h] != len(at)-1 {
				t.Errorf("%s: %d looks, %d recorded", h, len(at), w.recorded[h])
			}
		}
		if len(w.started) != 100 || len(minutes) < 8 {
			t.Errorf("the second looks at %d endpoints were in the minutes %v", len(w.started), minutes)
		}
	})
}

// TestFailedLookBacksOff: a failed look is repeated early, and then at growing intervals.
func TestFailedLookBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &fixture{t: t, down: map[string]bool{host: true}}
		w.list(host)
		w.schedule(10*time.Minute, 1)
		w.after(time.Hour, host)
		w.mu.Lock()
		for i, want := range []time.Duration{1, 2, 4, 8, 10, 10} {
			want *= time.Minute
			if got := w.started[host][i+1].Sub(w.started[host][i]); got < want*9/10 || got > want*11/10 {
				t.Errorf("pause %d is %s, want about %s", i, got, want)
			}
		}
		w.down[host] = false
		n := len(w.started[host])
		w.mu.Unlock()

		w.after(time.Hour, host)
		w.mu.Lock()
		defer w.mu.Unlock()
		if got := w.started[host][n+2].Sub(w.started[host][n+1]); got < 9*time.Minute {
			t.Errorf("pause %s though it is up", got)
		}
		w.down[host] = true
	})
}

// TestNowIsRateLimited: Now leads to a look at once, but not more often than every 5 s.
func TestNowIsRateLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &fixture{t: t, takes: time.Second}
		w.list(host, "other.example.test")
		s, _ := w.schedule(time.Hour, 1)
		if n := w.after(3*time.Second, host); n != 1 {
			t.Fatalf("%d looks at first", n)
		}
		if n := w.after(3*time.Second, host); n != 1 {
			t.Fatalf("%d looks without a request", n)
		}
		for range 1000 {
			s.Now(host, "unknown.example.test")
		}
		if n := w.after(200*time.Millisecond, host); n != 2 {
			t.Fatalf("%d looks after Now, want 2", n)
		}
		s.Now(host) // while one is under way
		if n := w.after(2*time.Second, host); n != 2 {
			t.Errorf("%d looks within the shortest pause", n)
		}
		if n := w.after(4*time.Second, host); n != 3 {
			t.Errorf("%d looks: one that was asked for during a look is missing", n)
		}
		for range 600 { // a flood for a minute
			s.Now(host)
			w.after(100*time.Millisecond, host)
		}
		if n := w.after(10*time.Second, host); n < 12 || n > 18 {
			t.Errorf("%d looks though Now was called for a minute", n)
		}
		if n := w.after(0, "other.example.test"); n != 1 {
			t.Errorf("%d looks at the other", n)
		}
		s.Now()
		if n := w.after(10*time.Second, "other.example.test"); n != 2 {
			t.Errorf("%d looks at the other after Now for all", n)
		}
	})
}

func TestNowComesBeforeTheRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &fixture{t: t, takes: time.Second}
		w.list(append(hosts(1000), "urgent.example.test")...)
		s, _ := w.schedule(time.Hour, 1)
		before := w.after(10*time.Second, "urgent.example.test")
		s.Now("urgent.example.test")
		if n := w.after(7*time.Second, "urgent.example.test"); n != before+1 {
			t.Errorf("%d looks, want one more than %d before the round ends", n, before)
		}
	})
}

func TestEndpointsMayChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &fixture{t: t}
		w.list("old.example.test", host)
		s, _ := w.schedule(10*time.Minute, 4)
		w.after(time.Second, "")
		w.list("new.example.test", host, host)
		if n := w.after(time.Minute, "new.example.test"); n != 1 {
			t.Errorf("%d looks at the new one within a tenth of the interval", n)
		}
		if n := w.after(time.Hour, "old.example.test"); n != 1 {
			t.Errorf("%d looks at the old one", n)
		}
		w.list("newest.example.test")
		s.Now("newest.example.test")
		if n := w.after(time.Second, "newest.example.test"); n != 1 {
			t.Errorf("%d looks at one that was asked for by Now", n)
		}

		// Leaving and coming back while a look is in progress.
		w.mu.Lock()
		w.takes = 5 * time.Minute
		w.mu.Unlock()
		w.list("slow.example.test")
		s.Now()
		w.after(time.Second, "")
		w.list()
		w.after(2*time.Minute, "")
		w.list("slow.example.test")
		w.after(2*time.Minute, "")
		w.list()
		if n := w.after(time.Hour, "slow.example.test"); n != 1 {
			t.Errorf("%d looks at one that left", n)
		}
	})
}

func TestRunEnds(t *testing.T) {
	t.Run("with its context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := &fixture{t: t, takes: time.Hour}
			w.list(hosts(10)...)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			w.started = make(map[string][]time.Time)
			s, err := probe.NewScheduler(probe.ScheduleConfig{
				Look: w.look, Endpoints: func() []pins.Endpoint { return w.endpoints }, Logger: slog.New(slog.DiscardHandler),
				Record: func(context.Context, pins.Look) error {
					t.Error("a look that was cut short is recorded")
					return nil
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Run(ctx); err != nil || w.running != 0 {
				t.Errorf("Run: %v, %d looks left", err, w.running)
			}
		})
	})
	t.Run("when nothing can be recorded", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := &fixture{t: t, fail: errors.New("disk full"), takes: time.Second}
			w.list(host)
			_, ended := w.schedule(0, 0)
			if err := <-ended; !errors.Is(err, w.fail) {
				t.Errorf("Run: %v", err)
			} else {
				mustFail(t, err, "recording what "+host+" serves")
			}
		})
	})
	if _, err := probe.NewScheduler(probe.ScheduleConfig{}); err == nil {
		t.Error("a scheduler without anything was made")
	}
}

// A round of a thousand endpoints, many of them on hostile servers, never has more open
// connections than allowed, and makes no more than necessary.
func TestRoundOfThousandEndpointsIsBounded(t *testing.T) {
	const (
		endpoints = 1000
		looks     = 16
		most      = 2 * looks
		limit     = 500 * time.Millisecond
	)
	f := newFamily(t)
	good := shakeHands(&tls.Config{Certificates: []tls.Certificate{chain(f.leaf, f.intermediate)}})
	hangs := listen(t, "127.0.0.1:0", func(c net.Conn) { io.Copy(io.Discard, c) })
	spams := listen(t, "127.0.0.1:0", forever(bytes.Repeat(record(21, 1, 90), 500)))
	servers := []string{
		listen(t, "127.0.0.1:0", good).String(),
		listen(t, "127.0.0.1:0", func(net.Conn) {}).String(),
		listen(t, "127.0.0.1:0", answer([]byte("220 mail.example.test ESMTP\r\n"))).String(),
	}

	var open, peak, dials atomic.Int64
	p := probe.New(probe.Config{
		Roots:            f.roots(),
		HandshakeTimeout: limit,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			dials.Add(1)
			n := open.Add(1)
			for old := peak.Load(); n > old && !peak.CompareAndSwap(old, n); old = peak.Load() {
			}
			c, err := new(net.Dialer).DialContext(ctx, network, address)
			if err != nil {
				open.Add(-1)
				return nil, err
			}
			return &counted{Conn: c, closed: sync.OnceFunc(func() { open.Add(-1) })}, nil
		},
		// A third of the hosts has a second address, where nothing listens.
		Resolver: names{"two.example.test": {"127.0.0.1", "127.0.0.2"}},
	})

	var list []pins.Endpoint
	for i, h := range hosts(endpoints) {
		e := pins.Endpoint{Host: h, Target: servers[i%len(servers)], Configured: true}
		switch {
		case i%20 == 0:
			e.Target = hangs.String()
		case i%20 == 1:
			e.Target = spams.String()
		case i%3 == 0:
			_, port, _ := net.SplitHostPort(e.Target)
			e.Target = net.JoinHostPort("two.example.test", port)
		}
		list = append(list, e)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	seen := make(map[string]bool)
	reached := 0
	s, err := probe.NewScheduler(probe.ScheduleConfig{
		Look:      p.Look,
		Endpoints: func() []pins.Endpoint { return list },
		Record: func(_ context.Context, l pins.Look) error {
			mu.Lock()
			defer mu.Unlock()
			seen[l.Endpoint.Host] = true
			if l.Failure() == nil {
				reached++
			}
			if len(seen) == endpoints {
				cancel()
			}
			return nil
		},
		Logger: slog.New(slog.DiscardHandler), Interval: time.Hour, Looks: looks,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d endpoints, %d reached by %d connections, at most %d at once", len(seen), reached, dials.Load(), peak.Load())
	if len(seen) != endpoints || reached == 0 {
		t.Errorf("%d of %d endpoints looked at, %d reached", len(seen), endpoints, reached)
	}
	if peak.Load() > most || open.Load() != 0 {
		t.Errorf("%d connections were open at once, want at most %d; %d are left", peak.Load(), most, open.Load())
	}
	// Each address may take three handshakes at worst, and no host has more than two,
	// which are asked at once.
	if n := dials.Load(); n > 2*3*endpoints {
		t.Errorf("%d connections were made", n)
	}
}

type counted struct {
	net.Conn
	closed func()
}

func (c *counted) Close() error {
	defer c.closed()
	return c.Conn.Close()
}
