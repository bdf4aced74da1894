package slack

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/notify"
	"ctwatch/notify/notifytest"
	"ctwatch/notify/sendertest"
	"ctwatch/pins"
)

// sendBatches sends all events as a dispatcher does, and returns the errors of
// failures.
func sendBatches(t *testing.T, s *Sender, events []ctwatch.Event) (errs []error) {
	t.Helper()
	for len(events) > 0 {
		taken, retry, err := s.SendBatch(notifytest.Within(t, notifytest.Patience), events)
		if err == nil && taken == 0 || err != nil && !retry || len(errs) > 50 {
			t.Fatalf("SendBatch of %d: taken %d, retry %v, %v", len(events), taken, retry, err)
		}
		if err != nil {
			errs = append(errs, err)
		}
		events = events[taken:]
	}
	if len(s.sent) > 0 {
		t.Errorf("it still remembers %v", s.sent)
	}
	return errs
}

// manyEvents is a storm of new certificates, with a critical one in each hundred.
func manyEvents(n int) (events []ctwatch.Event) {
	for i := range n {
		c := notifytest.NewStory(fmt.Sprintf("host-%04d.example.com", i))
		events = append(events, c.Issued())
		if i%100 == 50 {
			events = append(events, c.Rejected("alice"))
		}
	}
	return events
}

// sentIDs returns the IDs of the events in messages, in order, each once.
func sentIDs(t *testing.T, seen []seenMessage) (ids []string) {
	t.Helper()
	for _, m := range seen {
		for _, id := range m.ids(t) {
			if slices.Contains(ids, id) {
				t.Errorf("event %s was sent twice", id)
			}
			ids = append(ids, id)
		}
	}
	return ids
}

// A few digests name all events of a storm.
func TestStormIsFewMessages(t *testing.T) {
	for name, s := range map[string]func(*fakeSlack) *Sender{
		"threads": func(server *fakeSlack) *Sender { return threadSender(t, server, &memoryThreads{}) },
		"webhook": func(server *fakeSlack) *Sender { return webhookSender(t, server) },
	} {
		t.Run(name, func(t *testing.T) {
			server := newFakeSlack(t)
			events := manyEvents(300)
			sendBatches(t, s(server), events)
			posts := server.all()
			if len(posts) > 25 {
				t.Errorf("%d messages for %d events", len(posts), len(events))
			}
			all := ""
			for _, p := range posts {
				blocks := p.form.Get("blocks")
				if p.body != nil {
					var hook struct{ Blocks json.RawMessage }
					if err := json.Unmarshal(p.body, &hook); err != nil {
						t.Fatal(err)
					}
					blocks = string(hook.Blocks)
				}
				checkBlocks(t, []byte(blocks))
				all += decodeBlocks(t, blocks)
				if n := len(p.form.Get("metadata")); n > 8000 {
					t.Errorf("%d bytes of metadata", n)
				}
			}
			for _, e := range events {
				if !strings.Contains(all, e.ID) || !strings.Contains(all, e.Data.Certificate.Names[0]) || !strings.Contains(all, e.Data.Certificate.ID.String()) {
					t.Errorf("event %s about %s is not named", e.ID, e.Data.Certificate.Names[0])
				}
			}
		})
	}
}

// Critical events of a storm have their own messages, ahead of the others.
func TestCriticalEventsPrecedeDigests(t *testing.T) {
	server := newFakeSlack(t)
	events := manyEvents(300)
	sendBatches(t, threadSender(t, server, &memoryThreads{}), events)
	seen := server.seen()
	if got, want := len(sentIDs(t, seen)), len(events); got != want {
		t.Errorf("%d events sent, want %d", got, want)
	}
	for i, m := range seen {
		alarm := strings.HasPrefix(m.text, "🔴 A certificate")
		if alarm != (i < 3) {
			t.Errorf("message %d: %s", i, m.text)
		}
		if alarm && len(m.ids(t)) != 2 {
			t.Errorf("the alarm does not include that the certificate was issued: %v", m.ids(t))
		}
	}
}

