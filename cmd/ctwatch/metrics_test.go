package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// TestMetricsTellWhatWaits: /metrics has what waits for a person: certificates that nobody
// judged, by line of the watch list; how apps stand and until when to act; documents that
// are withheld; and a configuration that is not in force.
func TestMetricsTellWhatWaits(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.hangup = make(chan os.Signal, 1)
	api := s.forAPI(nil)
	server := s.endpoint(api)
	config := filepath.Join(t.TempDir(), "ctwatch.yaml")
	lines := filepath.Join(t.TempDir(), "domains.txt")
	s.check(os.WriteFile(lines, []byte("example.info\n"), 0o600))
	write := func(issuer string) {
		s.check(os.WriteFile(config, fmt.Appendf(nil, `data_dir: %q
watch:
  - {domain: %s, endpoints: [%q]}
  - {domain: example.net, issuers: [%q], endpoints: ["127.0.0.1:1"]}
  - {domain: 192.0.2.0/24}
watch_files: [%q]
nats: {listen: "127.0.0.1:0"}
http: {listen: "127.0.0.1:0"}
probe: {interval: 1s}
apps:
  - {name: %s, hosts: [%[2]s], lead_time: 48h, shipped: [{version: "1.0", pins: {%[2]s: [%[7]q]}}]}
%[8]s`, s.dir, apiHost, server.address, issuer, lines, shop, api.LeafPin, s.logsConfig()), 0o600))
	}
	write("letsencrypt.org")
	p := person{s, config}
	d := s.start(config)
	hears := s.listen(d)
	hears.await(ctwatch.CertificateDeployed, func(m message) bool { return m.Data.Host == apiHost })

	expect := func(what string, want map[string]float64) {
		t.Helper()
		s.eventually(what, func() bool {
			m := d.metrics()
			for name, value := range want {
				if got, ok := m[name]; !ok || got != value {
					return false
				}
			}
			return true
		})
	}
	open := func(watch string, unexpected, unreviewed float64) map[string]float64 {
		return map[string]float64{
			fmt.Sprintf("ctwatch_certificates_open{verdict=%q,watch=%q}", "unexpected", watch): unexpected,
			fmt.Sprintf("ctwatch_certificates_open{verdict=%q,watch=%q}", "unreviewed", watch): unreviewed,
		}
	}

	// Nothing was found, and no key is approved.
	host := fmt.Sprintf("{app=%q,host=%q}", shop, apiHost)
	document := fmt.Sprintf("ctwatch_pins_document_withheld{app=%q}", shop)
	expect("there is no document", map[string]float64{document: 1, "ctwatch_pins_withheld" + host: 1})
	for _, watch := range []string{apiHost, "example.net", "192.0.2.0/24", "(other)"} {
		expect("nothing is open for "+watch, open(watch, 0, 0))
	}

	// Certificates are found, and a person judges some.
	s.addFinal(s.static, api)
	rogue := s.watched("www.example.net")
	s.addFinal(s.rfc, rogue)
	s.addFinal(s.rfc, s.watched("again.example.net"))
	elsewhere := s.watched("example.info")
	s.addFinal(s.static, elsewhere)
	s.publish()
	expect("alarms are open", open("example.net", 2, 0))
	expect("a line of a file is among the others", open("(other)", 0, 1))
	s.untilVerified()
	p.does(exitDone, "certs", "reject", rogue.ID.String(), "--reason", "not ours")
	p.does(exitDone, "certs", "authorize", elsewhere.ID.String(), "--reason", "ours")
	expect("one is decided", open("example.net", 1, 0))
	expect("and so is the other", open("(other)", 0, 0))

	// The key that is served is approved, and the version has no other.
	p.does(exitDone, "pins", "approve", api.LeafPin.String(), "--reason", "ours")
	expect("the plan says so", map[string]float64{
		"ctwatch_pins_withheld" + host: 1, // min_pins is 2
		fmt.Sprintf("ctwatch_pins_status{app=%q,host=%q,status=%q}", shop, apiHost, pins.StatusNoBackup): 1,
	})
	deadline := p.plan().Deadline
	if deadline == nil {
		t.Fatal("there is no deadline")
	}
	s.eventually("there is a deadline", func() bool { _, ok := d.metrics()["ctwatch_pins_deadline_seconds"+host]; return ok })
	before := time.Now()
	left, ok := d.metrics()["ctwatch_pins_deadline_seconds"+host]
	if after := time.Now(); !ok || left > deadline.Sub(before).Seconds() || left < deadline.Sub(after).Seconds() {
		t.Errorf("%v seconds are left (%v) until %s", left, ok, deadline)
	}
	p.declares()
	expect("there is a document", map[string]float64{document: 0, "ctwatch_pins_withheld" + host: 0})

	// A reload that is refused is a stale configuration until one is done.
	const stale, done, refused = "ctwatch_config_stale", `ctwatch_config_reloads_total{result="done"}`, `ctwatch_config_reloads_total{result="refused"}`
	expect("it is in force", map[string]float64{stale: 0, done: 0, refused: 0})
	write("letsencypt.org")
	s.hangup <- syscall.SIGHUP
	expect("a mistake is refused", map[string]float64{stale: 1, done: 0, refused: 1})
	write("sectigo.com")
	s.hangup <- syscall.SIGHUP
	expect("what is right is in force", map[string]float64{stale: 0, done: 1, refused: 1})
	d.stop()
}
