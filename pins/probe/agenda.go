package probe

import (
	"container/heap"
	"time"

	"ctwatch/pins"
)

// A job is an endpoint that is looked at for ever.
type job struct {
	endpoint pins.Endpoint

	due     time.Time // of the next look; the zero time is before all others
	begun   time.Time // the last look
	running bool      // a look is under way
	again   bool      // asked for meanwhile
	gone    bool      // left the list meanwhile

	retry   time.Duration // the last pause after a look that reached nothing; 0 after one that did
	spread  bool          // no longer in step with the others
	failing bool          // said to be

	place int // in the agenda's order; meaningless while running
}

// An agenda knows which endpoint to look at next.
type agenda struct {
	jobs  map[pins.Endpoint]*job
	order order // those that are not running
}

func newAgenda() *agenda { return &agenda{jobs: make(map[pins.Endpoint]*job)} }

// update makes the agenda one of these endpoints. The new ones are due at once.
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

// hurry makes endpoints due before all others: all of them, or those of some hosts.
func (a *agenda) hurry(all bool, hosts map[string]bool, now time.Time) {
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

// soonest returns when a job that is in a hurry is due.
func (j *job) soonest(now time.Time) time.Time {
	if at := j.begun.Add(gap); at.After(now) {
		return at
	}
	return time.Time{}
}

// next takes out the endpoint that is to be looked at now, if there is one.
func (a *agenda) next(now time.Time) *job {
	if len(a.order) == 0 || a.order[0].due.After(now) {
		return nil
	}
	j := heap.Pop(&a.order).(*job)
	j.running, j.begun = true, now
	return j
}

// done puts an endpoint back that has been looked at.
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

// wait returns how long it is until the next endpoint is due, if there is one.
func (a *agenda) wait(now time.Time) (time.Duration, bool) {
	if len(a.order) == 0 {
		return 0, false
	}
	return max(0, a.order[0].due.Sub(now)), true
}

// An order is a heap of jobs, the one first that is due first.
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
