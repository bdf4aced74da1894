package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/store"
)

// The acts of the demo, in their order.

func (d *Demo) firstCertificate() error {
	d.title("1. A precertificate is logged, by the CA that the rule allows: NATS gets an event, and Slack no message")
	i, err := d.issue(nil, "api."+demoDomain)
	if err != nil {
		return err
	}
	return d.logged(d.static, i, true)
}

// logged puts a precertificate that the rule expects into a log, and waits for all
// that must follow.
func (d *Demo) logged(l *ctlogtest.Log, i *ctlogtest.Issued, newKey bool) error {
	begun := time.Now()
	if _, _, err := l.AddPrecert(i); err != nil {
		return err
	}
	return d.reported(begun, i, newKey)
}

// reported waits until NATS has the event about a new certificate that the rule expects,
// makes sure that Slack has none, and prints the certificate.
func (d *Demo) reported(begun time.Time, i *ctlogtest.Issued, newKey bool) error {
	c, err := d.reportedIssued(begun, i, ctwatch.Expected)
	if err != nil {
		return err
	}
	if newKey {
		e, err := d.nats.wait(d.ctx, ctwatch.PinCandidate, i.ID)
		if err != nil {
			return err
		}
		d.arrived("NATS", begun, string(e.Type), e.NATSSubject("ctwatch"))
	}
	if err := d.silent(i); err != nil {
		return err
	}
	d.say("    Slack   no message: the certificate is %s (%s)", c.Verdict, strings.Join(c.Reasons, ", "))
	d.say("    names   %s", strings.Join(c.Names, ", "))
	d.say("    leaf    %v", c.Key.Pin)
	d.say("    issuer  %v", c.Issuer.Pin)
	return nil
}

// reportedIssued waits until NATS has the event about a new certificate, and checks its
// pins and its verdict.
func (d *Demo) reportedIssued(begun time.Time, i *ctlogtest.Issued, want ctwatch.Verdict) (*ctwatch.Certificate, error) {
	e, err := d.nats.wait(d.ctx, ctwatch.CertificateIssued, i.ID)
	if err != nil {
		return nil, err
	}
	c := e.Data.Certificate
	d.arrived("NATS", begun, string(e.Type), e.NATSSubject("ctwatch"))
	if c.Key.Pin != i.LeafPin || c.Issuer.Pin != i.IssuerPin {
		return nil, fmt.Errorf("the event has the pins %v and %v; the keys issued have %v and %v", c.Key.Pin, c.Issuer.Pin, i.LeafPin, i.IssuerPin)
	}
	if c.Verdict != want {
		return nil, fmt.Errorf("the certificate for %s is %s, not %s", strings.Join(c.Names, ", "), c.Verdict, want)
	}
	return c, nil
}

// silent makes sure that Slack has no message about an expected certificate. Every sender
// is past all events, so that a message that is not there by now never comes.
func (d *Demo) silent(i *ctlogtest.Issued) error {
	ctx, cancel := context.WithTimeout(d.ctx, d.o.Patience)
	defer cancel()
	db, err := store.OpenReadOnly(ctx, setup.Database(d.cfg))
	if err != nil {
		return err
	}
	defer db.Close()
	if err := waitSent(ctx, db); err != nil {
		return err
	}
	if err := d.nats.settle(ctx); err != nil {
		return err
	}
	posted := d.slack.events()
	for _, e := range d.nats.all() {
		if c := e.Data.Certificate; c != nil && c.ID == i.ID && slices.Contains(posted, e.ID) && c.Verdict == ctwatch.Expected {
			return fmt.Errorf("a Slack message is about an expected certificate: %s", e.Data.Summary)
		}
	}
	return nil
}

