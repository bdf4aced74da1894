package slack

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/notify"
	"ctwatch/notify/notifytest"
	"ctwatch/pins"
)

func threadSender(t *testing.T, server *fakeSlack, threads Threads, routes ...Route) *Sender {
	t.Helper()
	return newSender(t, Options{
		Token: notify.StaticSecret(testToken), APIURL: server.URL + "/api", Channel: "#certs", Threads: threads, Routes: routes,
	})
}

// Later facts go into the thread of the first message, and update it.
func TestLaterFactsUpdateFirstMessage(t *testing.T) {
	server := newFakeSlack(t)
	threads := &memoryThreads{}
	c := notifytest.NewStory("api.example.com")
	events := []ctwatch.Event{c.Issued(), c.Logged(), c.Deployed(), c.Rejected("alice"), c.Logged()}
	for i, e := range events {
		s := threadSender(t, server, threads) // a new one, as after a restart
		if !s.Wants(e) {
			t.Errorf("event %d is not wanted", i)
		}
		notifytest.MustSend(t, s, e)
	}
	seen := server.seen()
	if len(seen) != len(events) {
		t.Fatalf("%d messages, want %d", len(seen), len(events))
	}
	root := seen[0]
	for i, m := range seen {
		checkBlocks(t, []byte(m.blocks))
		if diff := cmp.Diff([]string{events[i].ID}, m.ids(t)); diff != "" {
			t.Errorf("message %d is about other events (-want +got):\n%s", i, diff)
		}
		if i > 0 && (m.thread != root.ts || m.channel != "C1") {
			t.Errorf("message %d is in channel %s and thread %q, want C1 and %q", i, m.channel, m.thread, root.ts)
		}
		if want := i == 3; m.broadcast != want {
			t.Errorf("message %d is shown in the channel: %v, want %v", i, m.broadcast, want)
		}
	}
	if root.updates != 4 {
		t.Errorf("the first message was updated %d times, want 4", root.updates)
	}
	text := decodeBlocks(t, root.blocks)
	for _, want := range []string{"🔴 Unexpected certificate", "Deployed since 2026-11-20 10:03", "Rejected by", "final certificate", "certs authorize"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the first message:\n%s", want, text)
		}
	}
	if alarm := decodeBlocks(t, seen[3].blocks); !strings.Contains(alarm, "problems@ca.example") || !strings.Contains(alarm, "https://crt.sh/?q=") {
		t.Errorf("the alarm does not say what to do: %s", alarm)
	}
}

// An event that does not say where to report a certificate does not take that away.
func TestUpdatedAlarmKeepsReportTo(t *testing.T) {
	server := newFakeSlack(t)
	s := threadSender(t, server, &memoryThreads{})
	s.o.ReportTo = func(*ctwatch.Certificate) string { return "problems@ca.example" }
	c := notifytest.NewStory("api.example.com")
	notifytest.MustSend(t, s, c.Alarmed()[1])
	notifytest.MustSend(t, s, c.Logged())
	seen := server.seen()
	if seen[0].updates != 1 || !strings.Contains(decodeBlocks(t, seen[0].blocks), "problems@ca.example") {
		t.Errorf("after %d updates: %s", seen[0].updates, decodeBlocks(t, seen[0].blocks))
	}
	notifytest.MustSend(t, s, c.Authorized("alice"))
	if strings.Contains(decodeBlocks(t, server.seen()[0].blocks), "problems@ca.example") {
		t.Error("it says where to report a certificate that may exist")
	}
}

func TestFirstMessageNamesJudge(t *testing.T) {
	server := newFakeSlack(t)
	s := threadSender(t, server, &memoryThreads{})
	c := notifytest.NewStory("api.example.com")
	notifytest.MustSend(t, s, c.Issued())
	notifytest.MustSend(t, s, c.Rejected("alice"))
	if text := decodeBlocks(t, server.seen()[0].blocks); !strings.Contains(text, "Rejected by `alice`") {
		t.Errorf("the first message does not say who rejected the certificate:\n%s", text)
	}
}

