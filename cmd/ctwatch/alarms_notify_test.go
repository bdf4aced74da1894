package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
)

// TestDeadLettersAreReplayedToTheirSenderAlone: what a hook refused for good is set
// aside, shown, and, once the hook is repaired, delivered to it alone,
// while the daemon runs.
func TestDeadLettersAreReplayedToTheirSenderAlone(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	out := filepath.Join(t.TempDir(), "reported")
	path := hookScript(t, "refuses", "exit 65")
	tickets := newHookServer(t, nil)
	config := s.config(fmt.Sprintf("hooks: [%q]\nwebhooks: [{url: %q, name: tickets}]\n", path, tickets.URL))
	p := person{s, config}
	d := s.start(config)
	s.addFinal(s.static, s.watched("www.example.com"))
	s.publish()
	s.untilVerified()
	s.untilDelivered()

	name := "hook:" + path
	status := func() ctwatch.SenderStatus {
		t.Helper()
		var all []ctwatch.SenderStatus
		s.check(json.Unmarshal([]byte(p.does(exitDone, "notify", "status", "--json")), &all))
		i := slices.IndexFunc(all, func(x ctwatch.SenderStatus) bool { return x.Name == name })
		if i < 0 {
			t.Fatalf("notify status lacks %s", name)
		}
		return all[i]
	}
	reported := tickets.ids()
	var letters []deadLetterObject
	s.check(json.Unmarshal([]byte(p.does(exitDone, "notify", "status", "--dead-letters", "--json")), &letters))
	var refused []string
	for _, l := range letters {
		refused = append(refused, l.Event.ID)
		if l.Sender != name || !strings.Contains(l.Reason, "65") {
			t.Errorf("a dead letter of %s: %s", l.Sender, l.Reason)
		}
	}
	if diff := cmp.Diff(sorted(reported), sorted(refused)); diff != "" || len(refused) != 2 {
		t.Fatalf("dead letters (-events +dead):\n%s", diff)
	}
	if got := status(); !got.Configured || got.DeadLetters != 2 || got.Backlog != 0 {
		t.Errorf("%+v", got)
	}

	s.check(os.WriteFile(path, fmt.Appendf(nil, "#!/bin/sh\necho \"$CTWATCH_EVENT_ID\" >> %s\n", out), 0o700))
	p.does(exitDone, "notify", "replay", name)
	s.eventually("the hook has its events", func() bool { return len(lines(out)) >= 2 })
	s.untilDelivered()
	if diff := cmp.Diff(reported, lines(out)); diff != "" { // in the order in which it happened
		t.Errorf("replayed (-events +reported):\n%s", diff)
	}
	if diff := cmp.Diff(reported, tickets.ids()); diff != "" {
		t.Errorf("others received events, too:\n%s", diff)
	}
	if got := status(); got.DeadLetters != 0 || got.LastSuccess == nil {
		t.Errorf("%+v", got)
	}
	for want, args := range map[string][]string{
		name + " has no dead letters; with --since": {name},
		"unknown sender nobody":                     {"nobody"},
		name + " has no dead letter 5\n":            {name, "--dead-letter", "5"},
	} {
		status, out, errs := p.tries(append([]string{"notify", "replay"}, args...)...)
		if got := out + errs; !strings.Contains(got, want) || (status == exitDone) != (errs == "") {
			t.Errorf("%d: %q, want %q", status, got, want)
		}
	}
	s.expectEvents(s.stream(d.natsURL), 1)
	d.stop()
}

// TestNotifyTestReachesEveryChannel: without a daemon, a test reaches every configured
// channel, and fails if it cannot reach one.
func TestNotifyTestReachesEveryChannel(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	out := filepath.Join(t.TempDir(), "reported")
	slack, tickets, mail := newFakeSlack(t), newHookServer(t, nil), newSMTP(t)
	port := freePort(t)
	natsServer(t, port, t.TempDir())
	p := person{s, s.config(fmt.Sprintf(`nats: {url: %q}
slack: {token_file: %q, api_url: %q, channel: "#certs", severity: critical}
email: {host: 127.0.0.1, port: %d, tls: none, from: ctwatch@example.org, to: [ops@example.org], severity: critical}
webhooks: [{url: %q, name: tickets, types: [log.misbehaved]}]
hooks: [%q]
`, natsURL(port), s.file("token", "xoxb-test\n"), slack.url, mail.port, tickets.URL, hookScript(t, "h", "echo $CTWATCH_EVENT_TYPE $CTWATCH_EVENT_ID >> "+out)))}

	results := func(want int, args ...string) (ok, failed []string) {
		t.Helper()
		var all []testObject
		s.check(json.Unmarshal([]byte(p.does(want, append([]string{"notify", "test", "--json"}, args...)...)), &all))
		for _, r := range all {
			if r.OK {
				ok = append(ok, r.Sender)
			} else {
				failed = append(failed, r.Sender)
			}
		}
		return ok, failed
	}
	ok, failed := results(exitDone)
	if len(ok) != 5 || len(failed) != 0 {
		t.Errorf("reported: %q, not reported: %q", ok, failed)
	}
	got := lines(out)
	if len(got) != 2 || got[0] != string(ctwatch.NotifyTest) {
		t.Fatalf("the hook received %q", got)
	}
	for who, ids := range map[string][]string{"Slack": slack.posted(), "the webhook": tickets.ids(), "e-mail": mail.ids()} {
		if diff := cmp.Diff(got[1:], ids); diff != "" {
			t.Errorf("%s:\n%s", who, diff)
		}
	}
	mail.be(true)
	if ok, failed = results(exitFailed); len(ok) != 4 || !slices.Equal(failed, []string{"email:ops@example.org"}) {
		t.Errorf("with a mail server that refuses: reported %q, not reported %q", ok, failed)
	}
	if ok, _ = results(exitDone, "webhook:tickets"); len(ok) != 1 {
		t.Errorf("one alone: reported %q", ok)
	}
}
