package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/store"
)

// TestReadingWaitsForNoSender: while every sender is in trouble, each in another way,
// the logs are read to their heads. When the trouble is over every sender has sent every
// event, in order for each certificate, and, except for Slack, once.
func TestReadingWaitsForNoSender(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	slack := newFakeSlack(t)
	moods := []func(http.ResponseWriter, *http.Request) bool{
		slackAnswers(http.StatusTooManyRequests),
		slackAnswers(http.StatusInternalServerError),
		slackHangs,
		func(w http.ResponseWriter, _ *http.Request) bool {
			fmt.Fprint(w, "<html>It works!</html>")
			return true
		},
	}
	failing := newHookServer(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	mail := newSMTP(t)
	mail.be(true)
	out := filepath.Join(t.TempDir(), "reported")
	good := hookScript(t, "good", fmt.Sprintf(`echo "$CTWATCH_EVENT_ID" >> %s`, out))
	began := filepath.Join(t.TempDir(), "began")
	hangs := hookScript(t, "hangs", fmt.Sprintf("echo began >> %s; tail -f --pid=$PPID /dev/null", began))
	port, dir := freePort(t), t.TempDir()
	stop := natsServer(t, port, dir)

	d := s.start(s.config(fmt.Sprintf(`nats: {url: %q}
notify: {storm: -1}
email: {host: 127.0.0.1, port: %d, tls: none, from: ctwatch@example.org, to: [ops@example.org]}
webhooks: [{url: %q, name: tickets}]
hooks: [%q, %q]
hook_timeout: 10m
`, natsURL(port), mail.port, failing.URL, good, hangs) + slack.config()))
	const rounds = 8
	for n := range rounds {
		slack.be(moods[n%len(moods)])
		switch n {
		case 2:
			stop()
		case 5:
			stop = natsServer(t, port, dir)
		}
		i := s.watched(fmt.Sprintf("host%d.example.com", n))
		sct := s.addPrecert(s.logs[n%2], i)
		s.addFinal(s.logs[(n+1)%2], i, sct)
		s.fill(100)
		s.publish()
		s.untilVerified() // although no channel works
	}
	s.expectTruth()
	s.eventually("everybody was asked in vain", func() bool {
		return failing.requests() > 0 && mail.sessions() > 0 && d.log.contains("sender=slack") && len(lines(began)) > 0
	})
	if n := len(slack.posted()) + len(failing.ids()) + len(mail.ids()); n > 0 {
		t.Errorf("%d events were delivered while every channel was down", n)
	}
	if got := len(lines(out)); got == 0 {
		t.Error("the good hook waits for others")
	}

	slack.be(nil)
	failing.be(nil)
	mail.be(false)
	s.eventually("all but the hook that hangs have every event", func() bool { return s.backlog("hook:"+hangs) == 0 })
	all := s.stream(natsURL(port))
	s.expectEvents(all, rounds)
	urgent := idsOf(all, func(m message) bool {
		return m.Type != ctwatch.WatchHeartbeat && m.Data.Severity.AtLeast(ctwatch.Info)
	})
	if diff := cmp.Diff(forSlack(all), firsts(slack.posted())); diff != "" {
		t.Errorf("Slack (-NATS +Slack):\n%s", diff)
	}
	slack.expectThreads(t, all)
	for who, got := range map[string][]string{"the webhook": failing.ids(), "the hook": lines(out)} {
		if diff := cmp.Diff(urgent, got); diff != "" {
			t.Errorf("%s (-NATS +reported):\n%s", who, diff)
		}
	}
	// People hear of a certificate once: not of its new key, too.
	news := idsOf(all, func(m message) bool {
		return m.Type != ctwatch.WatchHeartbeat && m.Type != ctwatch.PinCandidate && m.Data.Severity.AtLeast(ctwatch.Info)
	})
	if diff := cmp.Diff(news, mail.ids()); diff != "" {
		t.Errorf("e-mail (-NATS +reported):\n%s", diff)
	}
	d.stop()
}

// backlog is how many events wait for anybody but some.
func (s *stage) backlog(but ...string) (n int64) {
	s.t.Helper()
	for _, x := range s.senders() {
		if !slices.Contains(but, x.Name) {
			n += x.Backlog
		}
	}
	return n
}

// senders returns the status of every sender.
func (s *stage) senders() (all []ctwatch.SenderStatus) {
	s.t.Helper()
	s.read(func(db *store.DB) (err error) {
		all, err = db.Senders.List(s.ctx)
		return err
	})
	return all
}

// TestAStormOnSlackLosesNothing: a burst of events arrives in digests,
// also after Slack was down; each event is delivered once, and those about one
// certificate in order.
func TestAStormOnSlackLosesNothing(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	slack := newFakeSlack(t)
	slack.be(slackAnswers(http.StatusTooManyRequests))
	d := s.start(s.config(slack.config()))
	const rounds = 60
	for n := range rounds {
		i := s.watched(fmt.Sprintf("host%d.example.com", n))
		sct := s.addPrecert(s.logs[n%2], i)
		s.addFinal(s.logs[(n+1)%2], i, sct)
	}
	s.publish()
	s.untilVerified()
	slack.be(nil)
	s.untilDelivered()
	all := s.stream(d.natsURL)
	s.expectEvents(all, rounds)
	if diff := cmp.Diff(sorted(forSlack(all)), sorted(slack.posted())); diff != "" {
		t.Errorf("Slack (-NATS +Slack):\n%s", diff)
	}
	// Within one place, the channel or a thread, messages are in order.
	type at struct {
		thread string
		n      int
	}
	places, n := make(map[string]at), 0
	for _, m := range slack.messages() {
		for _, id := range m.ids {
			places[id] = at{m.thread, n}
			n++
		}
	}
	last := make(map[string]string)
	for _, id := range forSlack(all) {
		c, place := byID(all, id).Data.Certificate, places[id]
		key := c.ID.String() + place.thread
		if before := last[key]; before != "" && places[before].n > place.n {
			t.Errorf("of %v, %s arrives before %s", c.Names, byID(all, id).Type, byID(all, before).Type)
		}
		last[key] = id
	}
	if n := len(slack.messages()); n >= len(slack.posted()) {
		t.Errorf("%d messages for %d events: there was no digest", n, len(slack.posted()))
	}
	d.stop()
}

func byID(all []message, id string) message {
	return all[slices.IndexFunc(all, func(m message) bool { return m.ID == id })]
}