func TestDigestPerChannelInOrder(t *testing.T) {
	server := newFakeSlack(t)
	s := threadSender(t, server, &memoryThreads{}, Route{Types: []string{"pin.*"}, Channel: "#apps"})
	var events []ctwatch.Event
	want := map[string][]string{}
	for i := range 60 {
		c := notifytest.NewStory(fmt.Sprintf("host-%04d.example.com", i))
		e, channel := c.Issued(), "C1"
		if i%3 == 0 {
			e, channel = ctwatch.PinCandidateForApp("shop", c.Cert.Names[0], "example.com", pins.Key{State: pins.StateApproved}, "why", 1, notifytest.Time), "C3"
		}
		events = append(events, e)
		want[channel] = append(want[channel], e.ID)
	}
	sendBatches(t, s, events)
	got := map[string][]string{}
	for _, m := range server.seen() {
		got[m.channel] = append(got[m.channel], m.ids(t)...)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

func TestStormNotesGoIntoThreads(t *testing.T) {
	server := newFakeSlack(t)
	threads := &memoryThreads{}
	s := threadSender(t, server, threads)
	own := notifytest.NewStory("own.example.com")
	notifytest.MustSend(t, s, own.Issued())
	var events []ctwatch.Event
	var stories []*notifytest.Story
	for i := range 30 {
		c := notifytest.NewStory(fmt.Sprintf("host-%04d.example.com", i))
		stories = append(stories, c)
		events = append(events, c.Issued(), c.Logged())
	}
	events = append(events, own.Logged(), own.Logged(), notifytest.NewStory("unknown.example.com").Logged())
	sendBatches(t, s, events)
	for _, c := range stories {
		notifytest.MustSend(t, threadSender(t, server, threads), c.Deployed())
	}

	top := 0
	for i, m := range server.seen() {
		if m.thread != "" {
			continue
		}
		top++
		for _, id := range m.ids(t) {
			if j := slices.IndexFunc(events, func(e ctwatch.Event) bool { return e.ID == id }); j >= 0 && events[j].Type != ctwatch.CertificateIssued {
				t.Errorf("message %d in the channel is about %s", i, events[j].Type)
			}
		}
		if own := i == 0; own && m.updates != 1 || !own && m.updates != 0 {
			t.Errorf("message %d was updated %d times", i, m.updates)
		}
	}
	if top > 4 {
		t.Errorf("%d messages in the channel", top)
	}
	if got, want := len(sentIDs(t, server.seen())), 1+2*30+2+30; got != want {
		t.Errorf("%d events sent, want %d", got, want)
	}
}

// An alarm about a certificate that was in a digest is a message of its own.
func TestAlarmAfterDigestIsAMessage(t *testing.T) {
	server := newFakeSlack(t)
	s := threadSender(t, server, &memoryThreads{})
	a, b := notifytest.NewStory("a.example.com"), notifytest.NewStory("b.example.com")
	sendBatches(t, s, []ctwatch.Event{a.Issued(), b.Issued()})
	for _, e := range []ctwatch.Event{a.Logged(), a.Rejected("alice"), a.Logged(), b.Logged()} {
		notifytest.MustSend(t, s, e)
	}
	seen := server.seen()
	var threads []string
	for _, m := range seen {
		threads = append(threads, m.thread)
	}
	if diff := cmp.Diff([]string{"", seen[0].ts, "", seen[2].ts, seen[0].ts}, threads); diff != "" {
		t.Errorf("threads (-want +got):\n%s", diff)
	}
	if seen[0].updates != 0 || seen[2].updates != 1 {
		t.Errorf("%d updates of the digest, %d of the alarm", seen[0].updates, seen[2].updates)
	}
}

func TestFailedDigestContinues(t *testing.T) {
	server := newFakeSlack(t)
	bad := []http.HandlerFunc{
		notifytest.Answer(429, "", "Retry-After", "1"), nil, notifytest.Answer(500, ""), nil, nil, notifytest.Answer(200, "<html>"), notifytest.Answer(200, `{"ok":false,"error":"internal_error"}`), nil, notifytest.Answer(503, ""),
	}
	server.next(bad...)
	events := manyEvents(300)
	if errs := sendBatches(t, threadSender(t, server, &memoryThreads{}), events); len(errs) != 5 {
		t.Errorf("%d failures, want 5: %v", len(errs), errs)
	}
	if got := len(sentIDs(t, server.seen())); got != len(events) {
		t.Errorf("%d events sent, want %d", got, len(events))
	}
}

// TestAllArriveInOrderAfterTrouble has the whole chain at work: an outbox,
// a dispatcher, and a Slack with all its moods.
func TestAllArriveInOrderAfterTrouble(t *testing.T) {
	server := newFakeSlack(t)
	hang := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for range 3 {
		server.next(notifytest.Answer(429, "", "Retry-After", "0"), nil, notifytest.Answer(500, ""), hang, nil, nil, notifytest.Answer(200, "nonsense"), notifytest.Answer(200, `{"ok":null}`))
	}
	var events []ctwatch.Event
	c := make([]*notifytest.Story, 10)
	for i := range c {
		c[i] = notifytest.NewStory(fmt.Sprintf("host-%04d.example.com", i))
		events = append(events, c[i].Issued())
	}
	for i := range c {
		events = append(events, c[i].Logged(), c[i].Rejected("alice"), c[i].Logged())
	}
	o := notifytest.NewOutbox(events...)
	_, _ = sendertest.Start(t, notify.Config{
		Outbox: o, Senders: []notify.Sender{threadSender(t, server, &memoryThreads{})}, Storm: -1, Timeout: 2 * time.Second, // a busy machine is no trouble
	})
	notifytest.Eventually(t, "all is delivered", func() bool { return o.Cursor("slack").Seq == int64(len(events)) })
	var want []string
	for _, e := range events {
		want = append(want, e.ID)
	}
	if diff := cmp.Diff(want, sentIDs(t, server.seen())); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
	if dead := o.Cursor("slack").Dead; len(dead) > 0 {
		t.Errorf("dead letters: %v", dead)
	}
}

func TestDispatcherSendsDigests(t *testing.T) {
	server := newFakeSlack(t)
	events := manyEvents(200)
	o := notifytest.NewOutbox(events...)
	_, _ = sendertest.Start(t, notify.Config{Outbox: o, Senders: []notify.Sender{threadSender(t, server, &memoryThreads{})}, Storm: 5})
	notifytest.Eventually(t, "all is delivered", func() bool { return o.Cursor("slack").Seq == int64(len(events)) })
	if got := len(sentIDs(t, server.seen())); got != len(events) {
		t.Errorf("%d events sent, want %d", got, len(events))
	}
	if n := len(server.seen()); n > 20 {
		t.Errorf("%d messages for %d events", n, len(events))
	}
}
