package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/pins"
	"ctwatch/store"
)

// TestForgedEntryMakesNoPin: one log, or anyone on the way to it, serves an entry with
// the attacker's key and the public key of an allowed CA as its issuer, in the tree or
// not. It is an alarm, and its key is never more than seen; the same entry does not
// silence the rogue certificate that an honest log has.
func TestForgedEntryMakesNoPin(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	const forgedAt = 300
	s.fill(forgedAt)
	s.publish()
	trusted := s.watched("api.example.com")
	config := s.config("")
	text, err := os.ReadFile(config)
	s.check(err)
	rule := `watch: [{domain: example.com, issuers: ["` + issuerPin(s.ca) + `"], endpoints: ["127.0.0.1:1"]}]`
	s.check(os.WriteFile(config, bytes.Replace(text, []byte("watch: [example.com, example.net]"), []byte(rule), 1), 0o600))
	d := s.start(config)
	s.untilVerified()
	events := s.subscribe(d.natsURL)

	// A CA that the rule does not allow issues, and the forged entries say another did.
	other, err := ctlogtest.NewCA(ctlogtest.CAOptions{Name: "Other"})
	s.check(err)
	forge := func(name string) (rogue, forged *ctlogtest.Issued) {
		i, err := other.Issue(ctlogtest.Request{Names: []string{name}})
		s.check(err)
		f := *i
		f.IssuerKeyHash, f.Issuer, f.Chain, f.PrecertChain = trusted.IssuerKeyHash, trusted.Issuer, trusted.Chain, trusted.PrecertChain
		return i, &f
	}
	rogue, inTree := forge("in-tree.example.com")
	_, _, err = s.static.AddPrecert(inTree)
	s.check(err)
	_, outside := forge("outside.example.com")
	s.rfc.SetFault(ctlogtest.AlterEntry(forgedAt, func(e *ctlogtest.Entry) {
		at := time.UnixMilli(int64(binary.BigEndian.Uint64(e.Leaf)))
		e.Leaf, _ = ctlogtest.Timestamped(at, &outside.IssuerKeyHash, outside.TBS, nil)
		e.Precert, e.Chain = outside.Precert, outside.PrecertChain
	}))
	s.check(s.rfc.Fill(1))
	s.publish()

	alarms, misbehaved := 0, false
	for alarms < 2 || !misbehaved {
		var m message
		select {
		case m = <-events:
		case <-s.ctx.Done():
			t.Fatalf("%d alarms came, and that the log misbehaved: %v", alarms, misbehaved)
		}
		misbehaved = misbehaved || m.Type == ctwatch.LogMisbehaved
		if m.Type != ctwatch.CertificateUnexpected {
			continue
		}
		alarms++
		c := m.Data.Certificate
		if !slices.Contains(c.Reasons, "issuer_unproven") || c.Issuer.Proven || len(c.Pins) != 1 {
			t.Errorf("%v: alarm by %q, issuer %+v, pins %v", c.Names, c.Reasons, c.Issuer, c.Pins)
		}
	}

	// An honest log proves the rogue's certificate, under the same ID.
	s.rfc.ClearFaults()
	_, _, err = s.rfc.AddPrecert(rogue)
	s.check(err)
	s.publish()
	m := s.next(events, ctwatch.CertificateUnexpected)
	if c := m.Data.Certificate; c.ID != rogue.ID || !c.Issuer.Proven || c.Issuer.Pin != rogue.IssuerPin || !slices.Contains(c.Reasons, "issuer_conflict") {
		t.Errorf("alarm about %v by %q, issuer %+v", c.Names, c.Reasons, c.Issuer)
	}
	s.untilVerified()
	s.read(func(db *store.DB) error {
		keys, err := db.Keys.List(s.ctx, pins.PinRole{}, 0)
		for _, k := range keys {
			if k.Role == pins.RoleLeaf && (k.State != pins.StateSeen || len(k.ApprovedFor) > 0) {
				t.Errorf("the attacker's key is %s for %v", k.State, k.ApprovedFor)
			}
		}
		return err
	})
	for _, m := range s.stream(d.natsURL) {
		if strings.HasPrefix(string(m.Type), "pin.candidate") {
			t.Errorf("the attacker's key was proposed: %s", m.Data.Summary)
		}
	}
	d.stop()
}
