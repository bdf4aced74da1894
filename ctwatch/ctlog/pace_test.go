package ctlog_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ctwatch/ctwatch/ctlog"
	"ctwatch/ctwatch/ctlogtest"
)

// An operator answers as an operator of logs does, in the time of a synctest
// bubble: it allows so many requests per second and refuses the others.
type operator struct {
	allows float64
	takes  time.Duration // for an answer

	mu       sync.Mutex
	tokens   float64
	at       time.Time
	accepted int
	refused  int
}

func (o *operator) answer() error {
	time.Sleep(o.takes)
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	o.tokens = min(max(1, o.allows), o.tokens+now.Sub(o.at).Seconds()*o.allows)
	o.at = now
	if o.tokens < 1 {
		o.refused++
		return &ctlog.StatusError{Code: http.StatusTooManyRequests}
	}
	o.tokens--
	o.accepted++
	return nil
}

func (o *operator) count() (accepted, refused int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.accepted, o.refused
}

// ask has workers ask as fast as a pace lets them, until ctx ends.
func ask(ctx context.Context, workers *sync.WaitGroup, n int, p *ctlog.LogPace, answer func() error) {
	for range n {
		workers.Go(func() {
			for p.Wait(ctx) == nil {
				begun := time.Now()
				err := answer()
				p.Done(begun, true, err)
				p.Verdict(begun, err)
			}
		})
	}
}

// A pace finds the limit of an operator that only answers 429 without Retry-After, whether
// it allows many requests or one in seven seconds.
func TestTrap09PaceFindsLimit(t *testing.T) {
	const most = 20
	for _, allows := range []float64{0.15, 0.5, 2, 10, 100} {
		t.Run(fmt.Sprint(allows), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				var workers sync.WaitGroup
				o := &operator{allows: allows, takes: 50 * time.Millisecond, at: time.Now()}
				p := ctlog.NewPace(most)
				for range 3 { // shards
					ask(ctx, &workers, 8, p.Log(), o.answer)
				}
				settle := time.Duration(200/allows) * time.Second
				time.Sleep(settle)
				a0, r0 := o.count()
				const hours = 1
				time.Sleep(hours * time.Hour)
				a1, r1 := o.count()
				cancel()
				workers.Wait()

				got, refused := float64(a1-a0)/hours/3600, float64(r1-r0)/float64(a1-a0+r1-r0)
				t.Logf("%.3g a second, %.1f %% of them refused", got, 100*refused)
				if want := min(allows, most); got < 0.6*want || got > 1.01*want {
					t.Errorf("%.3g accepted requests a second; the operator allows %v", got, allows)
				}
				if refused > 0.1 {
					t.Errorf("%.0f %% of the requests were refused", 100*refused)
				}
			})
		})
	}
}

// No replies raise the rate above its maximum.
func TestPaceKeepsMaximum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var workers sync.WaitGroup
		var n atomic.Int64
		p := ctlog.NewPace(7)
		for range 5 {
			ask(ctx, &workers, 16, p.Log(), func() error { n.Add(1); return nil })
		}
		time.Sleep(100 * time.Second)
		cancel()
		workers.Wait()
		if n := n.Load(); n > 7*100+7 || n < 600 {
			t.Errorf("%d requests in 100 s at 7 a second", n)
		}
		if p.Rate() != 7 {
			t.Errorf("rate %v", p.Rate())
		}
	})
}

// Retry-After stops requests to all logs of the operator for that long, up to a bound.
func TestRetryAfterStopsAllShards(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{
		time.Second: time.Second, 90 * time.Second: 90 * time.Second, 48 * time.Hour: 10 * time.Minute,
	} {
		for _, code := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
			synctest.Test(t, func(t *testing.T) {
				p := ctlog.NewPace(20)
				a, b := p.Log(), p.Log()
				wait(t, a)
				a.Done(time.Now(), false, &ctlog.StatusError{Code: code, RetryAfter: asked})
				begun := time.Now()
				wait(t, b)
				if waited := time.Since(begun); waited != want {
					t.Errorf("status %d, Retry-After %v: its sibling was asked after %v, want %v", code, asked, waited, want)
				}
				if waited := wait(t, a); waited > time.Second {
					t.Errorf("status %d: it was asked %v after that", code, waited)
				}
			})
		}
	}
}

