package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/pins"
)

// pinned is a stage on which an app ships the key that is served and a declared one.
func pinned(t *testing.T) (s *stage, p person, d *testDaemon, hears *ear, server *tlsServer, first *ctlogtest.Issued, backup pins.Pin) {
	t.Helper()
	s = newStage(t)
	first = s.forAPI(nil)
	s.log(first)
	server = s.endpoint(first)
	p = person{s, s.pinsConfig(server)}
	d = s.start(p.config)
	hears = s.listen(d)
	hears.await(ctwatch.CertificateDeployed, ofCertificate(first))
	p.does(exitDone, "pins", "approve", first.LeafPin.String(), "--reason", "ours")
	_, backup = p.declares()
	p.releases("1.0", "trustkit")
	d.untilPublished(s, first.LeafPin, backup)
	return s, p, d, hears, server, first, backup
}

func TestARotationToAnUndeclaredKeyIsStoppedAndHeals(t *testing.T) {
	t.Parallel()
	s, p, d, hears, server, first, backup := pinned(t)

	// It is reported as soon as the certificate is logged; and the gate stops it.
	rogue := s.forAPI(nil)
	s.log(rogue)
	m := hears.await(ctwatch.PinMissing, ofCertificate(rogue))
	if m.Data.Severity != ctwatch.Critical || m.Data.App != shop || m.Data.Host != apiHost || !strings.Contains(m.Data.Summary, "1.0") || !strings.Contains(m.Data.Summary, rogue.LeafPin.String()) {
		t.Errorf("%+v", m.Data)
	}
	if m.subject != "ctwatch.pin.missing.com.example.api" {
		t.Errorf("its subject is %s", m.subject)
	}
	out := p.does(exitNo, "pins", "gate", s.pemFile(rogue))
	for _, want := range []string{shop + " 1.0", apiHost} {
		if !strings.Contains(out, want) {
			t.Errorf("the gate does not name %q: %s", want, out)
		}
	}
	plan := p.plan()
	if plan.Status != pins.StatusWillBreak || slices.Contains(plan.Add, rogue.LeafPin) || plan.Deadline == nil {
		t.Errorf("logged: %+v", plan)
	}
	p.does(exitNo, "pins", "plan")
	if got := d.untilPublished(s, first.LeafPin, backup); slices.Contains(got.Revoked, rogue.LeafPin) {
		t.Errorf("%+v", got)
	}

	// A restart does not report it again.
	s.untilVerified()
	d.stop()
	d = s.start(p.config)
	hears = s.listen(d)

	// It is reported again when it is deployed, and pins are withheld.
	s.deploy(server, rogue)
	hears.await(ctwatch.CertificateDeployed, ofCertificate(rogue))
	hears.await(ctwatch.PinMissing, ofCertificate(rogue)) // of when it was logged: the stream has it still
	m = hears.await(ctwatch.PinMissing, ofCertificate(rogue))
	if m.Data.Severity != ctwatch.Critical || !strings.Contains(m.Data.Summary, "connections fail") {
		t.Errorf("%+v", m.Data)
	}
	if plan := p.plan(); plan.Status != pins.StatusBroken || slices.Contains(plan.Add, rogue.LeafPin) {
		t.Errorf("deployed: %+v", plan)
	}
	for _, form := range []string{".jws", ".json", ".xml", ".plist", "/wultra"} {
		path := "pins/" + shop + form
		got := d.fetch(path)
		s.eventually(path+" is withheld", func() bool { got = d.fetch(path); return got.status == http.StatusServiceUnavailable })
		if got.header.Get("Retry-After") == "" || strings.Contains(got.body, "sha256/") || !strings.Contains(got.body, apiHost) {
			t.Errorf("/%s: %v %s", path, got.header, got.body)
		}
	}
	status, _, errs := p.tries("pins", "export", "--app", shop, "--format", "android")
	if status != exitFailed || !strings.Contains(errs, rogue.LeafPin.String()+", is not approved") {
		t.Errorf("export: status %d: %s", status, errs)
	}
	if k := p.key(rogue.LeafPin); k.State != pins.StateSeen || len(k.ApprovedFor) > 0 {
		t.Errorf("the undeclared key is %+v", k)
	}

	// By a person's word it is to be shipped, and once it is, all is well.
	p.does(exitDone, "pins", "approve", rogue.LeafPin.String(), "--reason", "it is ours after all")
	m = hears.await(ctwatch.PinCandidate, func(m message) bool { return m.Data.App == shop && m.Data.Key.Pin == rogue.LeafPin })
	if m.Data.Severity != ctwatch.Warning || m.Data.Host != apiHost {
		t.Errorf("%+v", m.Data)
	}
	hears.await(ctwatch.PinDeployed, ofKey(rogue.LeafPin))
	d.untilPublished(s, first.LeafPin, rogue.LeafPin, backup) // the one before stays for a rollback
	if plan := p.plan(); plan.Status != pins.StatusBroken || !slices.Contains(plan.Add, rogue.LeafPin) {
		t.Errorf("approved: %+v", plan)
	}
	p.releases("1.1", "okhttp")
	p.does(exitDone, "pins", "drop", "--app", shop, "--version", "1.0", "--reason", "update wall")
	if plan := p.plan(); plan.Status != pins.StatusOK {
		t.Errorf("released: %+v", plan)
	}

	s.untilDelivered()
	reported := s.eventCounts(d)
	if n := reported[fmt.Sprintf("%s %s %.8s", ctwatch.PinMissing, shop, rogue.ID)]; n != 2 {
		t.Errorf("a missing pin was reported %d times, want 2: when it was logged and when it was deployed", n)
	}
	if n := reported[fmt.Sprintf("%s %s %s leaf", ctwatch.PinCandidate, shop, rogue.LeafPin)]; n != 1 {
		t.Errorf("the candidate was reported %d times", n)
	}
	if n := reported[fmt.Sprintf("%s %.8s", ctwatch.CertificateDeployed, rogue.ID)]; n != 1 {
		t.Errorf("the deployment was reported %d times", n)
	}
	d.stop()
}

