package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/store"
)

// The acts of the demo, in their order.

func (d *demo) firstCertificate() error {
	d.title("1. A precertificate is logged: nothing is deployed yet")
	i, err := d.issue(nil, "api."+demoDomain)
	if err != nil {
		return err
	}
	return d.logged(d.static, i, true)
}

// logged puts a precertificate into a log, and waits for all that must follow.
func (d *demo) logged(l *ctlogtest.Log, i *ctlogtest.Issued, newKey bool) error {
	begun := time.Now()
	if _, _, err := l.AddPrecert(i); err != nil {
		return err
	}
	return d.told(begun, i, newKey)
}

// told waits until NATS and Slack have told of a new certificate, and shows it.
func (d *demo) told(begun time.Time, i *ctlogtest.Issued, newKey bool) error {
	e, err := d.nats.wait(d.ctx, ctwatch.CertificateIssued, i.ID)
	if err != nil {
		return err
	}
	c := e.Data.Certificate
	d.arrived("NATS", begun, string(e.Type), e.NATSSubject("ctwatch"))
	if c.Key.Pin != i.LeafPin || c.Issuer.Pin != i.IssuerPin {
		return fmt.Errorf("pins %v and %v were told; the keys issued have %v and %v", c.Key.Pin, c.Issuer.Pin, i.LeafPin, i.IssuerPin)
	}
	if newKey {
		e, err := d.nats.wait(d.ctx, ctwatch.PinCandidate, i.ID)
		if err != nil {
			return err
		}
		d.arrived("NATS", begun, string(e.Type), e.NATSSubject("ctwatch"))
	}
	text, err := d.slack.wait(d.ctx, e.ID)
	if err != nil {
		return err
	}
	d.arrived("Slack", begun, "message in #certs", text)
	d.say("    names   %s", strings.Join(c.Names, ", "))
	d.say("    leaf    %v", c.Key.Pin)
	d.say("    issuer  %v", c.Issuer.Pin)
	return nil
}

func (d *demo) finalCertificate() error {
	d.title("2. The final certificate appears, in the other log: the same certificate, seen again")
	begun := time.Now()
	i := d.issued[d.first+1]
	sct, _, err := d.rfc.AddPrecert(i)
	if err != nil {
		return err
	}
	der, err := i.Final(sct)
	if err != nil {
		return err
	}
	if _, _, err := d.rfc.AddFinal(i, der); err != nil {
		return err
	}
	for {
		e, err := d.nats.wait(d.ctx, ctwatch.CertificateLogged, i.ID)
		if err != nil {
			return err
		}
		s := e.Data.Certificate.Sightings
		d.arrived("NATS", begun, string(e.Type), fmt.Sprintf("%s, entry %d: %s", s[len(s)-1].Log, s[len(s)-1].Index, s[len(s)-1].Kind))
		if e.Data.Certificate.Fingerprints.Certificate != nil {
			d.say("    one identity for all of them: %v", i.ID)
			return nil
		}
	}
}

func (d *demo) wildcard() error {
	d.title("3. A wildcard certificate with a new key")
	i, err := d.issue(nil, "*."+demoDomain, demoDomain)
	if err != nil {
		return err
	}
	return d.logged(d.rfc, i, true)
}

func (d *demo) renewal() error {
	d.title("4. A renewal with the same key: issued, but no new pin to ship")
	i, err := d.issue(d.issued[d.first+1].Key, "api."+demoDomain)
	if err != nil {
		return err
	}
	return d.logged(d.static, i, false)
}

func (d *demo) unwatched() error {
	d.title("5. A certificate that nobody watches, among 500 others")
	i, err := d.ca.Issue(ctlogtest.Request{Names: []string{"www.other.example"}})
	if err != nil {
		return err
	}
	if _, _, err := d.static.AddPrecert(i); err != nil {
		return err
	}
	if err := d.static.Fill(500); err != nil {
		return err
	}
	d.say("Nothing must be told of it; the reckoning at the end will show.")
	return nil
}

func (d *demo) outage() error {
	d.title("6. The daemon is stopped, a certificate is issued, and the daemon starts again")
	if err := d.daemon.stop(); err != nil {
		return err
	}
	begun := time.Now()
	i, err := d.issue(nil, "pay."+demoDomain)
	if err != nil {
		return err
	}
	for _, l := range []*ctlogtest.Log{d.static, d.rfc} {
		if _, _, err := l.AddPrecert(i); err != nil {
			return err
		}
	}
	if err := d.startDaemon(); err != nil {
		return err
	}
	return d.told(begun, i, true)
}

