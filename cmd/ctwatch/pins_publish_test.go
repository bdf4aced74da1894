package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/pins"
)

// Once a key leaks the document says so at once, though the app has fewer keys left than
// it wants, and through a restart; files are withheld with the reason.
func TestRevocationIsPublishedAtOnce(t *testing.T) {
	t.Parallel()
	s, p, d, _, server, first, backup := pinned(t)
	before, _ := d.jws()

	// The backup leaks.
	p.does(exitDone, "pins", "retire", backup.String(), "--compromised", "--yes", "--reason", "on a paste site")
	got := d.untilPublished(s, first.LeafPin)
	if !slices.Equal(got.Revoked, []pins.Pin{backup}) || got.Serial <= before.Serial || len(got.Withheld) > 0 {
		t.Errorf("%+v", got)
	}
	if r := d.fetch("pins/" + shop + ".xml"); r.status != http.StatusServiceUnavailable || !strings.Contains(r.body, apiHost+": "+string(pins.BelowMinPins)) {
		t.Errorf("%d %s", r.status, r.body)
	}
	if plan := p.plan(); plan.Warning != pins.BelowMinPins || plan.Withheld != "" || plan.Status != pins.StatusNoBackup || !slices.Contains(plan.Remove, backup) {
		t.Errorf("%+v", plan)
	}
	if status, _, errs := p.tries("pins", "export", "--app", shop, "--format", "android"); status != exitFailed || !strings.Contains(errs, "needs 2 pins") {
		t.Errorf("status %d: %s", status, errs)
	}

	// So does the key that is served: the one declared since is all that is left.
	nextKey, next := p.declares()
	d.untilPublished(s, first.LeafPin, next)
	p.does(exitDone, "pins", "retire", first.LeafPin.String(), "--compromised", "--yes", "--reason", "the server was broken into")
	got = d.untilPublished(s, next)
	if want := sortedOf([]pins.Pin{backup, first.LeafPin}); !slices.Equal(sortedOf(got.Revoked), want) {
		t.Errorf("revoked %v, want %v", got.Revoked, want)
	}
	if plan := p.plan(); plan.Status == pins.StatusOK || plan.Warning != pins.KeyCompromised || slices.Contains(plan.Remove, next) {
		t.Errorf("%+v", plan)
	}
	s.untilVerified()
	d.stop()
	d = s.start(p.config)
	again := d.untilPublished(s, next)
	if len(again.Revoked) != 2 || again.Serial <= got.Serial {
		t.Errorf("after a restart: %+v", again)
	}

	// The server changes to it, and all is well with one more.
	second := s.forAPI(nextKey)
	s.log(second)
	s.deploy(server, second)
	_, spare := p.declares()
	got = d.untilPublished(s, next, spare)
	if len(got.Revoked) != 2 {
		t.Errorf("%+v", got)
	}
	s.eventually("files are served again", func() bool { return d.fetch("pins/"+shop+".xml").status == http.StatusOK })
	d.stop()
}

