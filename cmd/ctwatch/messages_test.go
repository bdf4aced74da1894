package main

import (
	"encoding/json"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
)

// TestOneCertificateIsOneMessage: a certificate that no rule speaks of is one message in
// Slack, whether or not an app pins its name; what follows stands in its thread. Who
// rejected it is still there after the next update.
func TestOneCertificateIsOneMessage(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	slack := newFakeSlack(t)
	config := s.config("apps: [{name: shop, hosts: [\"*.shop.example.com\"]}]\n" + slack.config())
	d := s.start(config)
	s.untilVerified()
	events := s.subscribe(d.natsURL)
	free, pinned := s.watched("free.example.com"), s.watched("api.shop.example.com")
	s.addPrecert(s.rfc, free)
	sct := s.addPrecert(s.rfc, pinned)
	s.publish()
	severities := map[ctwatch.Hash]ctwatch.Severity{}
	for range 2 {
		m := s.next(events, ctwatch.PinCandidate)
		severities[m.Data.Certificate.ID] = m.Data.Severity
	}
	if severities[free.ID] != ctwatch.Info || severities[pinned.ID] != ctwatch.Warning {
		t.Errorf("severities of the new keys: %v", severities)
	}
	s.untilDelivered()
	heads := func() (out []slackPost) {
		for _, p := range slack.messages() {
			if p.thread == "" {
				out = append(out, p)
			}
		}
		return out
	}
	if got := heads(); len(got) != 2 || len(slack.messages()) != 3 {
		t.Fatalf("%d messages, %d with those in threads: %+v", len(got), len(slack.messages()), slack.messages())
	}

	who := person{s, config}
	long := strings.Repeat("It is not ours, and nobody of us asked for it. ", 20) + "The end."
	who.does(exitDone, "certs", "reject", pinned.ID.String(), "--reason", long)
	s.next(events, ctwatch.CertificateUnexpected)
	s.addFinal(s.rfc, pinned, sct)
	s.publish()
	s.next(events, ctwatch.CertificateLogged)
	s.untilDelivered()
	for _, p := range heads() {
		if strings.Contains(p.text, "api.shop.example.com") && (p.updates < 2 || !strings.Contains(p.blocks, "Rejected by `")) {
			t.Errorf("after %d updates: %s", p.updates, p.blocks)
		}
	}

	// Reasons are whole in JSON and in a pipe, and each judgment is there.
	var c ctwatch.Certificate
	s.check(json.Unmarshal([]byte(who.does(exitDone, "certs", "show", pinned.ID.String(), "--json")), &c))
	if n := len(c.Judgments); n == 0 || c.Judgments[n-1].Reason != long || c.Judgments[n-1].Verdict != ctwatch.Unexpected ||
		c.Judgments[n-1].Actor != "person" || c.Judgments[n-1].By == "" || c.Judgments[n-1].At.IsZero() {
		t.Errorf("judgments %+v", c.Judgments)
	}
	for _, args := range [][]string{{"certs", "show", pinned.ID.String()}, {"pins", "history"}} {
		if out := who.does(exitDone, args...); !strings.Contains(out, "The end.") {
			t.Errorf("%q cuts the reason:\n%s", args, out)
		}
	}
	alarm := s.stream(d.natsURL)
	if i := slices.IndexFunc(alarm, func(m message) bool { return m.Type == ctwatch.CertificateUnexpected }); i < 0 || !strings.Contains(alarm[i].Data.Summary, "The end.") {
		t.Errorf("the event cuts the reason")
	}
	d.stop()
}

// TestOpenListsWhatWaits: certs list --open lists what nobody decided and no rule expects,
// together with the other filters. The first name listed is the one that matched, and a
// certificate for addresses shows them.
func TestOpenListsWhatWaits(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	config := s.config("")
	text, err := os.ReadFile(config)
	s.check(err)
	rule := `watch: [{domain: example.com, issuers: ["` + issuerPin(s.ca) + `"], wildcards: false}, example.net, 192.0.2.0/24]`
	s.check(os.WriteFile(config, []byte(strings.Replace(string(text), "watch: [example.com, example.net]", rule, 1)), 0o600))
	expected := s.watched("www.example.com")
	unexpected, unreviewed := s.watched("*.example.com"), s.watched("aaa.other.test", "bbb.other.test", "www.example.net")
	rejected, authorized := s.watched("*.r.example.com"), s.watched("a.example.net")
	address := s.issue(ctlogtest.Request{IPs: []netip.Addr{netip.MustParseAddr("192.0.2.7")}})
	for _, i := range []*ctlogtest.Issued{expected, unexpected, unreviewed, rejected, authorized, address} {
		s.addPrecert(s.rfc, i)
	}
	s.publish()
	d := s.start(config)
	s.untilVerified()
	d.stop()
	who := person{s, config}
	who.does(exitDone, "certs", "reject", rejected.ID.String(), "--reason", "not ours")
	who.does(exitDone, "certs", "authorize", authorized.ID.String(), "--reason", "ours")

	for _, tt := range []struct {
		args []string
		want []*ctlogtest.Issued
	}{
		{[]string{"--open"}, []*ctlogtest.Issued{unexpected, unreviewed, address}},
		{[]string{"--open", "--verdict", "unexpected"}, []*ctlogtest.Issued{unexpected}},
		{[]string{"--open", "--verdict", "expected"}, nil},
		{[]string{"--open", "--domain", "example.net"}, []*ctlogtest.Issued{unreviewed}},
		{[]string{"--open", "--since", "1h", "--limit", "9"}, []*ctlogtest.Issued{unexpected, unreviewed, address}},
		{[]string{"--open", "--since", "2090-01-01"}, nil},
		{[]string{"--log", s.rfc.Info().Name, "--domain", "www.example.com"}, []*ctlogtest.Issued{expected}},
		{[]string{"--log", s.static.Info().ID.Hex()[:8]}, nil},
	} {
		var list []ctwatch.Certificate
		s.check(json.Unmarshal([]byte(who.does(exitDone, append([]string{"certs", "list", "--json"}, tt.args...)...)), &list))
		got, want := map[ctwatch.Hash]bool{}, map[ctwatch.Hash]bool{}
		for _, c := range list {
			got[c.ID] = true
		}
		for _, i := range tt.want {
			want[i.ID] = true
		}
		if len(list) != len(want) || len(got) != len(want) {
			t.Errorf("%q lists %d, want %d", tt.args, len(list), len(want))
		}
		for id := range want {
			if !got[id] {
				t.Errorf("%q does not list %v", tt.args, id)
			}
		}
	}
	out := who.does(exitDone, "certs", "list", "--open")
	for _, want := range []string{"  192.0.2.7  ", "  www.example.net, aaa.other.test +1  "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in:\n%s", want, out)
		}
	}
	status, _, errs := who.tries("certs", "list", "--log", "nothing")
	if status != exitUsage || !strings.Contains(errs, "ctwatch logs") {
		t.Errorf("status %d: %s", status, errs)
	}
}
