package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"ctwatch/ctwatch"
	"ctwatch/notify"
	"ctwatch/notify/notifytest"
)

// A verdict is what a Judge was asked for.
type verdict struct {
	id        string
	authorize bool
	by        string
}

// socketSender runs a Slack with buttons, for the user U024BE7LH, until the test ends.
func socketSender(t *testing.T, server *fakeSlack, judge func(verdict) error) (verdicts <-chan verdict) {
	t.Helper()
	asked := make(chan verdict, 16)
	s := newSender(t, Options{
		Token: notify.StaticSecret(testToken), APIURL: server.URL + "/api", Channel: "#certs", Threads: &memoryThreads{},
		Buttons: &Buttons{
			AppToken: notify.StaticSecret(testAppToken + "\n"), Users: []string{"U024BE7LH"},
			Judge: func(_ context.Context, id string, authorize bool, by string) error {
				v := verdict{id, authorize, by}
				asked <- v
				return judge(v)
			},
		},
	})
	notifytest.MustSend(t, s, notifytest.Issued()) // what is clicked on, and proof that it needs no socket
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	t.Cleanup(func() { cancel(); notifytest.Receive(t, done) })
	return asked
}

// click is a payload of block_actions
// (https://docs.slack.dev/reference/interaction-payloads/block_actions-payload).
func click(user, team, action, value string) map[string]any {
	return map[string]any{
		"type": "block_actions", "team": map[string]any{"id": "T1"},
		"user":      map[string]any{"id": user, "team_id": team, "name": "<!here>al`ice"},
		"channel":   map[string]any{"id": "C1"},
		"container": map[string]any{"type": "message", "channel_id": "C1", "message_ts": "1763632800.000001"},
		"message":   map[string]any{"ts": "1763632800.000001"},
		"actions":   []any{map[string]any{"type": "button", "action_id": action, "value": value, "block_id": "b"}},
	}
}

func (s *fakeSocket) send(t *testing.T, envelope string, payload any) {
	t.Helper()
	err := s.WriteJSON(map[string]any{"type": "interactive", "envelope_id": envelope, "payload": payload, "accepts_response_payload": false})
	if err != nil {
		t.Fatal(err)
	}
}

// A click of an approver is a verdict, with an answer in the thread.
func TestClickOfApproverIsAVerdict(t *testing.T) {
	id := notifytest.Certificate().ID.String()
	for name, tt := range map[string]struct {
		action    string
		authorize bool
		err       error
		want      string
	}{
		"authorize":       {actionAuthorize, true, nil, "authorized certificate"},
		"reject":          {actionReject, false, nil, "rejected certificate"},
		"it cannot be so": {actionReject, false, errors.New("its key <sha256/…> is trusted"), "could not reject certificate `ce00000000000000`: `its key <sha256/…> is trusted`"},
	} {
		t.Run(name, func(t *testing.T) {
			server := newFakeSlack(t)
			verdicts := socketSender(t, server, func(verdict) error { return tt.err })
			socket := notifytest.Receive(t, server.sockets)
			socket.send(t, "e1", click("U024BE7LH", "T1", tt.action, id))
			if ack := notifytest.Receive(t, socket.acks); ack != "e1" {
				t.Errorf("acknowledged %q", ack)
			}
			v := notifytest.Receive(t, verdicts)
			if v.id != id || v.authorize != tt.authorize || v.by != "slack:U024BE7LH (<!here>al`ice)" {
				t.Errorf("judged %+v", v)
			}
			notifytest.Eventually(t, "the thread is sent", func() bool { return len(server.seen()) == 2 })
			m := server.seen()[1]
			checkBlocks(t, []byte(m.blocks))
			if text := decodeBlocks(t, m.blocks); m.thread != "1763632800.000001" || m.user != "" || !strings.Contains(text, tt.want) || !strings.Contains(text, "U024BE7LH") {
				t.Errorf("answered in thread %q, to %q: %s", m.thread, m.user, text)
			}
		})
	}
}

// A click of another user is refused, in a reply that only that user sees.
func TestClickOfOthersIsRefused(t *testing.T) {
	server := newFakeSlack(t)
	verdicts := socketSender(t, server, func(verdict) error { return nil })
	socket := notifytest.Receive(t, server.sockets)
	id := notifytest.Certificate().ID.String()
	for i, c := range []map[string]any{
		click("U0OTHER", "T1", actionAuthorize, id), click("", "T1", actionAuthorize, id),
		click("U024BE7LH", "T2", actionAuthorize, id), // of another company, in a shared channel
	} {
		socket.send(t, fmt.Sprint(i), c)
		notifytest.Receive(t, socket.acks)
	}
	notifytest.Eventually(t, "two are sent", func() bool {
		sent := 0
		for _, m := range server.seen()[1:] {
			if !strings.Contains(m.text, "You may not judge") {
				t.Fatalf("message %+v", m)
			}
			if m.user == "" {
				t.Fatal("all were sent")
			}
			sent++
		}
		return sent == 2
	})
	select {
	case v := <-verdicts:
		t.Errorf("judged %+v", v)
	default:
	}
}