func wait(t *testing.T, l *ctlog.LogPace) (waited time.Duration) {
	t.Helper()
	begun := time.Now()
	if err := l.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	return time.Since(begun)
}

// Retry-After may be a date, over HTTP as servers in Go write it, and applies to another
// log of the operator.
func TestRetryAfterDate(t *testing.T) {
	t.Parallel()
	var busy atomic.Pointer[time.Time]
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		until := time.Now().Add(2 * time.Second).Truncate(time.Second)
		busy.Store(&until)
		w.Header().Set("Retry-After", until.UTC().Format(time.RFC1123))
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer srv.Close()
	l, err := ctlogtest.New(ctlogtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	stop, err := l.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	p := ctlog.NewPace(20)
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	o := ctlog.Options{Client: &http.Client{Transport: tr}, Logger: slog.New(slog.DiscardHandler)}

	info := l.Info()
	info.URL = srv.URL
	o.Pace = p.Log()
	first, err := ctlog.Open(info, o)
	if err != nil {
		t.Fatal(err)
	}
	o.Pace = p.Log()
	second, err := ctlog.Open(l.Info(), o)
	if err != nil {
		t.Fatal(err)
	}
	var se *ctlog.StatusError
	if _, err := first.Head(t.Context()); !errors.As(err, &se) || se.RetryAfter <= 0 {
		t.Fatalf("error %v", err)
	}
	if _, err := second.Head(t.Context()); err != nil {
		t.Fatal(err)
	}
	if early := time.Until(*busy.Load()); early > 0 {
		t.Errorf("the other log was asked %v early", early)
	}
}

// A log that gives only errors gets few requests, whatever the errors are and however many
// goroutines ask.
func TestFailingLogGetsFewRequests(t *testing.T) {
	for name, fails := range map[string]error{
		"500":         &ctlog.StatusError{Code: 500},
		"503":         &ctlog.StatusError{Code: 503},
		"429":         &ctlog.StatusError{Code: 429},
		"404":         &ctlog.StatusError{Code: 404},
		"unreachable": errors.New("connection refused"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				var workers sync.WaitGroup
				var n atomic.Int64
				var well atomic.Bool
				p := ctlog.NewPace(20).Log()
				ask(ctx, &workers, 16, p, func() error {
					n.Add(1)
					if well.Load() {
						return nil
					}
					time.Sleep(10 * time.Millisecond)
					return fails
				})
				in := func(d time.Duration) int64 {
					before := n.Load()
					time.Sleep(d)
					return n.Load() - before
				}
				if n := in(30 * time.Second); n > 5*30 {
					t.Errorf("%d requests in the first 30 s", n)
				}
				if n := in(90 * time.Second); n > 4*90 {
					t.Errorf("%d requests in the next 90 s", n)
				}
				time.Sleep(10 * time.Second)
				if n := in(time.Hour); n > 360 || n < 350 {
					t.Errorf("%d requests in an hour of nothing but errors", n)
				}
				if !p.Broken() {
					t.Error("it is not seen as broken")
				}
				// It is well again: the first good reply ends it.
				well.Store(true)
				time.Sleep(11 * time.Second)
				if p.Broken() {
					t.Error("it is still seen as broken")
				}
				time.Sleep(5 * time.Minute) // in which the rate grows again
				if r := p.Rate(); r < 15 {
					t.Errorf("%v requests a second five minutes later", r)
				}
				cancel()
				workers.Wait()
			})
		})
	}
}

// A dead shard slows the other logs of its operator for two minutes at most, while its
// errors may concern them all.
func TestDeadShardDoesNotSlowOthers(t *testing.T) {
	for name, fails := range map[string]error{
		"500":                  &ctlog.StatusError{Code: 500},
		"503":                  &ctlog.StatusError{Code: 503},
		"503 with Retry-After": &ctlog.StatusError{Code: 503, RetryAfter: time.Minute},
		"429":                  &ctlog.StatusError{Code: 429},
		"timeout":              context.DeadlineExceeded,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				var workers sync.WaitGroup
				var dead, well atomic.Int64
				p := ctlog.NewPace(20)
				ask(ctx, &workers, 16, p.Log(), func() error {
					dead.Add(1)
					if name == "timeout" {
						time.Sleep(90 * time.Second)
					}
					return fails
				})
				ask(ctx, &workers, 16, p.Log(), func() error { well.Add(1); return nil })
				time.Sleep(8 * time.Minute) // two to find out, and six to grow
				d0, w0 := dead.Load(), well.Load()
				time.Sleep(10 * time.Minute)
				d1, w1 := dead.Load(), well.Load()
				cancel()
				workers.Wait()
				if d := d1 - d0; d > 61 {
					t.Errorf("the dead shard was asked %d times in 10 minutes", d)
				}
				if w := float64(w1-w0) / 600; w < 19 {
					t.Errorf("its sibling was asked %.1f times a second; 20 are allowed", w)
				}
			})
		})
	}
}