// proof waits until all that was read is proven to be what the logs signed.
func (d *demo) proof() error {
	d.title("10. Every entry read is proven: the trees rebuilt have the roots that the logs signed")
	ctx, cancel := context.WithTimeout(d.ctx, d.patience)
	defer cancel()
	db, err := store.OpenReadOnly(ctx, filepath.Join(d.cfg.DataDir, "ctwatch.db"))
	if err != nil {
		return err
	}
	defer db.Close()
	for _, l := range []*ctlogtest.Log{d.static, d.rfc} {
		head, err := l.Publish()
		if err != nil {
			return err
		}
		s, err := waitVerified(ctx, db, l.Info().ID, head.Size)
		if err != nil {
			return err
		}
		d.say("%s: tree size %d, read %d, verified %d, root %v…", s.Name, s.TreeSize, s.Position, s.Verified, head.Root.String()[:16])
	}
	return waitTold(ctx, db)
}

// waitTold waits until every sender has every event.
func waitTold(ctx context.Context, db *store.DB) error {
	err := poll(ctx, func() (bool, error) {
		senders, err := db.SenderStatus(ctx)
		for _, s := range senders {
			if s.Backlog > 0 {
				return false, err
			}
		}
		return len(senders) > 0, err
	})
	if ctx.Err() != nil {
		err = fmt.Errorf("events still wait to be sent: %w", ctx.Err())
	}
	return err
}

// waitVerified waits until a log is read and proven up to a size.
func waitVerified(ctx context.Context, db *store.DB, id ctwatch.LogID, size uint64) (status ctwatch.LogStatus, err error) {
	err = poll(ctx, func() (bool, error) {
		logs, err := db.Logs(ctx)
		for _, s := range logs {
			if s.ID == id && s.Verified == size && s.Position == size {
				status = s
				return true, nil
			}
		}
		return false, err
	})
	if ctx.Err() != nil {
		err = fmt.Errorf("log %v was not verified up to %d: %w", id, size, ctx.Err())
	}
	return status, err
}

// reckoning compares what arrived with what was issued.
func (d *demo) reckoning() error {
	d.title("11. The reckoning")
	// No event waits in the outbox any more, so what has not arrived by now never
	// will.
	if err := d.nats.settle(d.ctx); err != nil {
		return err
	}
	if err := d.daemon.stop(); err != nil {
		return err
	}
	want := make(map[ctwatch.Hash]bool)
	for _, i := range d.issued {
		want[i.ID] = true
	}
	candidates, rejected := 0, 0
	told := make(map[ctwatch.Hash]int)
	ids := make(map[string]int)
	for _, e := range d.nats.all() {
		ids[e.ID]++
		switch e.Type {
		case ctwatch.CertificateIssued:
			told[e.Data.Certificate.ID]++
		case ctwatch.PinCandidate:
			candidates++
		case ctwatch.CertificateUnexpected:
			rejected++
		}
		if c := e.Data.Certificate; c != nil && !want[c.ID] {
			return fmt.Errorf("a certificate that nobody watches was told of: %s", strings.Join(c.Names, ", "))
		}
	}
	for id := range want {
		if told[id] != 1 {
			return fmt.Errorf("certificate %v was told of %d times, not once", id, told[id])
		}
	}
	for id, n := range ids {
		if n != 1 {
			return fmt.Errorf("event %s arrived %d times", id, n)
		}
	}
	if candidates != d.keys {
		return fmt.Errorf("%d new keys were told of; there were %d", candidates, d.keys)
	}
	if rejected != 1 {
		return fmt.Errorf("%d certificates were told to be unexpected, not the one that was rejected", rejected)
	}
	if twice := d.slack.twice(); twice != "" {
		return fmt.Errorf("event %s was posted to Slack twice", twice)
	}
	d.say("%d certificates for watched names issued, %d told of; %d new keys, %d pin candidates", len(want), len(told), d.keys, candidates)
	d.say("%d events on NATS and %d messages in Slack, each once", len(ids), d.slack.count())
	return nil
}
