package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ctwatch/ctwatch"
	"ctwatch/notify/notifytest"
)

// warnings keeps what a Sender sender finds wrong.
type warnings struct {
	mu    sync.Mutex
	now   map[string]string // by code
	times map[string]int
}

func (w *warnings) watch(o Options) Options {
	w.now, w.times = make(map[string]string), make(map[string]int)
	o.Warn = func(_ context.Context, code, text string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.now[code] = text
		w.times[code]++
	}
	o.Resolved = func(_ context.Context, code string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.now, code)
	}
	o.CheckEvery = time.Hour // tests look themselves
	return o
}

func (w *warnings) get(code string) (text string, times int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now[code], w.times[code]
}

// foreign is a client of someone else.
func foreign(t *testing.T, url string, opts ...nats.Option) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// A message that someone else published under the ID of an event keeps the event out of no
// stream: it is compared, and the event published under another ID, once, also when it is sent
// again after a crash.
func TestPlantedMessageSuppressesNoAlarm(t *testing.T) {
	event := notifytest.Unexpected()
	body, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	subject := subjectOf("ctwatch", event)
	for name, tt := range map[string]struct {
		subject, data string
		remove        bool
		want          int // messages in the end
		code          string
	}{
		"another body":                {subject, "{}", false, 2, WarnPlanted},
		"nothing":                     {subject, "", false, 2, WarnPlanted},
		"our body on another subject": {"ctwatch.x", string(body), false, 2, WarnPlanted},
		"our event with other words":  {subject, strings.Replace(string(body), "unexpected", "expected", 1), false, 2, WarnPlanted},
		"planted, and deleted":        {subject, "{}", true, 1, WarnMissing},
		"the very same":               {subject, string(body), false, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := startEmbedded(t, "127.0.0.1:0", t.TempDir())
			var w warnings
			key := []byte("a key that only the daemon knows")
			n := newSender(t, w.watch(Options{InProcess: e, Key: key}))
			notifytest.Receive(t, n.Revived())
			js := foreign(t, e.ClientURL())
			ctx := notifytest.Within(t, notifytest.Patience)
			ack, err := js.Publish(ctx, tt.subject, []byte(tt.data), jetstream.WithMsgID(event.ID))
			if err != nil {
				t.Fatal(err)
			}
			if tt.remove {
				s, err := js.Stream(ctx, "CTWATCH")
				if err != nil {
					t.Fatal(err)
				}
				if err := s.DeleteMsg(ctx, ack.Sequence); err != nil {
					t.Fatal(err)
				}
			}
			notifytest.MustSend(t, n, event)
			text, times := w.get(tt.code)
			if tt.code != "" && (times != 1 || !strings.Contains(text, event.ID)) {
				t.Errorf("%d warnings: %q", times, text)
			}
			// The daemon is killed before it can note that, and starts again.
			again := newSender(t, w.watch(Options{InProcess: e, Key: key}))
			notifytest.MustSend(t, again, event)
			if _, times := w.get(WarnPlanted); times > 1 {
				t.Errorf("%d warnings after the restart", times)
			}

			msgs := consume(t, "CTWATCH", e.ClientURL())
			if len(msgs) != tt.want {
				t.Fatalf("%d messages, want %d", len(msgs), tt.want)
			}
			last := msgs[len(msgs)-1]
			if last.Subject() != subject || string(last.Data()) != string(body) {
				t.Errorf("the event is not in the stream, but %s: %s", last.Subject(), last.Data())
			}
			id, instead := last.Headers().Get("Nats-Msg-Id"), last.Headers().Get(headerInstead)
			if planted := tt.code == WarnPlanted; planted != (instead == "1") || (tt.code != "") != (id != event.ID) {
				t.Errorf("message ID %q, instead of %q", id, instead)
			}
		})
	}
}

