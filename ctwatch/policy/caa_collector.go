package policy

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"ctwatch/ctwatch"
)

// A CAAStore keeps certificates and the CAA records found for their names.
type CAAStore interface {
	// AwaitingCAA returns the certificates whose verdict needs CAA records that are not
	// known, newest first, at most limit.
	AwaitingCAA(ctx context.Context, limit int) ([]ctwatch.Certificate, error)
	// SetCAA records what was found and judges those certificates again.
	SetCAA(ctx context.Context, found ...ctwatch.CAARecords) error
}

// A CAACollector looks up the CAA records that verdicts need, soon after their
// certificates are found: the records that count are those at the time of issuance (RFC
// 8659 §3). All fields are required.
type CAACollector struct {
	Store CAAStore
	// Policy returns the policy in force.
	Policy func() *Policy
	// Lookup finds the records that govern a domain, as Checker.Lookup does.
	Lookup func(ctx context.Context, domain string) (CAAResult, error)
	// Wake receives when the store may have new certificates.
	Wake   <-chan struct{}
	Logger *slog.Logger

	failed map[ctwatch.Hash]caaRetry
}

// A caaRetry is when a failed lookup is tried again.
type caaRetry struct {
	at    time.Time
	pause time.Duration
}

// Bounds of a CAACollector.
const (
	caaCandidates = 1000                   // certificates that one round considers, the newest
	caaPerRound   = 32                     // certificates that one round looks up
	caaParallel   = 8                      // lookups at the same time
	caaTimeout    = 10 * time.Second       // for all names of one certificate
	caaMinPause   = 15 * time.Second       // before a failed lookup is tried again; it doubles
	caaMaxPause   = time.Hour              // at most
	caaMinGap     = 200 * time.Millisecond // between two rounds
	caaMaxGap     = 5 * time.Second        // between two rounds while records are missing
)

// Run looks up records until ctx ends, and then returns nil. It fails only if the store
// does.
func (c *CAACollector) Run(ctx context.Context) error {
	c.failed = make(map[ctwatch.Hash]caaRetry)
	for {
		lookedUp, missing, err := c.round(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case lookedUp == caaPerRound:
			continue // there may be more
		}
		var again <-chan time.Time
		if missing {
			again = time.After(caaMaxGap)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-c.Wake:
		case <-again:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(caaMinGap):
		}
	}
}

// round looks up the records of the newest certificates that are due. It reports how
// many there were, and whether any certificate lacks records.
func (c *CAACollector) round(ctx context.Context) (lookedUp int, missing bool, err error) {
	certificates, err := c.Store.AwaitingCAA(ctx, caaCandidates)
	if err != nil {
		return 0, false, err
	}
	due := c.due(certificates, time.Now())
	found, failures := make([]map[string]CAAResult, len(due)), make([]error, len(due))
	var g errgroup.Group
	g.SetLimit(caaParallel)
	for i := range due {
		g.Go(func() error {
			found[i], failures[i] = c.lookup(ctx, &due[i])
			return nil
		})
	}
	_ = g.Wait() // failures has what failed
	if ctx.Err() != nil {
		return 0, false, ctx.Err()
	}
	var records []ctwatch.CAARecords
	for i, f := range found {
		if len(f) > 0 {
			records = append(records, ctwatch.CAARecords{Certificate: due[i].ID, Records: EncodeCAA(f)})
		}
	}
	if len(records) > 0 {
		if err := c.Store.SetCAA(ctx, records...); err != nil {
			return 0, false, err
		}
	}
	for i, failure := range failures {
		if failure != nil {
			c.retryLater(due[i].ID, failure)
		}
	}
	return len(due), len(certificates) > 0, nil
}

// due chooses the certificates to look up now, and forgets the failures of those that no
// longer lack records.
func (c *CAACollector) due(certificates []ctwatch.Certificate, now time.Time) (due []ctwatch.Certificate) {
	waiting := make(map[ctwatch.Hash]bool, len(certificates))
	for _, cert := range certificates {
		waiting[cert.ID] = true
		if len(due) < caaPerRound && !now.Before(c.failed[cert.ID].at) {
			due = append(due, cert)
		}
	}
	for id := range c.failed {
		if !waiting[id] {
			delete(c.failed, id)
		}
	}
	return due
}

// lookup finds the records of all names that a verdict on the certificate needs. With an
// error it returns those that were found anyway.
func (c *CAACollector) lookup(ctx context.Context, cert *ctwatch.Certificate) (map[string]CAAResult, error) {
	ctx, cancel := context.WithTimeout(ctx, caaTimeout)
	defer cancel()
	found := make(map[string]CAAResult)
	var failure error
	for _, domain := range c.Policy().CAANames(cert) {
		r, err := c.Lookup(ctx, domain)
		if err != nil {
			failure = err
			continue
		}
		found[domain] = r
	}
	return found, failure
}

func (c *CAACollector) retryLater(id ctwatch.Hash, failure error) {
	r := c.failed[id]
	r.pause = min(max(caaMinPause, 2*r.pause), caaMaxPause)
	r.at = time.Now().Add(r.pause)
	c.failed[id] = r
	c.Logger.Warn("looking up CAA records failed; retrying later", "certificate", id, "in", r.pause, "error", ctwatch.Printable(failure.Error(), 500))
}
