package main

import (
	"os"
	"strings"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/pins"
)

// TestRogueForOurKeyIsOnlyAnAlarm: a CA that may not issue certifies the very key that is
// served. That raises an alarm; pins, exports and documents stay, whatever a person does about it.
func TestRogueForOurKeyIsOnlyAnAlarm(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	first := s.forAPI(nil)
	s.log(first)
	server := s.endpoint(first)
	p := person{s, s.pinsConfig(server)}
	text, err := os.ReadFile(p.config)
	s.check(err)
	allowed := strings.Replace(string(text), "{domain: "+apiHost, "{domain: "+apiHost+", issuers: [\""+first.IssuerPin.String()+"\"]", 1)
	s.check(os.WriteFile(p.config, []byte(allowed), 0o600))
	d := s.start(p.config)
	hears := s.listen(d)
	p.untilState(first.LeafPin, pins.StateDeployed) // by nobody's word but the rule's
	_, backup := p.declares()
	p.releases("1.0", "trustkit")
	d.untilPublished(s, first.LeafPin, backup)

	other, err := ctlogtest.NewCA(ctlogtest.CAOptions{Name: "Other"})
	s.check(err)
	rogue, err := other.Issue(ctlogtest.Request{Names: []string{apiHost}, CommonName: apiHost, Key: first.Key})
	s.check(err)
	_, _, err = s.static.AddPrecert(rogue)
	s.check(err)
	s.publish()
	m := hears.await(ctwatch.CertificateUnexpected, ofCertificate(rogue))
	if m.Data.Key == nil || m.Data.Key.Pin != first.LeafPin || !strings.Contains(m.Data.Summary, "issued for it without you") {
		t.Errorf("the alarm does not say that the key is trusted: %+v", m.Data)
	}
	stays := func(when string) {
		t.Helper()
		if k := p.key(first.LeafPin); k.State != pins.StateDeployed {
			t.Errorf("%s the key is %s", when, k.State)
		}
		d.untilPublished(s, first.LeafPin, backup)
		for _, format := range []string{"android", "json"} {
			p.does(exitDone, "pins", "export", "--app", shop, "--format", format)
		}
	}
	stays("with a rogue certificate")
	lines := p.does(exitDone, "certs", "list", "--suggest")
	if strings.Contains(lines, "issuers:") || !strings.Contains(lines, "Keep the pin, reject the certificate") {
		t.Errorf("it suggests\n%s", lines)
	}

	p.does(exitDone, "certs", "reject", rogue.ID.String(), "--reason", "nobody here asked for it")
	stays("once it is rejected,")
	if status, _, errs := p.tries("pins", "approve", first.LeafPin.String()); status != exitFailed || !strings.Contains(errs, "--reason") {
		t.Errorf("approved without a reason: status %d: %s", status, errs)
	}
	p.does(exitDone, "pins", "approve", first.LeafPin.String(), "--reason", "ours since 2024")
	p.does(exitDone, "certs", "authorize", first.LeafPin.String(), "--domain", apiHost, "--reason", "ours since 2024")
	if out := p.does(exitDone, "pins", "history", first.LeafPin.String()); !strings.Contains(out, "ours since 2024") {
		t.Errorf("the audit trail lacks the reason:\n%s", out)
	}
	s.untilDelivered()
	d.stop()
	d = s.start(p.config)
	stays("after a restart")
	d.stop()
}

// TestOneLookElsewhereWithholdsNothing: for a look the host serves a foreign key. Pins of
// the key that the configuration lists are published again as soon as it is back.
func TestOneLookElsewhereWithholdsNothing(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	first, foreign := s.forAPI(nil), s.forAPI(nil) // in no log
	server := s.endpoint(first)
	p := person{s, s.pinsConfig(server)}
	text, err := os.ReadFile(p.config)
	s.check(err)
	listed := strings.Replace(string(text), "{domain: "+apiHost, "{domain: "+apiHost+", keys: [\""+first.LeafPin.String()+"\"]", 1)
	listed = strings.Replace(listed, "probe: {interval: 1s}", "probe: {interval: 1h}", 1)
	s.check(os.WriteFile(p.config, []byte(listed), 0o600))
	p.does(exitDone, "probe", "--record")
	_, backup := p.declares()
	if k := p.key(first.LeafPin); k.State != pins.StateDeployed {
		t.Fatalf("served, it is %s", k.State)
	}
	s.deploy(server, foreign)
	p.does(exitDone, "probe", "--record")
	if k := p.key(first.LeafPin); k.State != pins.StateApproved {
		t.Errorf("after one look elsewhere it is %s", k.State)
	}
	s.deploy(server, first)
	d := s.start(p.config)
	d.untilPublished(s, first.LeafPin, backup)
	d.stop()
	p.does(exitDone, "pins", "export", "--app", shop, "--format", "android")
}