// A restored database finds certificates again, and reports them under the same ID with the
// time of today: that the stream has what it sent before is no attack. Another key's is one.
func TestOwnMessageIsNotForeign(t *testing.T) {
	earlier, later := notifytest.Unexpected(), notifytest.Unexpected()
	later.Time = earlier.Time.Add(time.Hour)
	for name, tt := range map[string]struct {
		key  string // with which the earlier message was sent
		want int    // messages in the end
	}{
		"the same database": {"key", 1},
		"another database":  {"another key", 2},
	} {
		t.Run(name, func(t *testing.T) {
			e := startEmbedded(t, "127.0.0.1:0", t.TempDir())
			var w warnings
			notifytest.MustSend(t, newSender(t, Options{InProcess: e, Key: []byte(tt.key)}), earlier)
			notifytest.MustSend(t, newSender(t, w.watch(Options{InProcess: e, Key: []byte("key")})), later)
			if _, times := w.get(WarnPlanted); times != tt.want-1 {
				t.Errorf("%d warnings", times)
			}
			if msgs := consume(t, "CTWATCH", e.ClientURL()); len(msgs) != tt.want {
				t.Errorf("%d messages, want %d", len(msgs), tt.want)
			}
		})
	}
}

// Nobody who knows an event can compute its second ID, and it is the same for one key.
func TestSecondMessageIDIsSecret(t *testing.T) {
	ids := func(key string) [3]string { return (&Sender{o: Options{Key: []byte(key)}}).messageIDs("id") }
	a, again, b := ids("a"), ids("a"), ids("b")
	if a[0] != "id" || a[1] != again[1] || a[1] == b[1] || a[2] == again[2] || len(a[1]) < 32 || len(a[2]) < 26 {
		t.Errorf("%q, %q, %q", a, again, b)
	}
}

// needed are the permissions that docs/events.md lists, for an external server.
var needed = struct{ publish, subscribe []string }{
	publish: []string{
		"ctwatch.>", "$JS.API.STREAM.INFO.CTWATCH", "$JS.API.STREAM.CREATE.CTWATCH", "$JS.API.STREAM.MSG.GET.CTWATCH",
	},
	subscribe: []string{"_INBOX.>"},
}

// consumers may publish to these.
var consumers = []string{"$JS.API.STREAM.INFO.CTWATCH", "$JS.API.CONSUMER.*.CTWATCH.>", "$JS.API.CONSUMER.MSG.NEXT.CTWATCH.>", "$JS.ACK.CTWATCH.>"}

func TestDocsListPermissions(t *testing.T) {
	text, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range slices.Concat(needed.publish, needed.subscribe) {
		if !strings.Contains(string(text), `"`+p+`"`) {
			t.Errorf("docs/events.md does not list %q", p)
		}
	}
	for _, p := range consumers {
		if !strings.Contains(string(text), "`"+p+"`") {
			t.Errorf("docs/events.md does not list %q for consumers", p)
		}
	}
}

