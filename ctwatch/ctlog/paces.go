package ctlog

import (
	"cmp"
	"net/url"
	"sync"

	"ctwatch/ctwatch"
)

// Paces gives all logs of one operator a common Pace. Its methods may be called
// concurrently.
type Paces struct {
	maxRate float64

	mu         sync.Mutex
	byOperator map[string]*Pace
}

// NewPaces returns paces that never exceed a number of requests per second and operator.
func NewPaces(maxRate float64) *Paces {
	return &Paces{maxRate: maxRate, byOperator: make(map[string]*Pace)}
}

// Log returns the pace of a log. Logs whose operator is unknown share one if they are
// served by the same host.
func (p *Paces) Log(l ctwatch.Log) *LogPace {
	host := l.URL
	if u, err := url.Parse(l.URL); err == nil {
		host = cmp.Or(u.Host, l.URL)
	}
	operator := cmp.Or(l.Operator, host)
	p.mu.Lock()
	defer p.mu.Unlock()
	pace, ok := p.byOperator[operator]
	if !ok {
		pace = NewPace(p.maxRate)
		p.byOperator[operator] = pace
	}
	return pace.Log()
}

// Rates returns the current rate of each operator, in requests per second.
func (p *Paces) Rates() map[string]float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make(map[string]float64, len(p.byOperator))
	for operator, pace := range p.byOperator {
		out[operator] = pace.Rate()
	}
	return out
}
