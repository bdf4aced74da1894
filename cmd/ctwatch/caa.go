package main

import (
	"context"
	"encoding/json"
	"time"

	"golang.org/x/sync/errgroup"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/policy"
	"ctwatch/store"
)

// Bounds of asking for CAA records.
const (
	caaWaiting = 1000                   // certificates that are looked at in one round, the newest
	caaAtOnce  = 32                     // certificates asked for in one round
	caaAbreast = 8                      // of them at the same time
	caaTimeout = 10 * time.Second       // for one certificate
	caaPause   = 15 * time.Second       // before a failed question is asked again; it doubles
	caaPauses  = time.Hour              // at most
	caaOften   = 200 * time.Millisecond // the shortest time between two rounds
	caaRound   = 5 * time.Second        // between two rounds while questions are open and nothing happens
)

// askCAA asks for the CAA records of certificates that the rules want them for, soon
// after they are found: the records that count are those of the time of issuance (RFC
// 8659 §3). Those of a certificate that is years old say little, and can only forbid.
func (d *daemon) askCAA(ctx context.Context) error {
	failed := make(map[ctwatch.Hash]caaRetry)
	for {
		asked, open, err := d.caaRound(ctx, failed)
		if err != nil {
			return err
		}
		var again <-chan time.Time
		switch {
		case asked == caaAtOnce:
			continue // there may be more
		case open:
			again = time.After(caaRound)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-d.news:
		case <-again:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(caaOften):
		}
	}
}

// A caaRetry is when a question that failed is asked again.
type caaRetry struct {
	at    time.Time
	pause time.Duration
}

// caaRound asks for some of what is not known, the newest certificates first. It
// reports how many it asked for, and whether any certificate waits.
func (d *daemon) caaRound(ctx context.Context, failed map[ctwatch.Hash]caaRetry) (asked int, open bool, err error) {
	certificates, err := d.db.CAAUnknown(ctx, caaWaiting)
	if err != nil {
		return 0, false, ignoreEnd(ctx, err)
	}
	waiting := make(map[ctwatch.Hash]bool, len(certificates))
	var due []ctwatch.Certificate
	for _, c := range certificates {
		waiting[c.ID] = true
		if len(due) < caaAtOnce && !time.Now().Before(failed[c.ID].at) {
			due = append(due, c)
		}
	}
	for id := range failed {
		if !waiting[id] {
			delete(failed, id)
		}
	}
	found, failures := make([]map[string]policy.CAAResult, len(due)), make([]error, len(due))
	var g errgroup.Group
	g.SetLimit(caaAbreast)
	for i := range due {
		g.Go(func() error {
			found[i], failures[i] = d.lookUpCAA(ctx, &due[i])
			return nil
		})
	}
	_ = g.Wait() // failures has what failed
	var records []store.CAARecords
	for i, f := range found {
		if len(f) == 0 {
			continue
		}
		b, err := json.Marshal(f)
		if err != nil {
			return 0, false, err
		}
		records = append(records, store.CAARecords{Certificate: due[i].ID, Records: string(b)})
	}
	if len(records) > 0 && ctx.Err() == nil {
		if err := d.db.SetCAA(ctx, records...); err != nil {
			return 0, false, ignoreEnd(ctx, err)
		}
	}
	for i, failure := range failures {
		if failure == nil || ctx.Err() != nil {
			continue
		}
		r := failed[due[i].ID]
		r.pause = min(max(caaPause, 2*r.pause), caaPauses)
		r.at = time.Now().Add(r.pause)
		failed[due[i].ID] = r
		d.logger.Warn("CAA records could not be asked for; they will be", "certificate", due[i].ID, "in", r.pause, "error", ctwatch.Printable(failure.Error(), 500))
	}
	return len(due), len(certificates) > 0, nil
}

// ignoreEnd returns err unless ctx has ended.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// lookUpCAA asks for the records of all domains that a judgement wants. With an error
// it returns those that were found nevertheless.
func (d *daemon) lookUpCAA(ctx context.Context, c *ctwatch.Certificate) (map[string]policy.CAAResult, error) {
	ctx, cancel := context.WithTimeout(ctx, caaTimeout)
	defer cancel()
	found := make(map[string]policy.CAAResult)
	var failure error
	for _, domain := range d.verdicts.policy.Load().CAANames(c) {
		r, err := d.verdicts.caa.Lookup(ctx, domain)
		if err != nil {
			failure = err
			continue
		}
		found[domain] = r
	}
	return found, failure
}