// Exactly the permissions in docs/events.md suffice; of those, each that is missing is named.
func TestPermissionsAreEnoughOrNamed(t *testing.T) {
	start := func(t *testing.T, without string) (url, admin string) {
		may := func(all []string) *server.SubjectPermission {
			return &server.SubjectPermission{Allow: slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == without })}
		}
		perms := &server.Permissions{Publish: may(needed.publish), Subscribe: may(needed.subscribe)}
		if without == "_INBOX.>" {
			perms.Subscribe = &server.SubjectPermission{Deny: []string{">"}}
		}
		s := startServer(t, &server.Options{Users: []*server.User{
			{Username: "ctwatch", Password: "p", Permissions: perms},
			{Username: "admin", Password: "p"},
			{Username: "consumer", Password: "p", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Allow: consumers}, Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
			}},
		}})
		at := s.Addr().String()
		return "nats://ctwatch:p@" + at, "nats://admin:p@" + at
	}
	event := notifytest.Unexpected()

	t.Run("all", func(t *testing.T) {
		url, admin := start(t, "")
		var w warnings
		n := newSender(t, w.watch(Options{URL: url}))
		notifytest.Receive(t, n.Revived())
		if _, err := foreign(t, admin).Publish(notifytest.Within(t, notifytest.Patience), "ctwatch.x", nil, jetstream.WithMsgID(event.ID)); err != nil {
			t.Fatal(err)
		}
		notifytest.MustSend(t, n, event)
		notifytest.MustSend(t, n, event)
		if _, times := w.get(WarnPlanted); times != 2 || len(w.now) != 1 { // it compares each time
			t.Errorf("warnings %v", w.now)
		}
		if msgs := consume(t, "CTWATCH", strings.Replace(admin, "admin", "consumer", 1)); len(msgs) != 2 {
			t.Errorf("a consumer gets %d messages", len(msgs))
		}
	})
	for _, p := range slices.Concat(needed.publish, needed.subscribe) {
		t.Run("without "+p, func(t *testing.T) {
			url, admin := start(t, p)
			var w warnings
			n := newSender(t, w.watch(Options{URL: url}))
			said := ""
			if strings.Contains(p, "MSG.GET") { // of use only if a message is in the way
				notifytest.Receive(t, n.Revived())
				if text, _ := w.get(WarnPermission); text == "" {
					t.Error("no warning before it is needed")
				}
				if _, err := foreign(t, admin).Publish(notifytest.Within(t, notifytest.Patience), "ctwatch.x", nil, jetstream.WithMsgID(event.ID)); err != nil {
					t.Fatal(err)
				}
				notifytest.MustSend(t, n, event)
				if msgs := consume(t, "CTWATCH", admin); len(msgs) != 2 {
					t.Errorf("%d messages: the event has to be there, even if it may be twice", len(msgs))
				}
				said, _ = w.get(WarnPermission)
			} else {
				<-n.started
				notifytest.Eventually(t, "an error that is none of the connection", func() bool {
					retry, err := n.Send(notifytest.Within(t, notifytest.Patience), event)
					var denied *deniedError
					if err == nil || !retry {
						t.Fatalf("Send: retry %v, %v", retry, err)
					}
					said = err.Error()
					return errors.As(err, &denied)
				})
			}
			verb := "publish"
			if slices.Contains(needed.subscribe, p) {
				verb = "subscribe"
			}
			if want := fmt.Sprintf("add %s to the %s permissions", p, verb); !strings.Contains(said, want) || strings.Contains(said, "deadline") {
				t.Errorf("%q, want %q", said, want)
			}
		})
	}
}

// A stream that differs from ours is a warning, until it is changed.
func TestLimitsOfStreamAreReported(t *testing.T) {
	ours := jetstream.StreamConfig{
		Name: "CTWATCH", Subjects: []string{"ctwatch.>"}, MaxAge: streamMaxAge, MaxBytes: 1 << 30, Duplicates: duplicateWindow,
		Storage: jetstream.FileStorage, MaxMsgs: -1, MaxMsgsPerSubject: -1, MaxMsgSize: -1,
	}
	for want, change := range map[string]func(*jetstream.StreamConfig){
		"":                      func(*jetstream.StreamConfig) {},
		" ":                     func(c *jetstream.StreamConfig) { c.MaxAge, c.MaxBytes, c.Duplicates = 0, -1, 24*time.Hour },
		"max_age ":              func(c *jetstream.StreamConfig) { c.MaxAge = 3 * time.Hour },
		"max_msgs ":             func(c *jetstream.StreamConfig) { c.MaxMsgs = 5 },
		"max_bytes ":            func(c *jetstream.StreamConfig) { c.MaxBytes = 1 << 20 },
		"max_msgs_per_subject ": func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 },
		"max_msg_size ":         func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1 << 16 },
		"discard new ":          func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardNew },
		"retention workqueue ":  func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy },
		"retention interest ":   func(c *jetstream.StreamConfig) { c.Retention = jetstream.InterestPolicy },
		"duplicate_window ":     func(c *jetstream.StreamConfig) { c.Duplicates = time.Minute },
		"storage memory ":       func(c *jetstream.StreamConfig) { c.Storage, c.MaxBytes = jetstream.MemoryStorage, 1<<20 },
		"deny_delete ":          func(c *jetstream.StreamConfig) { c.DenyDelete = true },
		"allow_rollup_hdrs ":    func(c *jetstream.StreamConfig) { c.AllowRollup = true },
		"sources add ":          func(c *jetstream.StreamConfig) { c.Sources = []*jetstream.StreamSource{{Name: "OTHER"}} },
		"a subject transform ": func(c *jetstream.StreamConfig) {
			c.SubjectTransform = &jetstream.SubjectTransformConfig{Source: "ctwatch.>", Destination: "stored.>"}
		},
		"republish copies all ": func(c *jetstream.StreamConfig) {
			c.RePublish = &jetstream.RePublish{Source: ">", Destination: "copy.>"}
		},
	} {
		t.Run(want, func(t *testing.T) {
			e := startEmbedded(t, "127.0.0.1:0", t.TempDir())
			js, ctx := foreign(t, e.ClientURL()), notifytest.Within(t, notifytest.Patience)
			c := ours
			change(&c)
			if _, err := js.CreateStream(ctx, c); err != nil {
				t.Fatal(err)
			}
			var w warnings
			n := newSender(t, w.watch(Options{InProcess: e}))
			notifytest.Receive(t, n.Revived())
			if text, _ := w.get(WarnStream); !strings.Contains(text, strings.TrimSpace(want)) || (text == "") != (strings.TrimSpace(want) == "") {
				t.Errorf("warning: %q", text)
			}
			notifytest.MustSend(t, n, notifytest.Issued())
			notifytest.MustSend(t, n, notifytest.Issued()) // also with subjects that the stream changes
			if _, times := w.get(WarnPlanted); times > 0 {
				t.Error("our own message is taken for another's")
			}
			if want == "max_age " {
				if _, err := js.UpdateStream(ctx, ours); err != nil {
					t.Fatal(err)
				}
				n.checkStreamNow()
				if text, times := w.get(WarnStream); text != "" || times != 1 {
					t.Errorf("after the change, %d warnings: %q", times, text)
				}
			}
		})
	}
}