// One host that is not in order withholds itself and no other, and keeps the pins that
// it was published with; the document, the plan, the metric and the log say why.
func TestOneHostWithholdsNoOther(t *testing.T) {
	t.Parallel()
	const other = "www.example.com"
	s := newStage(t)
	api := s.forAPI(nil)
	www := s.issue(ctlogtest.Request{Names: []string{other}, CommonName: other})
	s.log(api)
	s.log(www)
	apiServer, wwwServer := s.endpoint(api), s.endpoint(www)
	config := filepath.Join(t.TempDir(), "ctwatch.yaml")
	s.check(os.WriteFile(config, fmt.Appendf(nil, `data_dir: %q
watch:
  - {domain: %s, endpoints: [%q]}
  - {domain: %s, endpoints: [%q]}
nats: {listen: "127.0.0.1:0"}
http: {listen: "127.0.0.1:0"}
probe: {interval: 1s}
apps:
  - {name: %s, hosts: [%[2]s, %[4]s], lead_time: 48h, min_pins: 1}
%[7]s`, s.dir, apiHost, apiServer.address, other, wwwServer.address, shop, s.logsConfig()), 0o600))
	p := person{s, config}
	d := s.start(config)
	hears := s.listen(d)
	hears.await(ctwatch.CertificateDeployed, func(m message) bool { return m.Data.Host == other })
	hears.await(ctwatch.CertificateDeployed, func(m message) bool { return m.Data.Host == apiHost })

	// One of them has never had a key.
	p.does(exitDone, "pins", "approve", api.LeafPin.String(), "--host", apiHost, "--reason", "ours")
	got := d.untilPublished(s, api.LeafPin)
	if len(got.Hosts) != 1 || got.Withheld[other] != string(pins.NotApproved) {
		t.Errorf("%+v", got)
	}
	metric := func(host string) string { return fmt.Sprintf("ctwatch_pins_withheld{app=%q,host=%q}", shop, host) }
	s.eventually("the metric says so", func() bool {
		m := d.metrics()
		one, ok := m[metric(other)]
		zero, also := m[metric(apiHost)]
		return ok && also && one == 1 && zero == 0
	})
	out, _, _ := p.planned()
	if out[other].Withheld != pins.NotApproved || out[apiHost].Withheld != "" {
		t.Errorf("%+v", out)
	}
	if text := p.does(exitDone, "pins", "plan"); !strings.Contains(text, string(pins.NotApproved)) {
		t.Errorf("the plan does not say so: %s", text)
	}

	// It gets one, and then serves another: it stays pinned as it was.
	p.does(exitDone, "pins", "approve", www.LeafPin.String(), "--host", other, "--reason", "ours")
	s.eventually("both are published", func() bool {
		got, _ = d.jws()
		return len(got.Withheld) == 0 && slices.Equal(got.Hosts[other], []pins.Pin{www.LeafPin})
	})
	foreign := s.issue(ctlogtest.Request{Names: []string{other}, CommonName: other})
	s.deploy(wwwServer, foreign)
	s.eventually("it is withheld", func() bool { got, _ = d.jws(); return got.Withheld[other] == string(pins.NotApproved) })
	if !slices.Equal(got.Hosts[other], []pins.Pin{www.LeafPin}) || !slices.Equal(got.Hosts[apiHost], []pins.Pin{api.LeafPin}) {
		t.Errorf("%+v", got)
	}
	r := d.fetch("pins/" + shop + ".plist")
	if r.status != http.StatusServiceUnavailable || !strings.Contains(r.body, other+": "+string(pins.NotApproved)) || strings.Contains(r.body, apiHost) {
		t.Errorf("%d %s", r.status, r.body)
	}
	wultra := d.fetch("pins/" + shop + "/wultra")
	if wultra.status != http.StatusOK || !strings.Contains(wultra.body, apiHost) || strings.Contains(wultra.body, other) {
		t.Errorf("%d %s", wultra.status, wultra.body)
	}
	status, _, errs := p.tries("pins", "export", "--app", shop, "--format", "jws")
	if status != exitDone || !strings.Contains(errs, other+" is withheld ("+string(pins.NotApproved)+")") {
		t.Errorf("status %d: %s", status, errs)
	}
	if status, _, errs := p.tries("pins", "export", "--app", shop, "--format", "jws", "--host", apiHost); status != exitUsage {
		t.Errorf("a document of one host: status %d: %s", status, errs)
	}
	d.stop()
}

// planned is the plans by host.
func (p person) planned() (plans map[string]pins.HostPlan, status int, errs string) {
	p.t.Helper()
	status, out, errs := p.tries("pins", "plan", "--json")
	var list []pins.HostPlan
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		p.t.Fatalf("pins plan: %v: %s%s", err, out, errs)
	}
	plans = make(map[string]pins.HostPlan)
	for _, plan := range list {
		plans[plan.Host.String()] = plan
	}
	return plans, status, errs
}

// A key that was only ever declared is revoked, too, though no certificate and no
// document names its apps.
func TestDeclaredKeyThatLeaksIsRevoked(t *testing.T) {
	t.Parallel()
	w := newPinModel(t, t.TempDir())
	defer func() { w.check(w.db.Close()) }()
	leaf := modelLeaves[0]
	w.observe(apiHost, "192.0.2.1:443", true, w.chain(leaf, w.certificate(leaf, modelIssuers[0], []string{apiHost}), apiHost))
	w.must("pins", "approve", modelPin(leaf).String(), "--host", apiHost)
	safe := modelPin("in the safe")
	w.must("certs", "authorize", safe.String(), "--domain", apiHost, "--reason", "in the safe")
	w.must("pins", "retire", safe.String(), "--compromised", "--yes", "--reason", "the safe was opened")
	jws := w.must("pins", "export", "--app", "shop", "--format", "jws")
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(jws, ".")[1])
	w.check(err)
	var got payload
	w.check(json.Unmarshal(text, &got))
	if !slices.Equal(got.Revoked, []pins.Pin{safe}) || !slices.Equal(got.Hosts[apiHost], []pins.Pin{modelPin(leaf)}) {
		t.Errorf("%s", text)
	}
}

// What the configuration alone decides is said when it is checked.
func TestConfigCheckSaysWhichHostsAreWithheld(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "ctwatch.yaml")
	text := `watch: [example.com]
apps:
  - name: shop
    hosts: [api.example.com, "*.cdn.example.com", api.example.net]
`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	status, _, errs := runCommand(t.Context(), config, "config", "check")
	if status != exitDone || strings.Count(errs, "withheld") != 2 {
		t.Errorf("status %d: %s", status, errs)
	}
	for _, want := range []string{":4:30: ", "no host of *.cdn.example.com is probed", ":4:51: ", "api.example.net is in no watched domain"} {
		if !strings.Contains(errs, want) {
			t.Errorf("it does not say %q: %s", want, errs)
		}
	}
}