func (d *Demo) finalCertificate() error {
	d.title("2. The final certificate appears, in the other log: the same certificate, seen again")
	begun := time.Now()
	i := d.issued[d.first+1]
	sct, _, err := d.RFC.AddPrecert(i)
	if err != nil {
		return err
	}
	der, err := i.Final(sct)
	if err != nil {
		return err
	}
	if _, _, err := d.RFC.AddFinal(i, der); err != nil {
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

func (d *Demo) wildcard() error {
	d.title("3. A wildcard certificate with a new key: expected as well")
	i, err := d.issue(nil, "*."+demoDomain, demoDomain)
	if err != nil {
		return err
	}
	return d.logged(d.RFC, i, true)
}

func (d *Demo) renewal() error {
	d.title("4. A renewal with the same key: no new pin to ship, and no message in Slack")
	i, err := d.issue(d.issued[d.first+1].Key, "api."+demoDomain)
	if err != nil {
		return err
	}
	return d.logged(d.static, i, false)
}

func (d *Demo) unwatched() error {
	d.title("5. A certificate for a name that is not watched, among 500 others")
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
	d.say("No event may come of it; the comparison at the end checks that.")
	return nil
}

func (d *Demo) outage() error {
	d.title("6. The daemon is stopped, a certificate is issued, and the daemon starts again")
	if err := d.daemon.stop(); err != nil {
		return err
	}
	begun := time.Now()
	i, err := d.issue(nil, "pay."+demoDomain)
	if err != nil {
		return err
	}
	for _, l := range []*ctlogtest.Log{d.static, d.RFC} {
		if _, _, err := l.AddPrecert(i); err != nil {
			return err
		}
	}
	if err := d.startDaemon(); err != nil {
		return err
	}
	return d.reported(begun, i, true)
}

// proof waits until all that was read is proven to be what the logs signed.
func (d *Demo) proof() error {
	d.title("14. Every entry read is proven: the trees rebuilt have the roots that the logs signed")
	ctx, cancel := context.WithTimeout(d.ctx, d.o.Patience)
	defer cancel()
	db, err := store.OpenReadOnly(ctx, setup.Database(d.cfg))
	if err != nil {
		return err
	}
	defer db.Close()
	for _, l := range []*ctlogtest.Log{d.static, d.RFC} {
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
	return waitSent(ctx, db)
}

// waitSent waits until every sender has every event.
func waitSent(ctx context.Context, db *store.DB) error {
	err := poll(ctx, func() (bool, error) {
		senders, err := db.Senders.List(ctx)
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
		logs, err := db.Logs.List(ctx)
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

// comparison compares what arrived with what was issued.
func (d *Demo) comparison() error {
	d.title("15. What arrived, compared with what was issued")
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
	candidates := 0
	reported, alarms := make(map[ctwatch.Hash]int), make(map[ctwatch.Hash]int)
	ids := make(map[string]ctwatch.Event)
	for _, e := range d.nats.all() {
		if _, twice := ids[e.ID]; twice {
			return fmt.Errorf("event %s arrived twice", e.ID)
		}
		ids[e.ID] = e
		switch {
		case e.Type == ctwatch.CertificateIssued:
			reported[e.Data.Certificate.ID]++
		case e.Type == ctwatch.PinCandidate && e.Data.Certificate != nil:
			candidates++
		case e.Type == ctwatch.CertificateUnexpected && e.Data.By == "":
			alarms[e.Data.Certificate.ID]++
		}
		if c := e.Data.Certificate; c != nil && !want[c.ID] {
			return fmt.Errorf("there is an event about a certificate that is not watched: %s", strings.Join(c.Names, ", "))
		}
	}
	for id := range want {
		if reported[id] != 1 {
			return fmt.Errorf("there are %[2]d events about certificate %[1]v, not one", id, reported[id])
		}
	}
	for _, i := range d.alarms {
		if alarms[i.ID] != 1 {
			return fmt.Errorf("certificate %v raised %d alarms, not one", i.ID, alarms[i.ID])
		}
	}
	if len(alarms) != len(d.alarms) {
		return fmt.Errorf("%d certificates raised an alarm; %d should", len(alarms), len(d.alarms))
	}
	if candidates != d.keys {
		return fmt.Errorf("there are events about %d new keys; there were %d", candidates, d.keys)
	}
	if err := d.compareSlack(ids, alarms); err != nil {
		return err
	}
	messages, replies, updates := d.slack.count()
	d.say("%d certificates issued for watched names, %d reported; %d new keys, %d pin candidates", len(want), len(reported), d.keys, candidates)
	d.say("%d should not exist, %d raised an alarm; no message in Slack about an expected one", len(d.alarms), len(alarms))
	d.say("An alarm took at most %d ms from the log to Slack", d.slowest.Milliseconds())
	d.say("%d events on NATS, each once; %d messages and %d replies in Slack, each once, and %d updates", len(ids), messages, replies, updates)
	return nil
}

// compareSlack makes sure that Slack has each event at most once, each alarm in a single
// message, and nothing about an expected certificate that raised none.
func (d *Demo) compareSlack(ids map[string]ctwatch.Event, alarms map[ctwatch.Hash]int) error {
	if twice := d.slack.twice(); twice != "" {
		return fmt.Errorf("event %s was posted to Slack twice", twice)
	}
	for _, id := range d.slack.events() {
		e, ok := ids[id]
		if !ok {
			return fmt.Errorf("event %s was posted to Slack, but not to NATS", id)
		}
		if e.Type == ctwatch.CertificateIssued {
			return fmt.Errorf("a Slack message is about an issuance, besides the alarm: %s", e.Data.Summary)
		}
		if c := e.Data.Certificate; c != nil && c.Verdict == ctwatch.Expected && alarms[c.ID] == 0 {
			return fmt.Errorf("a Slack message is about an expected certificate: %s", e.Data.Summary)
		}
	}
	return nil
}
