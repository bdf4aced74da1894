package ctlogtest

import (
	"net/http"
	"slices"
	"sync"
)

// A Fault is one way for a log to misbehave. Make one with a function of this package (Status,
// Fork, …), or with Wrap or Alter; limit it with On, When, Every and Times; and pass it to
// SetFault.
//
//	log.SetFault(ctlogtest.Status(429, 0).On(ctlogtest.Entries).Every(3))
type Fault struct {
	Name string

	alter func(*View) error
	wrap  func(http.Handler) http.Handler

	classes Class
	when    func(*http.Request) bool // nil: always
	every   int                      // each nth request; 0: each
	times   int                      // 0: until it is removed
}

// Wrap returns a fault in how requests are answered: next is the answer without the fault. It
// applies to all requests unless On limits it.
func Wrap(name string, wrap func(next http.Handler) http.Handler) Fault {
	return Fault{Name: name, wrap: wrap, classes: All}
}

// Alter returns a fault in what requests are answered from. It applies to all requests unless
// On limits it.
func Alter(name string, alter func(*View) error) Fault {
	return Fault{Name: name, alter: alter, classes: All}
}

// On limits the fault to some classes of requests.
func (f Fault) On(classes Class) Fault {
	f.classes = classes
	return f
}

// When limits the fault to requests for which ok is true.
func (f Fault) When(ok func(*http.Request) bool) Fault {
	f.when = ok
	return f
}

// Every limits the fault to each nth request of those that match.
func (f Fault) Every(n int) Fault {
	f.every = n
	return f
}

// Times ends the fault after n requests.
func (f Fault) Times(n int) Fault {
	f.times = n
	return f
}

// SetFault adds a fault from the next request on. Faults apply in the order in which they were
// set; of those made with Wrap, the last is the outermost.
func (l *Log) SetFault(f Fault) (remove func()) {
	a := &armed{Fault: f}
	l.faults.mu.Lock()
	defer l.faults.mu.Unlock()
	l.faults.list = append(l.faults.list, a)
	return func() { l.faults.remove(a) }
}

// ClearFaults removes all faults. Requests under way are not affected.
func (l *Log) ClearFaults() {
	l.faults.mu.Lock()
	defer l.faults.mu.Unlock()
	l.faults.list = nil
}

// armed is a fault that is set.
type armed struct {
	Fault
	seen, struck int
}

type faults struct {
	mu   sync.Mutex
	list []*armed
}

func (fs *faults) remove(a *armed) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.list = slices.DeleteFunc(fs.list, func(b *armed) bool { return a == b })
}

// of returns the faults that apply to a request, and counts it.
func (fs *faults) of(class Class, r *http.Request) []Fault {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	var out []Fault
	for _, a := range fs.list {
		spent := a.times > 0 && a.struck >= a.times
		if spent || a.classes&class == 0 || a.when != nil && !a.when(r) {
			continue
		}
		a.seen++
		if a.every > 1 && a.seen%a.every != 0 {
			continue
		}
		a.struck++
		out = append(out, a.Fault)
	}
	return out
}