// A stream that is sealed, or deleted and put in the hands of others, while ctwatch runs is
// a warning before any event, and an error of the next.
func TestUnusableStreamIsReported(t *testing.T) {
	for want, change := range map[string]func(ctx context.Context, js jetstream.JetStream) error{
		"is sealed": func(ctx context.Context, js jetstream.JetStream) error {
			s, err := js.Stream(ctx, "CTWATCH")
			if err != nil {
				return err
			}
			c := s.CachedInfo().Config
			c.Sealed = true
			_, err = js.UpdateStream(ctx, c)
			return err
		},
		"is a mirror of OTHER": func(ctx context.Context, js jetstream.JetStream) error {
			if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other.>"}}); err != nil {
				return err
			}
			if err := js.DeleteStream(ctx, "CTWATCH"); err != nil {
				return err
			}
			return createAfterDelete(ctx, js, jetstream.StreamConfig{Name: "CTWATCH", Mirror: &jetstream.StreamSource{Name: "OTHER"}})
		},
		"another stream already takes": func(ctx context.Context, js jetstream.JetStream) error {
			if err := js.DeleteStream(ctx, "CTWATCH"); err != nil {
				return err
			}
			return createAfterDelete(ctx, js, jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"ctwatch.certificate.>"}})
		},
	} {
		t.Run(want, func(t *testing.T) {
			e := startEmbedded(t, "127.0.0.1:0", t.TempDir())
			var w warnings
			n := newSender(t, w.watch(Options{InProcess: e}))
			notifytest.Receive(t, n.Revived()) // the first check is done, and makes no stream meanwhile
			notifytest.MustSend(t, n, notifytest.Issued())
			ctx := notifytest.Within(t, notifytest.Patience)
			if err := change(ctx, foreign(t, e.ClientURL())); err != nil {
				t.Fatal(err)
			}
			// The server may be busy for a moment with the change, and answer nothing.
			notifytest.Eventually(t, "Send says why it fails", func() bool {
				retry, err := n.Send(ctx, notifytest.Unexpected())
				if err == nil || !retry {
					t.Fatalf("Send: retry %v, %v", retry, err)
				}
				return strings.Contains(err.Error(), want)
			})
			notifytest.Eventually(t, "the warning says why", func() bool {
				n.checkStreamNow()
				text, _ := w.get(WarnStream)
				return strings.Contains(text, want)
			})
		})
	}
}

// createAfterDelete creates a stream as soon as the server is done with deleting another's files.
func createAfterDelete(ctx context.Context, js jetstream.JetStream, c jetstream.StreamConfig) error {
	for {
		_, err := js.CreateStream(ctx, c)
		if !hasCode(err, 10049) { // it cannot create the store
			return err
		}
	}
}