func TestAVerdictBesideTheDaemonIsToldAtOnce(t *testing.T) {
	t.Parallel()
	s, p, d, hears, _, first, _ := pinned(t)
	rogue := s.forAPI(nil)
	s.log(rogue)
	hears.await(ctwatch.PinMissing, ofCertificate(rogue))

	p.does(exitDone, "certs", "reject", rogue.ID.String(), "--reason", "nobody here asked for it")
	m := hears.await(ctwatch.CertificateUnexpected, ofCertificate(rogue))
	if m.Data.Severity != ctwatch.Critical || !strings.Contains(m.Data.Summary, "nobody here asked for it") || m.Data.Certificate.Verdict != ctwatch.Unexpected {
		t.Errorf("%+v", m.Data)
	}
	// Plans ignore it now, and its key cannot be approved.
	if plan := p.plan(); plan.Status != pins.StatusOK || len(plan.Coming) > 0 {
		t.Errorf("%+v", plan)
	}
	for _, args := range [][]string{
		{"pins", "approve", rogue.LeafPin.String()},
		{"certs", "authorize", rogue.LeafPin.String(), "--domain", apiHost, "--reason", "x"},
	} {
		if status, out, errs := p.tries(args...); status != exitFailed || out != "" || errs == "" {
			t.Errorf("%q: status %d: %s%s", args, status, out, errs)
		}
	}
	if k := p.key(rogue.LeafPin); k.State != pins.StateSeen {
		t.Errorf("the key is %s", k.State)
	}

	// A certificate for a key of ours may be rejected; the key stays, and that is said.
	if out := p.does(exitDone, "certs", "reject", first.ID.String(), "--reason", "ordered by nobody"); !strings.Contains(out, first.LeafPin.String()+" stays approved") {
		t.Errorf("certs reject: %s", out)
	}
	if k := p.key(first.LeafPin); k.State != pins.StateDeployed {
		t.Errorf("our key is %s", k.State)
	}
	p.does(exitDone, "certs", "authorize", first.ID.String(), "--reason", "it was ordered after all")

	// The verdict can be taken back.
	p.does(exitDone, "certs", "authorize", rogue.ID.String(), "--reason", "a colleague did")
	hears.await(ctwatch.PinCandidate, func(m message) bool { return m.Data.App == shop && m.Data.Key.Pin == rogue.LeafPin })
	if k := p.key(rogue.LeafPin); k.State != pins.StateApproved || !slices.Equal(k.ApprovedFor, []pins.Pattern{{Name: apiHost}}) {
		t.Errorf("the key is %+v", k)
	}
	d.stop()
}

// TestExpiringCertificateIsAnnounced: that a certificate ends is announced, unless there is
// a successor.
func TestExpiringCertificateIsAnnounced(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	now := time.Now()
	ending := s.issue(ctlogtest.Request{
		Names: []string{apiHost}, CommonName: apiHost, NotBefore: now.AddDate(0, 0, -85), NotAfter: now.AddDate(0, 0, 5),
	})
	s.log(ending)
	server := s.endpoint(ending)
	p := person{s, s.pinsConfig(server)}
	d := s.start(p.config)
	hears := s.listen(d)
	m := hears.await(ctwatch.CertificateExpiring, ofCertificate(ending))
	if m.Data.Severity != ctwatch.Warning || m.Data.Host != apiHost || !strings.Contains(m.Data.Endpoint, server.address) {
		t.Errorf("%+v", m.Data)
	}
	d.stop()

	// The same, and a successor is known before the server goes back to it.
	successor := s.forAPI(ending.Key)
	s.log(successor)
	s.deploy(server, successor)
	s.dir = filepath.Join(t.TempDir(), "data")
	p = person{s, s.pinsConfig(server)}
	d = s.start(p.config)
	hears = s.listen(d)
	hears.await(ctwatch.CertificateDeployed, ofCertificate(successor))
	s.untilVerified()
	s.deploy(server, ending)
	hears.await(ctwatch.CertificateDeployed, ofCertificate(ending))
	p.does(exitDone, "pins", "approve", ending.LeafPin.String(), "--reason", "ours")
	hears.await(ctwatch.PinDeployed, ofKey(ending.LeafPin))
	_, spare := p.declares()
	p.does(exitDone, "pins", "import", "--app", shop, "--version", "1", s.file("1.json", fmt.Sprintf(`{"hosts": {%q: [%q]}}`, apiHost, ending.LeafPin)))
	hears.await(ctwatch.PinCandidate, func(m message) bool { return m.Data.App == shop && m.Data.Key.Pin == spare }) // so plans were made since
	for what := range s.eventCounts(d) {
		if strings.HasPrefix(what, string(ctwatch.CertificateExpiring)) {
			t.Errorf("%q was reported despite a successor", what)
		}
	}
	d.stop()
}
