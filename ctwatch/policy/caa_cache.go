package policy

import (
	"sync"
	"time"
)

// Bounds on how long records are remembered, whatever their TTL, and on how many.
const (
	minTTL    = time.Minute
	maxTTL    = 24 * time.Hour
	maxCached = 10_000
)

// A cache remembers the records of single domains, so that those above many names
// are asked for once.
type cache struct {
	mu      sync.Mutex
	entries map[string]cached
}

type cached struct {
	result  CAAResult
	expires time.Time
}

func (c *cache) get(domain string, now time.Time) (CAAResult, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[domain]
	if !ok || !now.Before(e.expires) {
		return CAAResult{}, false
	}
	e.result.TTL = e.expires.Sub(now)
	return e.result, true
}

func (c *cache) put(domain string, r CAAResult, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil {
		c.entries = make(map[string]cached)
	}
	if len(c.entries) >= maxCached {
		c.shrink(now)
	}
	c.entries[domain] = cached{r, now.Add(r.TTL)}
}

// shrink forgets what has expired, and half of the rest if that is too little.
func (c *cache) shrink(now time.Time) {
	for domain, e := range c.entries {
		if !now.Before(e.expires) {
			delete(c.entries, domain)
		}
	}
	for domain := range c.entries {
		if len(c.entries) <= maxCached/2 {
			break
		}
		delete(c.entries, domain)
	}
}
