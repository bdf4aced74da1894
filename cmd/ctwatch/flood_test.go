package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
)

// TestForgedFloodHidesNoRogue: 300 forged entries, which the log never signed, make five
// messages in Slack and one digest. The rogue certificate in the middle of them, which a
// CA of the rules signed, is one at once. NATS gets all.
func TestForgedFloodHidesNoRogue(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	var ahead atomic.Int64
	s.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	const before, flood = 300, 300
	s.fill(before)
	s.publish()
	trusted := s.watched("api.example.com")
	slack := newFakeSlack(t)
	config := s.config("notify: {storm: 1000}\n" + slack.config())
	text, err := os.ReadFile(config)
	s.check(err)
	rule := `watch: [{domain: example.com, issuers: ["` + issuerPin(s.ca) + `"], wildcards: false, endpoints: ["127.0.0.1:1"]}]`
	s.check(os.WriteFile(config, bytes.Replace(text, []byte("watch: [example.com, example.net]"), []byte(rule), 1), 0o600))
	d := s.start(config)
	s.untilVerified()
	events := s.subscribe(d.natsURL)

	other, err := ctlogtest.NewCA(ctlogtest.CAOptions{Name: "Other"})
	s.check(err)
	for i := range flood {
		if i == flood/2 {
			rogue := s.watched("*.example.com")
			s.addPrecert(s.rfc, rogue)
		}
		f, err := other.Issue(ctlogtest.Request{Names: []string{fmt.Sprintf("f%d.example.com", i)}})
		s.check(err)
		at := uint64(before + i)
		if i >= flood/2 {
			at++
		}
		s.rfc.SetFault(ctlogtest.AlterEntry(at, func(e *ctlogtest.Entry) {
			signed := time.UnixMilli(int64(binary.BigEndian.Uint64(e.Leaf)))
			e.Leaf, _ = ctlogtest.Timestamped(signed, &trusted.IssuerKeyHash, f.TBS, nil)
			e.Precert, e.Chain = f.Precert, trusted.PrecertChain
		}))
		s.check(s.rfc.Fill(1))
	}
	s.publish()

	// The digest is due a minute after the last entry; on a slow machine some entries are in
	// one before.
	reported, digested, counted := 0, 0, int64(0)
	var digests []message
	late := time.After(patience)
	for reported <= flood || counted < flood-5 {
		var m message
		select {
		case m = <-events:
		case <-late:
			t.Fatalf("%d alarms came, and %d digests of %d", reported, len(digests), counted)
		}
		switch m.Type {
		case ctwatch.CertificateUnexpected:
			reported++
			if m.Data.InDigest {
				digested++
			}
		case ctwatch.EntryUnproven:
			digests = append(digests, m)
			counted += m.Data.Unproven.Count
		default:
			continue
		}
		if reported > flood {
			ahead.Add(int64(11 * time.Minute))
		}
	}
	if digested != flood-5 || counted != flood-5 || len(digests) > 3 {
		t.Errorf("%d of %d are for a digest; %d digests count %d", digested, reported, len(digests), counted)
	}
	alarms := func() (alone, rogues, inSlack int) {
		for _, p := range slack.messages() {
			switch {
			case strings.Contains(p.text, "*.example.com"):
				rogues++
			case strings.Contains(p.text, "certs list --unproven"):
				inSlack++
			case strings.Contains(p.text, "should not exist"):
				alone++
			}
		}
		return alone, rogues, inSlack
	}
	s.untilDelivered()
	if alone, rogues, inSlack := alarms(); alone != 5 || rogues != 1 || inSlack != len(digests) {
		t.Errorf("%d messages about forged entries, %d about the rogue, %d digests", alone, rogues, inSlack)
	}
	// What the first digest says to do lists all that it stands for, and those sent by themselves.
	_, command, _ := strings.Cut(digests[0].Data.Summary, "`ctwatch ")
	command, _, _ = strings.Cut(command, "`")
	out := person{s, config}.does(exitDone, append(strings.Fields(command), "--json")...)
	if n := strings.Count(out, `"id":`); n < flood-5 || n > flood {
		t.Errorf("%q lists %d certificates", command, n)
	}
	d.stop()
}
