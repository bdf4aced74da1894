package main

import (
	"context"
	"encoding/json"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/policy"
)

// Bounds of asking for CAA records.
const (
	caaAtOnce  = 1000 // certificates looked at in one round
	caaTimeout = 30 * time.Second
	caaPause   = 15 * time.Second // before a failed question is asked again; it doubles
	caaPauses  = time.Hour        // at most
	caaRound   = 5 * time.Second  // between two rounds while questions are open
)

// askCAA asks for the CAA records of certificates that the rules want them for, soon
// after they are found: the records that count are those of the time of issuance (RFC
// 8659 §3). Those of a certificate that is years old say little, and can only forbid.
func (d *daemon) askCAA(ctx context.Context) error {
	checker := &policy.Checker{Servers: d.cfg.DNS.Servers}
	failed := make(map[ctwatch.Hash]caaRetry)
	for {
		open, err := d.caaRound(ctx, checker, failed)
		if err != nil {
			return err
		}
		var again <-chan time.Time
		if open {
			again = time.After(caaRound)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-d.news:
		case <-again:
		}
	}
}

// A caaRetry is when a question that failed is asked again.
type caaRetry struct {
	at    time.Time
	pause time.Duration
}

// caaRound asks once for all that is not known, and reports whether any is left.
func (d *daemon) caaRound(ctx context.Context, checker *policy.Checker, failed map[ctwatch.Hash]caaRetry) (open bool, err error) {
	certificates, err := d.db.CAAUnknown(ctx, caaAtOnce)
	if err != nil {
		return false, err
	}
	waiting := make(map[ctwatch.Hash]bool, len(certificates))
	for i := range certificates {
		c := &certificates[i]
		waiting[c.ID] = true
		if time.Now().Before(failed[c.ID].at) {
			continue
		}
		found, err := d.lookUpCAA(ctx, checker, c)
		if ctx.Err() != nil {
			return true, nil
		}
		if err != nil {
			r := failed[c.ID]
			r.pause = min(max(caaPause, 2*r.pause), caaPauses)
			r.at = time.Now().Add(r.pause)
			failed[c.ID] = r
			d.logger.Warn("CAA records could not be asked for; they will be", "certificate", c.ID, "in", r.pause, "error", ctwatch.Printable(err.Error(), 500))
		}
		if len(found) == 0 {
			continue
		}
		b, err := json.Marshal(found)
		if err != nil {
			return false, err
		}
		if err := d.db.SetCAA(ctx, c.ID, string(b)); err != nil {
			return false, err
		}
	}
	for id := range failed {
		if !waiting[id] {
			delete(failed, id)
		}
	}
	return len(certificates) > 0, nil
}

// lookUpCAA asks for the records of all domains that a judgement wants. With an error
// it returns those that were found nevertheless.
func (d *daemon) lookUpCAA(ctx context.Context, checker *policy.Checker, c *ctwatch.Certificate) (map[string]policy.CAAResult, error) {
	ctx, cancel := context.WithTimeout(ctx, caaTimeout)
	defer cancel()
	found := make(map[string]policy.CAAResult)
	var failure error
	for _, domain := range d.verdicts.policy.Load().CAANames(c) {
		r, err := checker.Lookup(ctx, domain)
		if err != nil {
			failure = err
			continue
		}
		found[domain] = r
	}
	return found, failure
}
