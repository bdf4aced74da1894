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

// gap is the shortest time between two looks at one endpoint, however often one is
// asked for: strangers can have certificates logged, and each asks for a look.
const gap = 5 * time.Second

// gather is how long more is waited for, once something was asked for.
const gather = 100 * time.Millisecond

// ScheduleConfig is what a Scheduler needs. Look, Endpoints, Record and Logger are
// required.
type ScheduleConfig struct {
	// Look looks at an endpoint, as Prober.Look does.
	Look func(context.Context, pins.Endpoint) pins.Look
	// Endpoints lists what to look at now. It is called at the start, each tenth of
	// Interval and after Now, and never twice at once. The list is not kept.
	Endpoints func() []pins.Endpoint
	// Record keeps what was seen, and what was not. It is called by several
	// goroutines at once, but by one for each endpoint, and perhaps once more after
	// an endpoint left the list. An error ends Run.
	Record func(context.Context, pins.Look) error
	Logger *slog.Logger
	Now    func() time.Time // default time.Now

	// Interval is between two looks at an endpoint, 10 % more or less. Default 10 min.
	Interval time.Duration
	// Looks is how many are under way at once. Each has up to Config.Parallel
	// connections open; so the defaults of both make 32 connections at most. Default 16.
	Looks int
}

// A Scheduler looks at endpoints for ever.
//
// Each is looked at as soon as it is in the list, and then once in an interval. The
// second looks are spread over the interval, and so are all after them. A look that
// reached nothing is repeated after a tenth of the interval, but not within 5 s, and
// then after twice as long each time, until the pause is an interval again.
//
// A round, which is one look at each of n endpoints, takes no longer than
// Config.Timeout × n ÷ Looks, whatever the servers do.
type Scheduler struct {
	cfg ScheduleConfig

	asked sync.Mutex
	all   bool            // every endpoint is asked for
	hosts map[string]bool // or the endpoints of these hosts
	wake  chan struct{}   // holds one when something is asked for
}

// NewScheduler checks the configuration and fills in its defaults.
func NewScheduler(cfg ScheduleConfig) (*Scheduler, error) {
	if cfg.Look == nil || cfg.Endpoints == nil || cfg.Record == nil || cfg.Logger == nil {
		return nil, errors.New("a scheduler of looks needs Look, Endpoints, Record and Logger")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	setDefault(&cfg.Interval, 10*time.Minute)
	setDefault(&cfg.Looks, 16)
	return &Scheduler{cfg: cfg, wake: make(chan struct{}, 1)}, nil
}

// Now asks for a look at all endpoints of some hosts, spelled as Endpoint.Host is,
// before any other; or at all endpoints if it names none. It does not wait, and what
// is asked for within a tenth of a second is taken together. An endpoint that is being looked at
// is looked at once more afterwards, but none twice within 5 s. Hosts that are not in
// the list of endpoints, which is read anew, are ignored.
func (s *Scheduler) Now(hosts ...string) {
	s.asked.Lock()
	defer s.asked.Unlock()
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

// taken returns what was asked for since it was called last.
func (s *Scheduler) taken() (all bool, hosts map[string]bool) {
	s.asked.Lock()
	defer s.asked.Unlock()
	all, hosts = s.all, s.hosts
	s.all, s.hosts = false, nil
	return all, hosts
}

// Run looks at endpoints until ctx ends, and returns nil then, after all looks have
// ended. Looks that were cut short by that are not recorded. Otherwise it returns the
// error of Record. It is called once.
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
	results := make(chan result, s.cfg.Looks) // so that no look waits for us
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
					s.tell(j, look)
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
				gathered = time.After(gather)
			}
		case <-gathered:
			gathered = nil
			all, hosts := s.taken()
			jobs.update(s.cfg.Endpoints(), s.cfg.Now())
			jobs.hurry(all, hosts, s.cfg.Now())
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

// pause returns how long to wait after a look at an endpoint.
func (s *Scheduler) pause(j *job, failed bool) time.Duration {
	const jitter = 0.1
	every := s.cfg.Interval
	if failed {
		j.retry = min(max(every/10, gap, 2*j.retry), every)
		every = j.retry
	} else {
		j.retry = 0
		if !j.spread {
			// All begin together. From here on they do not.
			j.spread = true
			return time.Duration(float64(every) * (jitter + (1-jitter)*rand.Float64()))
		}
	}
	return time.Duration(float64(every) * (1 - jitter + 2*jitter*rand.Float64()))
}

// tell logs the looks after which an endpoint is no longer, or again, reached.
func (s *Scheduler) tell(j *job, look pins.Look) {
	err := look.Failure()
	switch {
	case err != nil && !j.failing:
		level := slog.LevelInfo // not every domain is served
		if j.endpoint.Configured {
			level = slog.LevelWarn
		}
		s.cfg.Logger.Log(context.Background(), level, "endpoint not reached", "endpoint", j.endpoint.String(), "error", err)
	case err == nil && j.failing:
		s.cfg.Logger.Info("endpoint reached again", "endpoint", j.endpoint.String())
	}
	j.failing = err != nil
}
