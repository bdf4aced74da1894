package ctlogtest

import (
	"slices"
	"sync"
	"time"
)

// A Class is a set of kinds of requests of either API.
type Class uint

// The classes of requests.
const (
	Heads   Class = 1 << iota // get-sth; checkpoint
	Entries                   // get-entries; data tiles
	Proofs                    // get-sth-consistency, get-proof-by-hash, get-entry-and-proof; hash tiles
	Issuers                   // issuer/…
	Submit                    // add-chain, add-pre-chain
	Other                     // what the log does not serve
	All     = Heads | Entries | Proofs | Issuers | Submit | Other
)

// A Hit is a request to the log.
type Hit struct {
	Time  time.Time // by the log's clock
	Class Class
	Path  string // with the query
}

// recentHits bounds what Recent returns.
const recentHits = 10_000

// requests counts the requests to a log.
type requests struct {
	mu     sync.Mutex
	counts map[Class]int
	recent []Hit
}

func (q *requests) add(at time.Time, class Class, path string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.counts == nil {
		q.counts = make(map[Class]int)
	}
	q.counts[class]++
	if len(q.recent) == recentHits {
		q.recent = append(q.recent[:0], q.recent[recentHits/2:]...)
	}
	q.recent = append(q.recent, Hit{at, class, path})
}

// Requests returns how many requests of some classes the log got, including those that a fault
// answered.
func (l *Log) Requests(classes Class) int {
	l.requests.mu.Lock()
	defer l.requests.mu.Unlock()
	n := 0
	for c, k := range l.requests.counts {
		if c&classes != 0 {
			n += k
		}
	}
	return n
}

// Recent returns the last requests of some classes, oldest first: at least the
// last 5,000 of all.
func (l *Log) Recent(classes Class) []Hit {
	l.requests.mu.Lock()
	defer l.requests.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.requests.recent), func(h Hit) bool { return h.Class&classes == 0 })
}
