package notify

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

func threadSlack(t *testing.T, server *slackServer, threads SlackThreads, routes ...SlackRoute) *Slack {
	t.Helper()
	return newSlack(t, SlackOptions{
		Token: StaticSecret(testToken), APIURL: server.URL + "/api", Channel: "#certs", Threads: threads, Routes: routes,
	})
}

// A story is what happens to one certificate.
type story struct {
	c  ctwatch.Certificate
	at time.Time
}

func newStory(name string) *story {
	c := testCertificate(name)
	c.ID = ctwatch.Hash([]byte(strings.Repeat(name, 32)[:32]))
	return &story{c: c, at: testTime}
}

func (s *story) next() time.Time { s.at = s.at.Add(time.Minute); return s.at }

func (s *story) issued() ctwatch.Event { return ctwatch.IssuedEvent(s.c, s.next()) }

func (s *story) logged() ctwatch.Event {
	sighting := s.c.Sightings[0]
	sighting.Index += uint64(len(s.c.Sightings))
	sighting.Kind = ctwatch.FinalCertificate
	s.c.Sightings = append(slices.Clone(s.c.Sightings), sighting)
	return ctwatch.LoggedEvent(s.c, sighting, s.next())
}

func (s *story) deployed() ctwatch.Event {
	at := s.next()
	s.c.Deployed, s.c.DeployedAt = true, &at
	return ctwatch.DeployedEvent(s.c, "api.example.com", "api.example.com (192.0.2.1:443)", at)
}

func (s *story) rejected(by string) ctwatch.Event {
	s.c.Verdict, s.c.Reasons = ctwatch.Unexpected, []string{"rejected"}
	e := ctwatch.UnexpectedEvent(s.c, "nobody here asked for it", s.next())
	e.Data.By, e.Data.ReportTo = by, "problems@ca.example"
	return e
}

func (s *story) authorized(by string) ctwatch.Event {
	before := s.c.Verdict
	s.c.Verdict, s.c.Reasons = ctwatch.Expected, []string{"authorized"}
	return ctwatch.JudgedEvent(s.c, before, "the shop's new CDN", by, 2, s.next())
}

// judged is what rules find out.
func (s *story) judged(v ctwatch.Verdict) ctwatch.Event {
	before := s.c.Verdict
	s.c.Verdict, s.c.Reasons = v, []string{"issuer_allowed"}
	return ctwatch.JudgedEvent(s.c, before, "The rule for example.com allows its issuer.", "", 3, s.next())
}

// alarmed are the events of a certificate that rules find unexpected at once, as they
// are written.
func (s *story) alarmed() []ctwatch.Event {
	s.c.Verdict, s.c.Reasons = ctwatch.Unexpected, []string{"issuer_not_allowed"}
	alarm := ctwatch.UnexpectedEvent(s.c, "no rule allows its issuer", s.next())
	alarm.Data.ReportTo = "problems@ca.example"
	return []ctwatch.Event{ctwatch.IssuedEvent(s.c, alarm.Time), alarm}
}

