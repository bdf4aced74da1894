package main

import (
	"cmp"
	"net/url"
	"sync"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
)

// paces holds the pace of each operator, which all of its logs share.
type paces struct {
	most float64 // requests per second, of each

	mu         sync.Mutex
	byOperator map[string]*ctlog.Pace
}

func newPaces(most int) *paces {
	return &paces{most: float64(most), byOperator: make(map[string]*ctlog.Pace)}
}

// log returns the pace of a log. Of logs whose operator is unknown, those at one
// host have the same.
func (p *paces) log(l ctwatch.Log) *ctlog.LogPace {
	host := l.URL
	if u, err := url.Parse(l.URL); err == nil {
		host = cmp.Or(u.Host, l.URL)
	}
	operator := cmp.Or(l.Operator, host)
	p.mu.Lock()
	defer p.mu.Unlock()
	pace, ok := p.byOperator[operator]
	if !ok {
		pace = ctlog.NewPace(p.most)
		p.byOperator[operator] = pace
	}
	return pace.Log()
}

// rates returns the rate in force for each operator, in requests per second.
func (p *paces) rates() map[string]float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make(map[string]float64, len(p.byOperator))
	for operator, pace := range p.byOperator {
		out[operator] = pace.Rate()
	}
	return out
}