// TestWhoJudgedStaysInMessage: who rejected or authorized a certificate is still in its
// first message after later events, which do not say.
func TestWhoJudgedStaysInMessage(t *testing.T) {
	for name, tt := range map[string]struct {
		judge func(*notifytest.Story, string) ctwatch.Event
		want  string
	}{
		"rejected":   {(*notifytest.Story).Rejected, "Rejected by `alice`"},
		"authorized": {(*notifytest.Story).Authorized, "Authorized by `alice`"},
	} {
		t.Run(name, func(t *testing.T) {
			server := newFakeSlack(t)
			s := threadSender(t, server, &memoryThreads{})
			c := notifytest.NewStory("api.example.com")
			s.o.JudgedBy = func(_ context.Context, id ctwatch.Hash) string {
				if id != c.Cert.ID {
					t.Errorf("asked for %v", id)
				}
				return "alice"
			}
			for _, e := range []ctwatch.Event{c.Issued(), tt.judge(c, "alice"), c.Logged(), c.Deployed()} {
				notifytest.MustSend(t, s, e)
			}
			root := server.seen()[0]
			if text := decodeBlocks(t, root.blocks); root.updates != 3 || !strings.Contains(text, tt.want) {
				t.Errorf("after %d updates, without %q:\n%s", root.updates, tt.want, text)
			}
		})
	}
}

// TestNewKeyIsNoSecondMessage: that a certificate has a new key which an app pins stands
// in its thread; without an app it is not sent.
func TestNewKeyIsNoSecondMessage(t *testing.T) {
	server := newFakeSlack(t)
	s := threadSender(t, server, &memoryThreads{})
	c := notifytest.NewStory("api.example.com")
	notifytest.MustSend(t, s, c.Issued())
	key := ctwatch.CandidateEvent(pins.Key{Pin: c.Cert.Key.Pin, Role: pins.RoleLeaf}, c.Cert, []string{"example.com"}, notifytest.Time)
	if s.Wants(key) || key.Data.Severity != ctwatch.Info {
		t.Errorf("of severity %s, wanted: %v", key.Data.Severity, s.Wants(key))
	}
	key = ctwatch.ForApp(key, "shop", "api.example.com")
	if !s.Wants(key) || key.Data.Severity != ctwatch.Warning {
		t.Errorf("for an app: of severity %s, wanted: %v", key.Data.Severity, s.Wants(key))
	}
	notifytest.MustSend(t, s, key)
	seen := server.seen()
	if len(seen) != 2 || seen[1].thread != seen[0].ts || seen[1].broadcast || seen[0].updates != 0 {
		t.Errorf("%d messages: %+v", len(seen), seen)
	}
}

// TestRepeatedEntryFloodsNoThread: a log that holds one certificate any number of times
// makes no more than so many notes about it.
func TestRepeatedEntryFloodsNoThread(t *testing.T) {
	s := threadSender(t, newFakeSlack(t), &memoryThreads{})
	c := notifytest.NewStory("api.example.com")
	notifytest.MustSend(t, s, c.Issued())
	notes := 0
	for range 100 {
		if s.Wants(c.Logged()) {
			notes++
		}
	}
	if notes == 0 || notes > maxNoted {
		t.Errorf("%d notes", notes)
	}
}

// An alarm for another channel is a message there, with its own thread.
func TestAlarmInOtherChannelHasThread(t *testing.T) {
	server := newFakeSlack(t)
	s := threadSender(t, server, &memoryThreads{}, Route{Severity: ctwatch.Critical, Channel: "#incident"})
	c := notifytest.NewStory("api.example.com")
	for _, e := range []ctwatch.Event{c.Issued(), c.Rejected("alice"), c.Deployed()} {
		notifytest.MustSend(t, s, e)
	}
	seen := server.seen()
	if seen[0].channel != "C1" || seen[1].channel != "C2" || seen[1].thread != "" {
		t.Errorf("first %+v, alarm %+v", seen[0], seen[1])
	}
	if note := seen[2]; note.channel != "C1" || note.thread != seen[0].ts {
		t.Errorf("the note went to %s, thread %s", note.channel, note.thread)
	}
	for i, m := range seen[:2] {
		if text := decodeBlocks(t, m.blocks); !strings.Contains(text, "Deployed since") || !strings.Contains(text, "🔴") {
			t.Errorf("message %d was not brought up to date:\n%s", i, text)
		}
	}
}

