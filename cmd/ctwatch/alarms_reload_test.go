package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// TestReloadTakesOnlyGoodConfigurations: a changed configuration is in force without a
// restart, on SIGHUP and when the file changes; one with a mistake is not.
func TestReloadTakesOnlyGoodConfigurations(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.hangup = make(chan os.Signal, 1)
	a, b := newHookServer(t, nil), newHookServer(t, nil)
	config := s.config("")
	write := func(issuers string, more string) {
		s.check(os.WriteFile(config, fmt.Appendf(nil, `data_dir: %q
watch:
  - domain: example.com
    issuers: [%s]
nats: {listen: "127.0.0.1:0"}
http: {listen: "127.0.0.1:0"}
%s%s`, s.dir, issuers, s.logsConfig(), more), 0o600))
	}
	webhook := func(h *hookServer, name string) string {
		return fmt.Sprintf("webhooks: [{url: %q, name: %s, severity: debug}]\n", h.URL, name)
	}
	write("", webhook(a, "a"))
	p := person{s, config}
	d := s.start(config)
	ear := s.listen(d)
	first := s.watched("www.example.com")
	s.addFinal(s.static, first)
	s.publish()
	if m := ear.await(ctwatch.CertificateIssued, ofCertificate(first)); m.Data.Certificate.Verdict != ctwatch.Unreviewed {
		t.Fatalf("without rules it is %s", m.Data.Certificate.Verdict)
	}
	s.untilDelivered()
	s.makeSendersOld()

	// A rule makes it expected, and another webhook takes the place of the first.
	before := len(a.ids())
	write(fmt.Sprintf("%q", first.IssuerPin), webhook(b, "b")+"apps: [{name: shop, hosts: [www.example.com], lead_time: 48h}]\n")
	s.hangup <- syscall.SIGHUP
	if m := ear.await(ctwatch.CertificateJudged, ofCertificate(first)); m.Data.Certificate.Verdict != ctwatch.Expected {
		t.Errorf("a rule allows it, and it is %s", m.Data.Certificate.Verdict)
	}
	s.eventually("the log says so", func() bool { return d.log.contains("configuration reloaded") && d.log.contains("apps=1") })
	if k := p.key(first.LeafPin); k.State != pins.StateApproved {
		t.Errorf("its key is %s", k.State)
	}

	// Another rule makes it unexpected: seen by a look at the file.
	write("letsencrypt.org", webhook(b, "b"))
	if m := ear.await(ctwatch.CertificateUnexpected, ofCertificate(first)); !slices.Contains(m.Data.Certificate.Reasons, "issuer_not_allowed") {
		t.Errorf("reasons %q", m.Data.Certificate.Reasons)
	}
	if k := p.key(first.LeafPin); k.State.Trusted() && len(k.ApprovedFor) > 0 {
		t.Errorf("its key is %s for %v", k.State, k.ApprovedFor)
	}
	var trail []pins.Record
	s.check(json.Unmarshal([]byte(p.does(exitDone, "pins", "history", "--json")), &trail))
	var verdicts []string
	for _, r := range trail {
		if r.Action == "judge" && r.Certificate == first.ID.String() {
			verdicts = append(verdicts, r.Verdict+" by "+string(r.Actor))
		}
	}
	slices.Sort(verdicts)
	if !slices.Equal(verdicts, []string{"expected by policy", "unexpected by policy"}) {
		t.Errorf("audited: %q", verdicts)
	}
	shown := p.does(exitDone, "certs", "show", first.ID.String())
	for _, want := range []string{"Judged", "expected by policy: It was issued by", "unexpected by policy: It was issued by"} {
		if !strings.Contains(shown, want) {
			t.Errorf("certs show lacks %q:\n%s", want, shown)
		}
	}

	// One with a mistake changes nothing, and the log says where the mistake is.
	write(`"https://no-issuer.example/"`, webhook(a, "a"))
	s.hangup <- syscall.SIGHUP
	place := regexp.MustCompile(regexp.QuoteMeta(config) + `:4:\d+: `)
	s.eventually("the mistake is logged", func() bool {
		return d.log.contains(notReloaded) && place.MatchString(d.log.String())
	})
	second := s.watched("second.example.com")
	s.addFinal(s.rfc, second)
	s.publish()
	ear.await(ctwatch.CertificateUnexpected, ofCertificate(second))
	s.eventually("the previous webhook receives events", func() bool {
		return slices.ContainsFunc(b.taken(), func(e ctwatch.Event) bool {
			return e.Type == ctwatch.CertificateUnexpected && e.Data.Certificate.ID == second.ID
		})
	})
	for _, e := range b.taken() {
		if e.Type == ctwatch.CertificateIssued && e.Data.Certificate.ID == first.ID {
			t.Error("a new webhook receives older events")
		}
	}
	for _, e := range a.taken()[before:] {
		if e.Type != ctwatch.WatchHeartbeat {
			t.Errorf("a removed webhook receives %s", e.Type)
		}
	}
	if r := d.fetch("/readyz"); r.status == http.StatusInternalServerError {
		t.Errorf("%+v", r)
	}
	d.stop()
}

// makeSendersOld backdates the senders: a new one
// gets only later events.
func (s *stage) makeSendersOld() {
	s.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(s.dir, "ctwatch.db")+"?_pragma=busy_timeout(10000)")
	s.check(err)
	defer db.Close()
	_, err = db.Exec(`UPDATE senders SET registered_at = registered_at - 3600000`)
	s.check(err)
}

// taken are the events that it took.
func (s *hookServer) taken() []ctwatch.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}
