package notify

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
)

// troubled answers as a service does that is down in many ways, and is well from then
// on.
func troubled(took func(body string)) http.HandlerFunc {
	var n atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch n.Add(1) {
		case 1, 7:
			w.WriteHeader(500)
		case 2, 8:
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(429)
		case 3:
			panic(http.ErrAbortHandler)
		case 4:
			<-r.Context().Done()
		case 5:
			w.Header().Set("Location", "/")
			w.WriteHeader(302)
		case 6:
			w.WriteHeader(401)
		default:
			took(string(body))
		}
	}
}

func TestAllIsToldOnceAndInOrderAfterTrouble(t *testing.T) {
	var events []ctwatch.Event
	var want []string
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		c := testCertificate(name + ".example.com")
		c.ID = ctwatch.Hash{name[0]}
		e := ctwatch.IssuedEvent(c, testTime)
		events, want = append(events, e), append(want, e.ID)
	}

	webhooks := make(chan string, 100)
	hook := &receiver{Server: httptest.NewServer(troubled(func(body string) {
		var e ctwatch.Event
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			t.Error(err)
		}
		webhooks <- e.ID
	}))}
	t.Cleanup(hook.Close)

	smtp := startSMTP(t, &smtpServer{reply: func(n int, command string) string {
		switch {
		case n == 1 && command == "":
			return "421 not now"
		case n == 2 && command == "EHLO":
			return "hang"
		case n == 3 && command == "RCPT", n == 8 && command == "MAIL":
			return "450 later"
		case n == 4 && command == ".":
			return "451 again"
		}
		return ""
	}})
	email := smtp.email(t)
	email.step = 200 * time.Millisecond

	o := newMemoryOutbox(events...)
	senders := []Sender{hook.webhook(t), email}
	_, stop := start(t, Config{Outbox: o, Senders: senders, Timeout: 200 * time.Millisecond})
	for _, s := range senders {
		eventually(t, s.Name()+" has all", func() bool { return o.cursor(s.Name()).seq == int64(len(events)) })
		if dead := o.cursor(s.Name()).dead; len(dead) > 0 {
			t.Errorf("%s: dead letters %v", s.Name(), dead)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}

	var got []string
	for len(webhooks) > 0 {
		got = append(got, <-webhooks)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("webhook: %s", diff)
	}
	got = nil
	for _, m := range smtp.taken() {
		_, id, _ := strings.Cut(m.data, "Message-ID: <")
		id, _, _ = strings.Cut(id, "@")
		got = append(got, id)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("email: %s", diff)
	}
}

// What a person asks for as a test is sent without an outbox.
func TestEverySenderTellsATest(t *testing.T) {
	dir := t.TempDir()
	server, smtp, r := newSlackServer(t), startSMTP(t, &smtpServer{}), newReceiver(t, nil)
	var out lockedBuffer
	threads := &memoryThreads{}
	embedded := startEmbedded(t, "127.0.0.1:0", t.TempDir())
	e := ctwatch.TestEvent("alice", testTime)
	for _, s := range []Sender{
		threadSlack(t, server, threads), hookSlack(t, server), smtp.email(t), service(t, r), r.webhook(t),
		newHook(t, script(t, dir, "hook", `echo $CTWATCH_EVENT_TYPE $CTWATCH_SUBJECT > $DIR/out`), 0), NewStdout(StdoutOptions{W: &out}),
		newNATS(t, NATSOptions{InProcess: embedded}),
	} {
		mustSend(t, s, e)
	}
	if n := len(server.all()); n != 2 || len(threads.at) != 0 {
		t.Errorf("%d posts to Slack, threads %v", n, threads.at)
	}
	if n := len(smtp.taken()); n != 1 {
		t.Errorf("%d mails", n)
	}
	if n := r.count(); n != 2 {
		t.Errorf("%d requests", n)
	}
	if got := readFile(t, dir+"/out"); got != "notify.test daemon\n" {
		t.Errorf("the hook got %q", got)
	}
	if msgs := consume(t, "CTWATCH", embedded.ClientURL()); len(msgs) != 1 || msgs[0].Subject() != "ctwatch.notify.test.daemon" {
		t.Errorf("NATS got %v", msgs)
	}
	if got, want := out.String(), "2026-11-20 10:00:00 info     notify.test: This is a test, which alice asked for: nothing has happened.\n"; got != want {
		t.Errorf("%q", got)
	}
}