func TestSomeFactsAreOnlyNotes(t *testing.T) {
	expected := notifytest.NewStory("b.example.com")
	expected.Cert.Verdict = ctwatch.Expected
	candidate := notifytest.NewStory("c.example.com")
	for name, tt := range map[string]struct {
		e    ctwatch.Event
		sent bool
	}{
		"seen in another log":                 {notifytest.NewStory("a.example.com").Logged(), false},
		"deployed as expected":                {expected.Deployed(), false},
		"deployed, and nobody knows why":      {notifytest.NewStory("a.example.com").Deployed(), true},
		"rejected":                            {notifytest.NewStory("a.example.com").Rejected("alice"), true},
		"near its end":                        {ctwatch.ExpiringEvent(expected.Cert, "b.example.com", "b.example.com (192.0.2.1:443)", notifytest.Time), true},
		"a pin that an app lacks":             {ctwatch.PinMissingEvent("shop", "c.example.com", "example.com", &candidate.Cert, candidate.Cert.Key.Pin, "why", 1, notifytest.Time), true},
		"a log that is no part of any thread": {notifytest.Misbehaved(), true},
	} {
		t.Run(name, func(t *testing.T) {
			server := newFakeSlack(t)
			notifytest.MustSend(t, threadSender(t, server, &memoryThreads{}), tt.e)
			if seen := server.seen(); (len(seen) == 1) != tt.sent {
				t.Errorf("%d messages", len(seen))
			}
		})
	}
}

func TestRepeatedEventUpdatesMessage(t *testing.T) {
	server := newFakeSlack(t)
	threads := &memoryThreads{}
	e := notifytest.Issued()
	notifytest.MustSend(t, threadSender(t, server, threads), e)
	notifytest.MustSend(t, threadSender(t, server, threads), e) // as after a crash
	if seen := server.seen(); len(seen) != 1 || seen[0].updates != 1 {
		t.Errorf("messages %+v, want one, updated", seen)
	}
	server.remove(server.seen()[0].ts)
	notifytest.MustSend(t, threadSender(t, server, threads), e)
	if seen := server.seen(); len(seen) != 1 {
		t.Errorf("%d messages after the first was deleted, want a new one", len(seen))
	}
}

func TestDeletedThreadDoesNotBlock(t *testing.T) {
	server := newFakeSlack(t)
	s := threadSender(t, server, &memoryThreads{})
	c := notifytest.NewStory("api.example.com")
	notifytest.MustSend(t, s, c.Issued())
	server.remove(server.seen()[0].ts)
	notifytest.MustSend(t, s, c.Logged())
	if n := len(server.seen()); n != 0 {
		t.Errorf("%d messages: a note without its thread is not sent", n)
	}
	alarm, note := c.Rejected("alice"), c.Logged()
	notifytest.MustSend(t, s, alarm)
	notifytest.MustSend(t, s, note)
	seen := server.seen()
	if len(seen) != 2 || seen[0].thread != "" || seen[1].thread != seen[0].ts {
		t.Errorf("messages %+v, want the alarm and a note in its thread", seen)
	}
}

// A message that cannot be updated still gets replies.
func TestReplyWithoutUpdate(t *testing.T) {
	for name, tt := range map[string]struct {
		reply http.HandlerFunc
		retry bool
	}{
		"too old to edit":                  {notifytest.Answer(200, `{"ok":false,"error":"edit_window_closed"}`), false},
		"not ours":                         {notifytest.Answer(200, `{"ok":false,"error":"cant_update_message"}`), false},
		"a code nobody knows":              {notifytest.Answer(200, `{"ok":false,"error":"whatever"}`), false},
		"a service without this method":    {notifytest.Answer(404, "not found"), false},
		"rate limit":                       {notifytest.Answer(429, "", "Retry-After", "1"), true},
		"Slack is ill":                     {notifytest.Answer(500, ""), true},
		"Slack says that it is ill":        {notifytest.Answer(200, `{"ok":false,"error":"internal_error"}`), true},
		"a token that does not work now":   {notifytest.Answer(200, `{"ok":false,"error":"token_revoked"}`), true},
		"an answer that is not Slack's":    {notifytest.Answer(200, `<html>`), true},
		"an answer that says nothing more": {notifytest.Answer(200, `{"ok":false}`), true},
	} {
		t.Run(name, func(t *testing.T) {
			server := newFakeSlack(t)
			s := threadSender(t, server, &memoryThreads{})
			c := notifytest.NewStory("api.example.com")
			notifytest.MustSend(t, s, c.Issued())
			server.next(tt.reply)
			note := c.Logged()
			retry, err := s.Send(notifytest.Within(t, notifytest.Patience), note)
			if (err != nil) != tt.retry || retry != tt.retry {
				t.Fatalf("Send: retry %v, %v; want retry %v", retry, err, tt.retry)
			}
			if tt.retry {
				if n := len(server.seen()); n != 1 {
					t.Fatalf("%d messages before the retry", n)
				}
				notifytest.MustSend(t, s, note)
			}
			if n := len(server.seen()); n != 2 {
				t.Errorf("%d messages, want 2", n)
			}
		})
	}
}