// A log with much to read does not keep another one waiting.
func TestShardsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var workers sync.WaitGroup
		p := ctlog.NewPace(2)
		for range 4 {
			ask(ctx, &workers, 16, p.Log(), func() error { return nil })
		}
		time.Sleep(time.Minute)
		if d := wait(t, p.Log()); d > 3*time.Second { // the fifth in line, at two a second
			t.Errorf("a sibling waited %v", d)
		}
		cancel()
		workers.Wait()
	})
}

// The rate of a log that takes half a minute for each reply stays as it is.
func TestTrap10SlowRepliesKeepRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var workers sync.WaitGroup
		var n atomic.Int64
		p := ctlog.NewPace(20).Log()
		ask(ctx, &workers, 16, p, func() error {
			time.Sleep(25*time.Second + time.Duration(n.Add(1)%7)*time.Second)
			return nil
		})
		time.Sleep(time.Hour)
		if r := p.Rate(); r < 10 {
			t.Errorf("rate %v", r)
		}
		if n := n.Load(); n < 16*3600/31 {
			t.Errorf("%d requests in an hour", n)
		}
		cancel()
		workers.Wait()
	})
}

// A log that answers more and more slowly gets fewer requests.
func TestRisingLatencySlowsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := ctlog.NewPace(20).Log()
		reply := func(took time.Duration) {
			wait(t, p)
			begun := time.Now()
			time.Sleep(took)
			p.Done(begun, true, nil)
		}
		for range 100 {
			reply(100 * time.Millisecond)
		}
		before := p.Rate()
		for i := range 4 {
			reply(time.Duration(i+2) * 2 * time.Second)
		}
		if after := p.Rate(); after > 0.7*before {
			t.Errorf("rate %v, and %v before", after, before)
		}
	})
}

// Wait ends with its context, also during Retry-After.
func TestWaitEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := ctlog.NewPace(1).Log()
		wait(t, p)
		p.Done(time.Now(), false, &ctlog.StatusError{Code: 429, RetryAfter: time.Hour})
		ctx, cancel := context.WithCancel(t.Context())
		var workers sync.WaitGroup
		for range 5 {
			workers.Go(func() {
				if err := p.Wait(ctx); !errors.Is(err, context.Canceled) {
					t.Errorf("error %v", err)
				}
			})
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		workers.Wait() // at once: a minute from now would be no end
	})
}

// What limits the reading is known: nothing, the maximum, or the log.
func TestPaceLimit(t *testing.T) {
	for name, c := range map[string]struct {
		max    float64
		allows float64 // by the operator
		takes  time.Duration
		want   ctlog.PaceLimit
	}{
		"the maximum":            {max: 50, allows: 1000, want: ctlog.LimitedByMax},
		"the operator's refusal": {max: 1000, allows: 20, want: ctlog.LimitedByLog},
		"few requests":           {max: 1000, allows: 2000, takes: 100 * time.Millisecond, want: ctlog.NotLimited},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := ctlog.NewPaceFrom(c.max, c.max).Log()
				o := &operator{allows: c.allows, tokens: c.allows, takes: c.takes, at: time.Now()}
				limited := p.Observe()
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				var workers sync.WaitGroup
				ask(ctx, &workers, 4, p, o.answer)
				workers.Wait()
				if got := limited(); got != c.want {
					t.Errorf("limit %v, want %v", got, c.want)
				}
			})
		})
	}
	if got := (*ctlog.LogPace)(nil).Observe()(); got != ctlog.NotLimited {
		t.Errorf("no pace: %v", got)
	}
}
