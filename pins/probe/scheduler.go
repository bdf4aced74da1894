package probe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"ctwatch/pins"
)

// minPause is the shortest time between two probes of one endpoint, however often one is
// requested: anyone can have certificates logged, and each requests a look.
const minPause = 5 * time.Second

// debounce is how long the scheduler waits for further requests after the first.
const debounce = 100 * time.Millisecond

// ScheduleConfig configures a Scheduler. Look, Endpoints, Record and Logger are required.
type ScheduleConfig struct {
	// Look probes an endpoint, as Prober.Look does.
	Look func(context.Context, pins.Endpoint) pins.Look
	// Endpoints lists what to probe now. It is called at the start, every tenth of
	// Interval and after Now, and never concurrently. The list is not retained.
	Endpoints func() []pins.Endpoint
	// Record records a look, successful or not. Several goroutines call it at once, but
	// only one for each endpoint, and perhaps once more after an endpoint left the list.
	// An error ends Run.
	Record func(context.Context, pins.Look) error
	Logger *slog.Logger
	Now    func() time.Time // default time.Now

	// Interval is the time between two probes of an endpoint, ±10 %. Default 10 min.
	Interval time.Duration
	// Looks is how many looks run at once. Each has up to Config.Parallel connections
	// open, so that the defaults of both make 32 connections at most. Default 16.
	Looks int
}

// A Scheduler probes endpoints periodically.
//
// It probes each endpoint as soon as it is in the list, and then once in an interval.
// The second looks are spread over the interval, and so are all after them. A failed look
// is repeated after a tenth of the interval, but not within 5 s, and then after twice as
// long each time, up to an interval.
//
// One probe of each of n endpoints takes at most Config.Timeout × n ÷ Looks, whatever the
// servers do.
type Scheduler struct {
	cfg ScheduleConfig

	mu    sync.Mutex
	all   bool            // every endpoint is requested
	hosts map[string]bool // or the endpoints of these hosts
	wake  chan struct{}   // has an element when something is requested
}

// NewScheduler returns a Scheduler with the configuration's defaults filled in.
func NewScheduler(cfg ScheduleConfig) (*Scheduler, error) {
	if cfg.Look == nil || cfg.Endpoints == nil || cfg.Record == nil || cfg.Logger == nil {
		return nil, errors.New("probe scheduler: Look, Endpoints, Record and Logger are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	setDefault(&cfg.Interval, 10*time.Minute)
	setDefault(&cfg.Looks, 16)
	return &Scheduler{cfg: cfg, wake: make(chan struct{}, 1)}, nil
}

// Now requests probes of all endpoints of some hosts, as in Endpoint.Host, before any
// other; or at all endpoints without arguments. It does not wait, and combines requests
// within a tenth of a second. An endpoint whose look is in progress gets another one
// afterwards, but no two within 5 s. The list of endpoints is read again, and hosts that
// are not in it are ignored.
func (s *Scheduler) Now(hosts ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hosts == nil {
		s.hosts = make(map[string]bool)
	}
	for _, h := range hosts {
		s.hosts[h] = true
	}
	s.all = s.all || len(hosts) == 0
	select {
	case s.wake <- struct{}{}:
	default: // one is enough
	}
}

// takeRequests returns what was requested since the last call.
func (s *Scheduler) takeRequests() (all bool, hosts map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, hosts = s.all, s.hosts
	s.all, s.hosts = false, nil
	return all, hosts
}

// Run probes endpoints until ctx ends, and then returns nil, after all looks have ended.
// Looks that were interrupted by that are not recorded. Otherwise it returns the error of
// Record. It must be called only once.
func (s *Scheduler) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()

	type result struct {
		job    *job
		failed bool
		err    error // of Record
	}
	results := make(chan result, s.cfg.Looks) // so that no look blocks
	free := s.cfg.Looks

	jobs := newAgenda()
	jobs.update(s.cfg.Endpoints(), s.cfg.Now())
	refresh := time.NewTicker(max(s.cfg.Interval/10, time.Second))
	defer refresh.Stop()
	due := time.NewTimer(0)
	defer due.Stop()
	var gathered <-chan time.Time

	for {
		for ; free > 0; free-- {
			j := jobs.next(s.cfg.Now())
			if j == nil {
				break
			}
			running.Go(func() {
				look := s.cfg.Look(ctx, j.endpoint)
				r := result{job: j, failed: look.Failure() != nil}
				if ctx.Err() == nil {
					r.err = s.cfg.Record(ctx, look)
					s.logChange(j, look)
				}
				results <- r
			})
		}
		if wait, ok := jobs.wait(s.cfg.Now()); ok && free > 0 {
			due.Reset(wait)
		} else {
			due.Stop()
		}

		select {
		case <-ctx.Done():
			return nil
		case <-due.C:
		case <-refresh.C:
			jobs.update(s.cfg.Endpoints(), s.cfg.Now())
		case <-s.wake:
			if gathered == nil {
				gathered = time.After(debounce)
			}
		case <-gathered:
			gathered = nil
			all, hosts := s.takeRequests()
			jobs.update(s.cfg.Endpoints(), s.cfg.Now())
			jobs.expedite(all, hosts, s.cfg.Now())
		case r := <-results:
			free++
			if r.err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return fmt.Errorf("recording what %s serves: %w", r.job.endpoint, r.err)
			}
			jobs.done(r.job, s.pause(r.job, r.failed), s.cfg.Now())
		}
	}
}

// pause returns how long to wait after a probe of an endpoint.
func (s *Scheduler) pause(j *job, failed bool) time.Duration {
	const jitter = 0.1
	every := s.cfg.Interval
	if failed {
		j.retry = min(max(every/10, minPause, 2*j.retry), every)
		every = j.retry
	} else {
		j.retry = 0
		if !j.spread {
			// The first looks all begin at once; the second ones are spread.
			j.spread = true
			return time.Duration(float64(every) * (jitter + (1-jitter)*rand.Float64()))
		}
	}
	return time.Duration(float64(every) * (1 - jitter + 2*jitter*rand.Float64()))
}

// logChange logs when an endpoint can no longer be reached, and when it can again.
func (s *Scheduler) logChange(j *job, look pins.Look) {
	err := look.Failure()
	switch {
	case err != nil && !j.failing:
		level := slog.LevelInfo // not every domain has a server
		if j.endpoint.Configured {
			level = slog.LevelWarn
		}
		s.cfg.Logger.Log(context.Background(), level, "endpoint not reached", "endpoint", j.endpoint.String(), "error", err)
	case err == nil && j.failing:
		s.cfg.Logger.Info("endpoint reached again", "endpoint", j.endpoint.String())
	}
	j.failing = err != nil
}