func TestLaterFactsGoIntoTheThreadOfTheFirstMessageAndUpdateIt(t *testing.T) {
	server := newSlackServer(t)
	threads := &memoryThreads{}
	c := newStory("api.example.com")
	events := []ctwatch.Event{c.issued(), c.logged(), c.deployed(), c.rejected("alice"), c.logged()}
	for i, e := range events {
		s := threadSlack(t, server, threads) // a new one, as after a restart
		if !s.Wants(e) {
			t.Errorf("event %d is not wanted", i)
		}
		mustSend(t, s, e)
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
func TestAnUpdatedAlarmStillSaysWhereToReport(t *testing.T) {
	server := newSlackServer(t)
	s := threadSlack(t, server, &memoryThreads{})
	s.o.ReportTo = func(*ctwatch.Certificate) string { return "problems@ca.example" }
	c := newStory("api.example.com")
	mustSend(t, s, c.alarmed()[1])
	mustSend(t, s, c.logged())
	seen := server.seen()
	if seen[0].updates != 1 || !strings.Contains(decodeBlocks(t, seen[0].blocks), "problems@ca.example") {
		t.Errorf("after %d updates: %s", seen[0].updates, decodeBlocks(t, seen[0].blocks))
	}
	mustSend(t, s, c.authorized("alice"))
	if strings.Contains(decodeBlocks(t, server.seen()[0].blocks), "problems@ca.example") {
		t.Error("it says where to report a certificate that may exist")
	}
}

func TestTheFirstMessageNamesWhoJudged(t *testing.T) {
	server := newSlackServer(t)
	s := threadSlack(t, server, &memoryThreads{})
	c := newStory("api.example.com")
	mustSend(t, s, c.issued())
	mustSend(t, s, c.rejected("alice"))
	if text := decodeBlocks(t, server.seen()[0].blocks); !strings.Contains(text, "Rejected by `alice`") {
		t.Errorf("the first message does not say who rejected the certificate:\n%s", text)
	}
}

// TestWhoJudgedStaysInMessage: who rejected or authorized a certificate is still in its
// first message after later events, which do not say.
func TestWhoJudgedStaysInMessage(t *testing.T) {
	for name, tt := range map[string]struct {
		judge func(*story, string) ctwatch.Event
		want  string
	}{
		"rejected":   {(*story).rejected, "Rejected by `alice`"},
		"authorized": {(*story).authorized, "Authorized by `alice`"},
	} {
		t.Run(name, func(t *testing.T) {
			server := newSlackServer(t)
			s := threadSlack(t, server, &memoryThreads{})
			c := newStory("api.example.com")
			s.o.JudgedBy = func(_ context.Context, id ctwatch.Hash) string {
				if id != c.c.ID {
					t.Errorf("asked for %v", id)
				}
				return "alice"
			}
			for _, e := range []ctwatch.Event{c.issued(), tt.judge(c, "alice"), c.logged(), c.deployed()} {
				mustSend(t, s, e)
			}
			root := server.seen()[0]
			if text := decodeBlocks(t, root.blocks); root.updates != 3 || !strings.Contains(text, tt.want) {
				t.Errorf("after %d updates, without %q:\n%s", root.updates, tt.want, text)
			}
		})
	}
}

// TestNewKeyIsNoSecondMessage: that a certificate has a new key which an app pins stands
// in its thread; without an app nobody is told of it.
func TestNewKeyIsNoSecondMessage(t *testing.T) {
	server := newSlackServer(t)
	s := threadSlack(t, server, &memoryThreads{})
	c := newStory("api.example.com")
	mustSend(t, s, c.issued())
	key := ctwatch.CandidateEvent(pins.Key{Pin: c.c.Key.Pin, Role: pins.RoleLeaf}, c.c, []string{"example.com"}, testTime)
	if s.Wants(key) || key.Data.Severity != ctwatch.Info {
		t.Errorf("of severity %s, wanted: %v", key.Data.Severity, s.Wants(key))
	}
	key = ctwatch.ForApp(key, "shop", "api.example.com")
	if !s.Wants(key) || key.Data.Severity != ctwatch.Warning {
		t.Errorf("for an app: of severity %s, wanted: %v", key.Data.Severity, s.Wants(key))
	}
	mustSend(t, s, key)
	seen := server.seen()
	if len(seen) != 2 || seen[1].thread != seen[0].ts || seen[1].broadcast || seen[0].updates != 0 {
		t.Errorf("%d messages: %+v", len(seen), seen)
	}
}

// TestRepeatedEntryFloodsNoThread: a log that holds one certificate any number of times
// makes no more than so many notes about it.
func TestRepeatedEntryFloodsNoThread(t *testing.T) {
	s := threadSlack(t, newSlackServer(t), &memoryThreads{})
	c := newStory("api.example.com")
	mustSend(t, s, c.issued())
	notes := 0
	for range 100 {
		if s.Wants(c.logged()) {
			notes++
		}
	}
	if notes == 0 || notes > maxNoted {
		t.Errorf("%d notes", notes)
	}
}

func TestAnAlarmForAnotherChannelIsAMessageThereAndHasItsOwnThread(t *testing.T) {
	server := newSlackServer(t)
	s := threadSlack(t, server, &memoryThreads{}, SlackRoute{Severity: ctwatch.Critical, Channel: "#incident"})
	c := newStory("api.example.com")
	for _, e := range []ctwatch.Event{c.issued(), c.rejected("alice"), c.deployed()} {
		mustSend(t, s, e)
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

func TestSomeFactsAreNeverMessagesOfTheirOwn(t *testing.T) {
	expected := newStory("b.example.com")
	expected.c.Verdict = ctwatch.Expected
	candidate := newStory("c.example.com")
	for name, tt := range map[string]struct {
		e    ctwatch.Event
		told bool
	}{
		"seen in another log":                 {newStory("a.example.com").logged(), false},
		"deployed as expected":                {expected.deployed(), false},
		"deployed, and nobody knows why":      {newStory("a.example.com").deployed(), true},
		"rejected":                            {newStory("a.example.com").rejected("alice"), true},
		"near its end":                        {ctwatch.ExpiringEvent(expected.c, "b.example.com", "b.example.com (192.0.2.1:443)", testTime), true},
		"a pin that an app lacks":             {ctwatch.PinMissingEvent("shop", "c.example.com", "example.com", &candidate.c, candidate.c.Key.Pin, "why", 1, testTime), true},
		"a log that is no part of any thread": {misbehaved(), true},
	} {
		t.Run(name, func(t *testing.T) {
			server := newSlackServer(t)
			mustSend(t, threadSlack(t, server, &memoryThreads{}), tt.e)
			if seen := server.seen(); (len(seen) == 1) != tt.told {
				t.Errorf("%d messages", len(seen))
			}
		})
	}
}

func TestAnEventThatIsToldAgainUpdatesItsMessage(t *testing.T) {
	server := newSlackServer(t)
	threads := &memoryThreads{}
	e := issued()
	mustSend(t, threadSlack(t, server, threads), e)
	mustSend(t, threadSlack(t, server, threads), e) // as after a crash
	if seen := server.seen(); len(seen) != 1 || seen[0].updates != 1 {
		t.Errorf("messages %+v, want one, updated", seen)
	}
	server.remove(server.seen()[0].ts)
	mustSend(t, threadSlack(t, server, threads), e)
	if seen := server.seen(); len(seen) != 1 {
		t.Errorf("%d messages after the first was deleted, want a new one", len(seen))
	}
}

func TestAThreadThatAPersonDeletedHoldsUpNothing(t *testing.T) {
	server := newSlackServer(t)
	s := threadSlack(t, server, &memoryThreads{})
	c := newStory("api.example.com")
	mustSend(t, s, c.issued())
	server.remove(server.seen()[0].ts)
	mustSend(t, s, c.logged())
	if n := len(server.seen()); n != 0 {
		t.Errorf("%d messages: a note is for nobody when its thread is gone", n)
	}
	alarm, note := c.rejected("alice"), c.logged()
	mustSend(t, s, alarm)
	mustSend(t, s, note)
	seen := server.seen()
	if len(seen) != 2 || seen[0].thread != "" || seen[1].thread != seen[0].ts {
		t.Errorf("messages %+v, want the alarm and a note in its thread", seen)
	}
}

func TestWhatCannotBeUpdatedIsStillRepliedTo(t *testing.T) {
	for name, tt := range map[string]struct {
		reply http.HandlerFunc
		retry bool
	}{
		"too old to edit":                  {answer(200, `{"ok":false,"error":"edit_window_closed"}`), false},
		"not ours":                         {answer(200, `{"ok":false,"error":"cant_update_message"}`), false},
		"a code nobody knows":              {answer(200, `{"ok":false,"error":"whatever"}`), false},
		"a service without this method":    {answer(404, "not found"), false},
		"rate limit":                       {answer(429, "", "Retry-After", "1"), true},
		"Slack is ill":                     {answer(500, ""), true},
		"Slack says that it is ill":        {answer(200, `{"ok":false,"error":"internal_error"}`), true},
		"a token that does not work now":   {answer(200, `{"ok":false,"error":"token_revoked"}`), true},
		"an answer that is not Slack's":    {answer(200, `<html>`), true},
		"an answer that says nothing more": {answer(200, `{"ok":false}`), true},
	} {
		t.Run(name, func(t *testing.T) {
			server := newSlackServer(t)
			s := threadSlack(t, server, &memoryThreads{})
			c := newStory("api.example.com")
			mustSend(t, s, c.issued())
			server.next(tt.reply)
			note := c.logged()
			retry, err := s.Send(within(t, patience), note)
			if (err != nil) != tt.retry || retry != tt.retry {
				t.Fatalf("Send: retry %v, %v; want retry %v", retry, err, tt.retry)
			}
			if tt.retry {
				if n := len(server.seen()); n != 1 {
					t.Fatalf("%d messages before the retry", n)
				}
				mustSend(t, s, note)
			}
			if n := len(server.seen()); n != 2 {
				t.Errorf("%d messages, want 2", n)
			}
		})
	}
}

func TestWhatIsToBeToldDoesNotWaitForUpdatesForEver(t *testing.T) {
	ill := answer(500, "")
	t.Run("a note", func(t *testing.T) {
		server := newSlackServer(t)
		s := threadSlack(t, server, &memoryThreads{})
		c := newStory("api.example.com")
		mustSend(t, s, c.issued())
		note := c.logged()
		for n := 1; n < maxUpdates; n++ {
			server.next(ill)
			if retry, err := s.Send(within(t, patience), note); err == nil || !retry {
				t.Fatalf("try %d: retry %v, %v", n, retry, err)
			}
		}
		server.next(ill)
		mustSend(t, s, note)
		if n := len(server.seen()); n != 2 {
			t.Errorf("%d messages, want the note as well", n)
		}
	})
	t.Run("an alarm", func(t *testing.T) {
		server := newSlackServer(t)
		s := threadSlack(t, server, &memoryThreads{})
		c := newStory("api.example.com")
		mustSend(t, s, c.issued())
		server.next(ill)
		mustSend(t, s, c.rejected("ada"))
		if n := len(server.seen()); n != 2 {
			t.Errorf("%d messages, want the alarm as well", n)
		}
	})
}

func TestAThreadThatCannotBeRememberedIsNotPostedTwice(t *testing.T) {
	server := newSlackServer(t)
	threads := &memoryThreads{}
	s := threadSlack(t, server, threads)
	c := newStory("api.example.com")
	first := c.issued()
	// The memory breaks while the message is posted.
	server.next(func(w http.ResponseWriter, _ *http.Request) {
		threads.setBroken(errors.New("disk full"))
		server.mu.Lock()
		defer server.mu.Unlock()
		server.messages = append(server.messages, &slackMessageSeen{channel: "C1", ts: "1.1"})
		answer(200, `{"ok":true,"channel":"C1","ts":"1.1"}`)(w, nil)
	})
	for range 3 {
		if retry, err := s.Send(within(t, patience), first); err == nil || !retry || !strings.Contains(err.Error(), "disk full") {
			t.Fatalf("Send: retry %v, %v", retry, err)
		}
	}
	threads.setBroken(nil)
	mustSend(t, s, first)
	mustSend(t, s, c.logged())
	if seen := server.seen(); len(seen) != 2 || seen[1].thread != "1.1" {
		t.Errorf("messages %+v, want the first once, and the note in its thread", seen)
	}
}

func TestFactsOfExpectedCertificatesAreNotWanted(t *testing.T) {
	s := threadSlack(t, newSlackServer(t), &memoryThreads{})
	c := newStory("api.example.com")
	if !s.Wants(c.logged()) {
		t.Error("a note about an unreviewed certificate is not wanted")
	}
	c.c.Verdict = ctwatch.Expected
	if s.Wants(c.logged()) {
		t.Error("a note about an expected certificate is wanted")
	}
}

func TestWithoutMemoryEveryEventIsItsOwnMessage(t *testing.T) {
	server := newSlackServer(t)
	for _, s := range []*Slack{apiSlack(t, server), hookSlack(t, server)} {
		c := newStory("api.example.com")
		if s.Wants(c.logged()) {
			t.Error("it wants what is of no importance without a thread")
		}
		mustSend(t, s, c.issued())
		mustSend(t, s, c.rejected("alice"))
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

func TestASlackThatDoesNotSayWhereAMessageIsHasNoThreads(t *testing.T) {
	for _, reply := range []string{`{"ok":true}`, `{"ok":true,"channel":"C1","ts":"<!here>"}`, `{"ok":true,"channel":"` + strings.Repeat("C", 200) + `","ts":"1.1"}`} {
		threads := &memoryThreads{}
		server := newSlackServer(t, answer(200, reply))
		mustSend(t, threadSlack(t, server, threads), issued())
		if len(threads.at) != 0 {
			t.Errorf("%s: remembered %v", reply, threads.at)
		}
	}
}
