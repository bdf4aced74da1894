package probe

import (
	"container/heap"
	"time"

	"ctwatch/pins"
)

// A job is an endpoint that is probed again and again.
type job struct {
	endpoint pins.Endpoint

	due     time.Time // when the next look is due; the zero time comes first
	begun   time.Time // when the last look began
	running bool      // a look is in progress
	again   bool      // requested while running
	gone    bool      // removed from the list while running

	retry   time.Duration // the last pause after a failed look; 0 after a successful one
	spread  bool          // the next look has a random offset from the others
	failing bool          // as logged

	place int // in the agenda's order; not valid while running
}

// An agenda is a queue of endpoints, ordered by when they are due.
type agenda struct {
	jobs  map[pins.Endpoint]*job
	order order // those that are not running
}

func newAgenda() *agenda { return &agenda{jobs: make(map[pins.Endpoint]*job)} }

// update sets the endpoints of the agenda. New ones are due at once.
func (a *agenda) update(endpoints []pins.Endpoint, now time.Time) {
	listed := make(map[pins.Endpoint]bool, len(endpoints))
	for _, e := range endpoints {
		listed[e] = true
		if j := a.jobs[e]; j != nil {
			j.gone = false
			continue
		}
		j := &job{endpoint: e, due: now}
		a.jobs[e] = j
		heap.Push(&a.order, j)
	}
	for e, j := range a.jobs {
		switch {
		case listed[e]:
		case j.running:
			j.gone = true
		default:
			a.remove(j)
		}
	}
}

func (a *agenda) remove(j *job) {
	delete(a.jobs, j.endpoint)
	heap.Remove(&a.order, j.place)
}

// expedite makes endpoints due before all others: all of them, or those of some hosts.
func (a *agenda) expedite(all bool, hosts map[string]bool, now time.Time) {
	for _, j := range a.jobs {
		switch {
		case !all && !hosts[j.endpoint.Host]:
		case j.running:
			j.again = true
		case j.soonest(now).Before(j.due):
			j.due = j.soonest(now)
			heap.Fix(&a.order, j.place)
		}
	}
}

// soonest returns the earliest time at which a job may run again.
func (j *job) soonest(now time.Time) time.Time {
	if at := j.begun.Add(minPause); at.After(now) {
		return at
	}
	return time.Time{}
}

// next removes and returns the endpoint that is due now; nil if none is.
func (a *agenda) next(now time.Time) *job {
	if len(a.order) == 0 || a.order[0].due.After(now) {
		return nil
	}
	j := heap.Pop(&a.order).(*job)
	j.running, j.begun = true, now
	return j
}

// done puts an endpoint back after a look.
func (a *agenda) done(j *job, pause time.Duration, now time.Time) {
	j.running = false
	if j.gone {
		delete(a.jobs, j.endpoint)
		return
	}
	j.due = now.Add(pause)
	if j.again {
		j.again = false
		j.due = j.soonest(now)
	}
	heap.Push(&a.order, j)
}

// wait returns the time until the next endpoint is due, if there is one.
func (a *agenda) wait(now time.Time) (time.Duration, bool) {
	if len(a.order) == 0 {
		return 0, false
	}
	return max(0, a.order[0].due.Sub(now)), true
}

// An order is a heap of jobs by due time.
type order []*job

func (o order) Len() int           { return len(o) }
func (o order) Less(i, j int) bool { return o[i].due.Before(o[j].due) }

func (o order) Swap(i, j int) {
	o[i], o[j] = o[j], o[i]
	o[i].place, o[j].place = i, j
}

func (o *order) Push(x any) {
	j := x.(*job)
	j.place = len(*o)
	*o = append(*o, j)
}

func (o *order) Pop() any {
	last := len(*o) - 1
	j := (*o)[last]
	(*o)[last] = nil
	*o = (*o)[:last]
	return j
}