// Events do not wait for updates that fail again and again.
func TestEventsDoNotWaitForUpdates(t *testing.T) {
	ill := notifytest.Answer(500, "")
	t.Run("a note", func(t *testing.T) {
		server := newFakeSlack(t)
		s := threadSender(t, server, &memoryThreads{})
		c := notifytest.NewStory("api.example.com")
		notifytest.MustSend(t, s, c.Issued())
		note := c.Logged()
		for n := 1; n < maxUpdates; n++ {
			server.next(ill)
			if retry, err := s.Send(notifytest.Within(t, notifytest.Patience), note); err == nil || !retry {
				t.Fatalf("try %d: retry %v, %v", n, retry, err)
			}
		}
		server.next(ill)
		notifytest.MustSend(t, s, note)
		if n := len(server.seen()); n != 2 {
			t.Errorf("%d messages, want the note as well", n)
		}
	})
	t.Run("an alarm", func(t *testing.T) {
		server := newFakeSlack(t)
		s := threadSender(t, server, &memoryThreads{})
		c := notifytest.NewStory("api.example.com")
		notifytest.MustSend(t, s, c.Issued())
		server.next(ill)
		notifytest.MustSend(t, s, c.Rejected("ada"))
		if n := len(server.seen()); n != 2 {
			t.Errorf("%d messages, want the alarm as well", n)
		}
	})
}

// A message whose thread cannot be saved is not posted twice.
func TestUnsavedThreadIsPostedOnce(t *testing.T) {
	server := newFakeSlack(t)
	threads := &memoryThreads{}
	s := threadSender(t, server, threads)
	c := notifytest.NewStory("api.example.com")
	first := c.Issued()
	// The memory breaks while the message is posted.
	server.next(func(w http.ResponseWriter, _ *http.Request) {
		threads.setBroken(errors.New("disk full"))
		server.mu.Lock()
		defer server.mu.Unlock()
		server.messages = append(server.messages, &seenMessage{channel: "C1", ts: "1.1"})
		notifytest.Answer(200, `{"ok":true,"channel":"C1","ts":"1.1"}`)(w, nil)
	})
	for range 3 {
		if retry, err := s.Send(notifytest.Within(t, notifytest.Patience), first); err == nil || !retry || !strings.Contains(err.Error(), "disk full") {
			t.Fatalf("Send: retry %v, %v", retry, err)
		}
	}
	threads.setBroken(nil)
	notifytest.MustSend(t, s, first)
	notifytest.MustSend(t, s, c.Logged())
	if seen := server.seen(); len(seen) != 2 || seen[1].thread != "1.1" {
		t.Errorf("messages %+v, want the first once, and the note in its thread", seen)
	}
}

func TestExpectedCertificatesHaveNoNotes(t *testing.T) {
	s := threadSender(t, newFakeSlack(t), &memoryThreads{})
	c := notifytest.NewStory("api.example.com")
	if !s.Wants(c.Logged()) {
		t.Error("a note about an unreviewed certificate is not wanted")
	}
	c.Cert.Verdict = ctwatch.Expected
	if s.Wants(c.Logged()) {
		t.Error("a note about an expected certificate is wanted")
	}
}

func TestWithoutThreadsEachIsAMessage(t *testing.T) {
	server := newFakeSlack(t)
	for _, s := range []*Sender{tokenSender(t, server), webhookSender(t, server)} {
		c := notifytest.NewStory("api.example.com")
		if s.Wants(c.Logged()) {
			t.Error("it wants what is of no importance without a thread")
		}
		notifytest.MustSend(t, s, c.Issued())
		notifytest.MustSend(t, s, c.Rejected("alice"))
	}
	for _, m := range server.seen() {
		if m.thread != "" || m.updates > 0 {
			t.Errorf("message %+v is in a thread, or was updated", m)
		}
	}
	if n := len(server.all()); n != 4 {
		t.Errorf("%d requests, want 4", n)
	}
}

// If Slack does not say where a message is, there are no threads.
func TestReplyWithoutPlaceHasNoThread(t *testing.T) {
	for _, reply := range []string{`{"ok":true}`, `{"ok":true,"channel":"C1","ts":"<!here>"}`, `{"ok":true,"channel":"` + strings.Repeat("C", 200) + `","ts":"1.1"}`} {
		threads := &memoryThreads{}
		server := newFakeSlack(t, notifytest.Answer(200, reply))
		notifytest.MustSend(t, threadSender(t, server, threads), notifytest.Issued())
		if len(threads.at) != 0 {
			t.Errorf("%s: remembered %v", reply, threads.at)
		}
	}
}