// Requests that are not clicks on a button are acknowledged, and do nothing.
func TestOtherRequestsDoNothing(t *testing.T) {
	server := newFakeSlack(t)
	verdicts := socketSender(t, server, func(verdict) error { return nil })
	socket := notifytest.Receive(t, server.sockets)
	id := notifytest.Certificate().ID.String()
	for i, payload := range []any{
		click("U024BE7LH", "T1", "another_button", id),
		click("U024BE7LH", "T1", actionAuthorize, "../"+id), click("U024BE7LH", "T1", actionAuthorize, ""),
		map[string]any{"type": "view_submission"},
		map[string]any{"type": "block_actions", "actions": nil},
	} {
		socket.send(t, fmt.Sprint(i), payload)
		notifytest.Receive(t, socket.acks)
	}
	for _, junk := range []string{`{`, `[]`, `{"type":"interactive","payload":7}`, `{"type":"strange"}`, `""`} {
		if err := socket.WriteMessage(websocket.TextMessage, []byte(junk)); err != nil {
			t.Fatal(err)
		}
	}
	socket.send(t, "last", click("U024BE7LH", "T1", actionReject, id))
	if v := notifytest.Receive(t, verdicts); v.authorize || v.id != id {
		t.Errorf("judged %+v", v)
	}
}

func TestSocketReconnects(t *testing.T) {
	server := newFakeSlack(t)
	verdicts := socketSender(t, server, func(verdict) error { return nil })
	id := notifytest.Certificate().ID.String()
	socket := notifytest.Receive(t, server.sockets)
	if err := socket.WriteJSON(map[string]any{"type": "disconnect", "reason": "refresh_requested"}); err != nil {
		t.Fatal(err)
	}
	socket = notifytest.Receive(t, server.sockets)
	server.next(notifytest.Answer(500, ""), notifytest.Answer(429, "", "Retry-After", "0"), notifytest.Answer(200, "<html>"), notifytest.Answer(200, `{"ok":true,"url":"http://127.0.0.1:1/"}`))
	socket.Close()
	socket = notifytest.Receive(t, server.sockets)
	socket.send(t, "e1", click("U024BE7LH", "T1", actionAuthorize, id))
	notifytest.Receive(t, verdicts)
}

// A refused app-level token is retried, and is not in the log.
func TestRefusedAppTokenIsRetried(t *testing.T) {
	server := newFakeSlack(t)
	var log notifytest.Buffer
	s := newSender(t, Options{
		Token: notify.StaticSecret(testToken), APIURL: server.URL + "/api", Channel: "#certs", Logger: log.Logger(),
		Buttons: &Buttons{
			AppToken: notify.StaticSecret("xapp-wrong-token"), Users: []string{"U024BE7LH"},
			Judge: func(context.Context, string, bool, string) error { return nil },
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	notifytest.Eventually(t, "it is asked twice", func() bool { return len(server.all()) >= 2 })
	notifytest.MustSend(t, s, notifytest.Issued())
	cancel()
	notifytest.Receive(t, done)
	if text := log.String(); !strings.Contains(text, "buttons do not work") || strings.Contains(text, "xapp-wrong") {
		t.Errorf("log:\n%s", text)
	}
}

func TestRunWithoutButtonsOnlyWaits(t *testing.T) {
	s := tokenSender(t, newFakeSlack(t))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	s.Run(ctx)
	if ctx.Err() == nil {
		t.Error("it returned before its time")
	}
}

// Buttons are for verdicts that no person has given.
func TestButtonsForOpenVerdicts(t *testing.T) {
	for reason, want := range map[string][]string{
		"": {actionAuthorize, actionReject}, "issuer_not_allowed": {actionAuthorize, actionReject},
		"authorized": {actionReject}, "rejected": {actionAuthorize},
	} {
		c := notifytest.Certificate()
		c.Reasons = []string{reason}
		b, err := json.Marshal(verdictButtons(&c, false))
		if err != nil {
			t.Fatal(err)
		}
		for _, action := range []string{actionAuthorize, actionReject} {
			if got := strings.Contains(string(b), action); got != strings.Contains(strings.Join(want, " "), action) {
				t.Errorf("%q: %s is offered: %v", reason, action, got)
			}
		}
	}
	if len(verdictButtons(&ctwatch.Certificate{}, false)) > 0 {
		t.Error("buttons for a certificate without an ID")
	}
	// One for a key of ours is rejected, or left alone.
	c := notifytest.Certificate()
	b, err := json.Marshal(verdictButtons(&c, true))
	if err != nil || strings.Contains(string(b), actionAuthorize) || !strings.Contains(string(b), actionReject) {
		t.Errorf("for a certificate with a trusted key: %s, %v", b, err)
	}
	c.Reasons = []string{"rejected"}
	if got := verdictButtons(&c, true); len(got) > 0 {
		t.Errorf("for one that was rejected: %v", got)
	}
}