// After a stream was deleted, or lost its messages, the events of the last hours are published
// again, whether ctwatch or someone else creates it again; not at the first start.
func TestDeletedStreamIsFilledAgain(t *testing.T) {
	remake := func(ctx context.Context, t *testing.T, js jetstream.JetStream, again bool) {
		t.Helper()
		if err := js.DeleteStream(ctx, "CTWATCH"); err != nil {
			t.Fatal(err)
		}
		if again {
			if err := createAfterDelete(ctx, js, jetstream.StreamConfig{Name: "CTWATCH", Subjects: []string{"ctwatch.>"}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, again := range map[string]bool{"by ctwatch": false, "by someone else": true} {
		t.Run(name, func(t *testing.T) {
			e := startEmbedded(t, "127.0.0.1:0", t.TempDir())
			var w warnings
			asked := 0
			o := w.watch(Options{InProcess: e})
			o.Republish = func(context.Context) (int64, error) { asked++; return int64(3 * (asked - 1)), nil }
			n := newSender(t, o)
			notifytest.Receive(t, n.Revived())
			if _, times := w.get(WarnLost); times != 0 || asked != 1 {
				t.Errorf("at the first start: asked %d times, %d warnings", asked, times)
			}
			notifytest.MustSend(t, n, notifytest.Issued())
			js, ctx := foreign(t, e.ClientURL()), notifytest.Within(t, notifytest.Patience)
			remake(ctx, t, js, again)
			notifytest.Eventually(t, "the stream is there", func() bool { // the server may still be busy with the old one
				n.checkStreamNow()
				_, times := w.get(WarnLost)
				return times > 0
			})
			if text, times := w.get(WarnLost); times != 1 || asked != 2 || !strings.Contains(text, "3 events of the last hours are published again") {
				t.Errorf("asked %d times, %d warnings: %q", asked, times, text)
			}
			n.checkStreamNow()
			notifytest.MustSend(t, n, notifytest.Misbehaved())
			if asked != 2 {
				t.Errorf("asked %d times", asked)
			}
		})
	}
}

// A stream that someone emptied gets the events again, once, whatever it says of duplicates.
func TestPurgedStreamIsFilledAgain(t *testing.T) {
	e := startEmbedded(t, "127.0.0.1:0", t.TempDir())
	var w warnings
	asked := 0
	o := w.watch(Options{InProcess: e})
	o.Republish = func(context.Context) (int64, error) { asked++; return int64(asked - 1), nil }
	n := newSender(t, o)
	notifytest.Receive(t, n.Revived())
	event := notifytest.Issued()
	notifytest.MustSend(t, n, event)
	js, ctx := foreign(t, e.ClientURL()), notifytest.Within(t, notifytest.Patience)
	s, err := js.Stream(ctx, "CTWATCH")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(ctx); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		n.checkStreamNow()
	}
	if text, times := w.get(WarnLost); times != 1 || asked != 2 || !strings.Contains(text, "was emptied: 1 events") {
		t.Errorf("asked %d times, %d warnings: %q", asked, times, text)
	}
	notifytest.MustSend(t, n, event)
	if msgs := consume(t, "CTWATCH", e.ClientURL()); len(msgs) != 1 {
		t.Errorf("%d messages, want 1", len(msgs))
	}
}

// A stream that was deleted while ctwatch did not run is a new one, too, even if someone has
// published to it since.
func TestStreamDeletedMeanwhileIsFilledAgain(t *testing.T) {
	e := startEmbedded(t, "127.0.0.1:0", t.TempDir())
	var w warnings
	var created time.Time
	asked := 0
	o := w.watch(Options{InProcess: e})
	o.Recall = func(context.Context) (time.Time, error) { return created, nil }
	o.Remember = func(_ context.Context, at time.Time) error { created = at; return nil }
	o.Republish = func(context.Context) (int64, error) { asked++; return int64(asked - 1), nil }
	run := func(want int) {
		t.Helper()
		n := newSender(t, o)
		notifytest.MustSend(t, n, notifytest.Issued())
		n.Close()
		if asked != want || created.IsZero() {
			t.Errorf("asked %d times, want %d; made at %v", asked, want, created)
		}
	}
	run(1)
	run(1)
	js, ctx := foreign(t, e.ClientURL()), notifytest.Within(t, notifytest.Patience)
	if err := js.DeleteStream(ctx, "CTWATCH"); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "CTWATCH", Subjects: []string{"ctwatch.>"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(ctx, "ctwatch.x", nil); err != nil {
		t.Fatal(err)
	}
	run(2)
	if text, _ := w.get(WarnLost); !strings.Contains(text, "someone created it again") {
		t.Errorf("warning: %q", text)
	}
}

// What cannot be asked for is asked for again: the stream counts as new until then.
func TestRepublishingIsRetried(t *testing.T) {
	e := startEmbedded(t, "", t.TempDir())
	fails := 2
	n := newSender(t, Options{InProcess: e, CheckEvery: time.Hour, Republish: func(context.Context) (int64, error) {
		if fails--; fails >= 0 {
			return 0, errors.New("the store is busy")
		}
		return 1, nil
	}})
	notifytest.Receive(t, n.Revived()) // once failed
	if retry, err := n.Send(notifytest.Within(t, notifytest.Patience), notifytest.Issued()); err == nil || !retry {
		t.Errorf("Send: retry %v, %v", retry, err)
	}
	notifytest.MustSend(t, n, notifytest.Issued())
}

// A stream whose size deletes events before their time is a warning, before the first are gone
// and after, until its limit is raised.
func TestFullStreamIsReported(t *testing.T) {
	e := startEmbedded(t, "127.0.0.1:0", t.TempDir())
	js, ctx := foreign(t, e.ClientURL()), notifytest.Within(t, notifytest.Patience)
	var w warnings
	n := newSender(t, w.watch(Options{InProcess: e, MaxBytes: 64 << 10}))
	notifytest.Receive(t, n.Revived())
	info := func() *jetstream.StreamInfo {
		t.Helper()
		s, err := js.Stream(ctx, "CTWATCH")
		if err != nil {
			t.Fatal(err)
		}
		return s.CachedInfo()
	}
	events, _ := notifytest.Events(500)
	send := func(until func(jetstream.StreamState) bool) jetstream.StreamState {
		t.Helper()
		for s := info().State; ; s = info().State {
			if until(s) {
				n.checkStreamNow()
				return s
			}
			notifytest.MustSend(t, n, events[0])
			events = events[1:]
		}
	}
	s := send(func(s jetstream.StreamState) bool { return s.Bytes > 32<<10 })
	if text, _ := w.get(WarnFull); text != "" {
		t.Errorf("with %d bytes: %q", s.Bytes, text)
	}
	s = send(func(s jetstream.StreamState) bool { return s.Bytes >= 59<<10 })
	text, times := w.get(WarnFull)
	if want := fmt.Sprintf("Stream CTWATCH has %d messages, the oldest of %s", s.Msgs, s.FirstTime.UTC().Format(time.RFC3339)); times != 1 || s.FirstSeq != 1 ||
		!strings.HasPrefix(text, want) || !strings.Contains(text, "of its max_bytes (65536): new events") || !strings.Contains(text, "--max-bytes=SIZE, at most 2GB") {
		t.Errorf("almost full, %d times: %q", times, text)
	}
	s = send(func(s jetstream.StreamState) bool { return s.FirstSeq > 1 })
	text, times = w.get(WarnFull)
	if want := fmt.Sprintf(": %d older ones are deleted", s.FirstSeq-1); times != 2 || !strings.Contains(text, want) {
		t.Errorf("full, %d times: %q", times, text)
	}
	first := s.FirstSeq
	send(func(s jetstream.StreamState) bool { return s.FirstSeq > first })
	if _, times := w.get(WarnFull); times != 2 {
		t.Errorf("while it stays full, %d times", times)
	}
	n.checkFull(info(), time.Now().Add(24*time.Hour))
	if text, times := w.get(WarnFull); times != 3 || !strings.Contains(text, fmt.Sprintf(": %d older", info().State.FirstSeq-1)) {
		t.Errorf("a day later, %d times: %q", times, text)
	}
	if stage, _ := n.full(info(), time.Now().Add(streamMaxAge)); stage != "" {
		t.Error("events as old as max_age count as deleted before their time")
	}

	c := info().Config
	c.MaxMsgs = int64(info().State.Msgs)
	c.MaxBytes = 2 << 30 // the most that the embedded server has
	if _, err := js.UpdateStream(ctx, c); err != nil {
		t.Fatal(err)
	}
	if _, text := n.full(info(), time.Now()); !strings.Contains(text, "of its max_msgs") || !strings.Contains(text, "--max-msgs=SIZE.") {
		t.Errorf("with max_msgs: %q", text)
	}
	c.MaxMsgs = -1
	if _, err := js.UpdateStream(ctx, c); err != nil {
		t.Fatal(err)
	}
	n.checkStreamNow()
	if text, _ := w.get(WarnFull); text != "" {
		t.Errorf("with room for more: %q", text)
	}
}

// A server that takes only small messages is a warning on connection, before any event is too
// large for it.
func TestSmallMaxPayloadIsReported(t *testing.T) {
	for payload, want := range map[int32]bool{16 << 10: true, 1 << 20: false} {
		s := startServer(t, &server.Options{MaxPayload: payload})
		var w warnings
		n := newSender(t, w.watch(Options{InProcess: s}))
		notifytest.Receive(t, n.Revived())
		text, _ := w.get(WarnMaxPayload)
		if want != strings.Contains(text, fmt.Sprintf(" is %d bytes", payload)) {
			t.Errorf("max_payload %d: %q", payload, text)
		}
	}
}

// A certificate with tens of thousands of names, and everything else that is large, reaches a
// server with default limits.
func TestHugeCertificateReachesDefaultServer(t *testing.T) {
	s := startServer(t, &server.Options{}) // max_payload 1 MiB
	n := newSender(t, Options{InProcess: s})
	for _, e := range notifytest.HugeEvents() {
		notifytest.MustSend(t, n, e)
	}
	for _, m := range consume(t, "CTWATCH", "", nats.InProcessServer(s)) {
		var e ctwatch.Event
		if err := json.Unmarshal(m.Data(), &e); err != nil || len(m.Data()) > 256<<10 {
			t.Errorf("%d bytes, %v", len(m.Data()), err)
		}
		if c := e.Data.Certificate; c != nil && c.Names[0] != "api.example.com" {
			t.Errorf("the name that matches is not the first, but %s", c.Names[0])
		}
	}
}

// A stream that is full and keeps the old messages has events wait, with what to do.
func TestFullStreamSaysWhatToDo(t *testing.T) {
	e := startEmbedded(t, "127.0.0.1:0", t.TempDir())
	js, ctx := foreign(t, e.ClientURL()), notifytest.Within(t, notifytest.Patience)
	_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "CTWATCH", Subjects: []string{"ctwatch.>"}, MaxMsgs: 1, Discard: jetstream.DiscardNew})
	if err != nil {
		t.Fatal(err)
	}
	n := newSender(t, Options{InProcess: e})
	notifytest.MustSend(t, n, notifytest.Issued())
	retry, err := n.Send(ctx, notifytest.Misbehaved())
	if err == nil || !retry || !strings.Contains(err.Error(), "the stream is full") {
		t.Errorf("Send: retry %v, %v", retry, err)
	}
}

// Once the permission to get replies is there, they are waited for again.
func TestAddedPermissionIsUsed(t *testing.T) {
	o := &server.Options{Users: []*server.User{{Username: "ctwatch", Password: "p", Permissions: &server.Permissions{
		Subscribe: &server.SubjectPermission{Deny: []string{">"}},
	}}}}
	s := startServer(t, o)
	n := newSender(t, Options{URL: "nats://ctwatch:p@" + s.Addr().String(), CheckEvery: 10 * time.Millisecond})
	<-n.started
	notifytest.Eventually(t, "the permission is missed", n.repliesDenied)
	more := o.Clone()
	more.Port = s.Addr().(*net.TCPAddr).Port
	more.Users = []*server.User{{Username: "ctwatch", Password: "p"}}
	if err := s.ReloadOptions(more); err != nil {
		t.Fatal(err)
	}
	notifytest.Eventually(t, "the event is taken", func() bool {
		_, err := n.Send(notifytest.Within(t, notifytest.Patience), notifytest.Issued())
		return err == nil
	})
}
