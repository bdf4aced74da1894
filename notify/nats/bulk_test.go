package nats

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"ctwatch/ctwatch"
	"ctwatch/notify/notifytest"
)

// queued returns events as an outbox has them.
func queued(t *testing.T, n int) (events []ctwatch.Queued, ids []string) {
	t.Helper()
	all, ids := notifytest.Events(n)
	for i, e := range all {
		e.Subject = fmt.Sprintf("d%d.example.com", i%3)
		body, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, ctwatch.Queued{Seq: int64(i) + 1, Event: e, JSON: body})
	}
	return events, ids
}

// sendAll sends events as a Dispatcher does, and returns how many calls that took.
func sendAll(t *testing.T, n *Sender, events []ctwatch.Queued) (calls int) {
	t.Helper()
	for len(events) > 0 {
		taken, retry, err := n.SendBulk(notifytest.Within(t, notifytest.Patience), events)
		if err != nil || taken == 0 {
			t.Fatalf("SendBulk: %d taken, retry %v, %v", taken, retry, err)
		}
		events = events[taken:]
		calls++
	}
	return calls
}

// stored returns the IDs of events in a stream, in its order, and those of their batches.
func stored(t *testing.T, url string) (ids, batches []string) {
	t.Helper()
	for _, m := range consume(t, "CTWATCH", url) {
		var e ctwatch.Event
		if err := json.Unmarshal(m.Data(), &e); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.ID)
		if b := m.Headers().Get(headerBatchID); b != "" && !slices.Contains(batches, b) {
			batches = append(batches, b)
		}
	}
	return ids, batches
}

// Many events are stored as one batch, in order, as they would be individually.
func TestManyEventsAreOneBatch(t *testing.T) {
	e := startEmbedded(t, "127.0.0.1:0", t.TempDir())
	n := newSender(t, Options{InProcess: e})
	events, want := queued(t, 200)
	if calls := sendAll(t, n, events); calls != 1 {
		t.Errorf("%d calls", calls)
	}
	ids, batches := stored(t, e.ClientURL())
	if diff := cmp.Diff(want, ids); diff != "" || len(batches) != 1 {
		t.Errorf("%d batches: %s", len(batches), diff)
	}
	msgs := consume(t, "CTWATCH", e.ClientURL())
	m := msgs[7]
	if m.Subject() != "ctwatch.certificate.issued.com.example.d1" || string(m.Data()) != string(events[7].JSON) ||
		m.Headers().Get("Nats-Msg-Id") != want[7] || m.Headers().Get("Content-Type") != "application/cloudevents+json" {
		t.Errorf("message %s %v: %s", m.Subject(), m.Headers(), m.Data())
	}
}

// What a batch cannot do is done individually: a batch in which one event is a duplicate, was
// planted, or is on a subject that the stream does not take loses no other.
func TestRefusedBatchIsSentIndividually(t *testing.T) {
	events, want := queued(t, 100)
	for name, tt := range map[string]struct {
		prepare func(t *testing.T, n *Sender, js jetstream.JetStream)
		want    int // messages in the end
	}{
		"some are there": {func(t *testing.T, n *Sender, _ jetstream.JetStream) { sendAll(t, n, events[:30]) }, 100},
		"all are there":  {func(t *testing.T, n *Sender, _ jetstream.JetStream) { sendAll(t, n, events) }, 100},
		"one was planted": {func(t *testing.T, _ *Sender, js jetstream.JetStream) {
			if _, err := js.Publish(t.Context(), "ctwatch.x", []byte("{}"), jetstream.WithMsgID(want[50])); err != nil {
				t.Fatal(err)
			}
		}, 101},
		"the stream was deleted": {func(t *testing.T, n *Sender, js jetstream.JetStream) {
			if err := js.DeleteStream(t.Context(), "CTWATCH"); err != nil {
				t.Fatal(err)
			}
		}, 100},
		"the stream takes no batches any more": {func(t *testing.T, n *Sender, js jetstream.JetStream) {
			s, err := js.Stream(t.Context(), "CTWATCH")
			if err != nil {
				t.Fatal(err)
			}
			c := s.CachedInfo().Config
			c.AllowAtomicPublish = false
			if _, err := js.UpdateStream(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}, 100},
	} {
		t.Run(name, func(t *testing.T) {
			e := startEmbedded(t, "127.0.0.1:0", t.TempDir())
			var w warnings
			n := newSender(t, w.watch(Options{InProcess: e}))
			notifytest.Receive(t, n.Revived())
			tt.prepare(t, n, foreign(t, e.ClientURL()))
			sendAll(t, n, events)
			msgs := consume(t, "CTWATCH", e.ClientURL())
			var ids []string
			for _, m := range msgs {
				var e ctwatch.Event
				if string(m.Data()) == "{}" {
					continue // the planted one
				} else if err := json.Unmarshal(m.Data(), &e); err != nil {
					t.Fatal(err)
				}
				ids = append(ids, e.ID)
			}
			if diff := cmp.Diff(want, ids); diff != "" || len(msgs) != tt.want {
				t.Errorf("%d messages: %s", len(msgs), diff)
			}
		})
	}
}

// An event that the stream can never take is found within a batch, and holds up only those
// behind it until it is a dead letter.
func TestTooLargeEventInBatch(t *testing.T) {
	events, ids := queued(t, 100)
	large := &events[60]
	large.Event.Data.Summary = strings.Repeat("x", 4000)
	large.JSON, _ = json.Marshal(large.Event)
	e := startEmbedded(t, "127.0.0.1:0", t.TempDir())
	n := newSender(t, Options{InProcess: e})
	notifytest.Receive(t, n.Revived())
	s, err := n.js.Stream(t.Context(), "CTWATCH")
	if err != nil {
		t.Fatal(err)
	}
	c := s.CachedInfo().Config
	c.MaxMsgSize = 2000
	if _, err := n.js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	taken, retry, err := n.SendBulk(notifytest.Within(t, notifytest.Patience), events)
	if taken != 60 || retry || err == nil || !strings.Contains(err.Error(), "max_msg_size") {
		t.Fatalf("%d taken, retry %v, %v; want 60, and an error that is not retried", taken, retry, err)
	}
	sendAll(t, n, events[61:])
	got, _ := stored(t, e.ClientURL())
	if diff := cmp.Diff(slices.Concat(ids[:60], ids[61:]), got); diff != "" {
		t.Error(diff)
	}
}

// A server that takes smaller messages than an event has does not get it in a batch either.
func TestBatchStaysBelowMaxPayload(t *testing.T) {
	events, ids := queued(t, 60)
	large := &events[40]
	large.Event.Data.Evidence = &ctwatch.Evidence{Entry: &ctwatch.EvidenceEntry{Leaf: make([]byte, 16<<10)}}
	large.JSON, _ = json.Marshal(large.Event)
	s := startServer(t, &server.Options{MaxPayload: 16 << 10})
	n := newSender(t, Options{InProcess: s})
	taken, _, err := n.SendBulk(notifytest.Within(t, notifytest.Patience), events)
	if taken != 40 || err != nil {
		t.Fatalf("%d taken, %v; want the 40 before it", taken, err)
	}
	taken, retry, err := n.SendBulk(notifytest.Within(t, notifytest.Patience), events[40:])
	if taken != 0 || retry || err == nil || !strings.Contains(err.Error(), "max_payload") {
		t.Fatalf("%d taken, retry %v, %v", taken, retry, err)
	}
	sendAll(t, n, events[41:])
	got, _ := stored(t, s.ClientURL())
	if diff := cmp.Diff(slices.Concat(ids[:40], ids[41:]), got); diff != "" {
		t.Error(diff)
	}
}

// A stream that an older ctwatch created in the embedded server takes batches from now on;
// those of others, and those on other servers, stay as they are.
func TestOwnEmbeddedStreamTakesBatches(t *testing.T) {
	events, ids := queued(t, 50)
	for name, tt := range map[string]struct {
		description string
		external    bool
		want        int // batches
	}{
		"ours":     {description, false, 1},
		"foreign":  {"made by hand", false, 0},
		"external": {description, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			e := startEmbedded(t, "127.0.0.1:0", t.TempDir())
			js := foreign(t, e.ClientURL())
			made, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
				Name: "CTWATCH", Subjects: []string{"ctwatch.>"}, Description: tt.description, MaxAge: time.Hour, MaxMsgs: 10_000,
			})
			if err != nil {
				t.Fatal(err)
			}
			o := Options{InProcess: e}
			if tt.external {
				o = Options{URL: e.ClientURL()}
			}
			sendAll(t, newSender(t, o), events)
			got, batches := stored(t, e.ClientURL())
			if diff := cmp.Diff(ids, got); diff != "" || len(batches) != tt.want {
				t.Errorf("%d batches: %s", len(batches), diff)
			}
			want := made.CachedInfo().Config
			want.AllowAtomicPublish = tt.want > 0
			after, err := js.Stream(t.Context(), "CTWATCH")
			if err != nil {
				t.Fatal(err)
			}
			is := after.CachedInfo().Config
			want.Metadata, is.Metadata = nil, nil // the server's
			if diff := cmp.Diff(want, is); diff != "" {
				t.Errorf("the stream was changed: %s", diff)
			}
		})
	}
}

// Events that are published again after the stream has forgotten their IDs, as after a crash
// and a long time without the daemon, are not stored twice: neither in batches nor individually.
func TestLateRepeatsAreStoredOnce(t *testing.T) {
	events, ids := queued(t, 130)
	const window = 200 * time.Millisecond
	for name, published := range map[string]int{"a batch": 120, "a few": 5} {
		t.Run(name, func(t *testing.T) {
			e := startEmbedded(t, "127.0.0.1:0", t.TempDir())
			js := foreign(t, e.ClientURL())
			s, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
				Name: "CTWATCH", Subjects: []string{"ctwatch.>"}, Duplicates: window, AllowAtomicPublish: true,
			})
			if err != nil {
				t.Fatal(err)
			}
			sendAll(t, newSender(t, Options{InProcess: e}), events[:published])
			info, err := s.Info(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			notifytest.Eventually(t, "the stream has forgotten the IDs", func() bool { return time.Since(info.State.LastTime) > 2*window })
			sendAll(t, newSender(t, Options{InProcess: e}), events)
			got, _ := stored(t, e.ClientURL())
			if diff := cmp.Diff(ids, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A stream that takes none of a batch says why, as for a single event: the error is about the
// first event that it did not take.
func TestBatchThatIsDeniedSaysWhy(t *testing.T) {
	events, _ := queued(t, 60) // event 1 is the first about d1
	denied := "ctwatch.certificate.issued.com.example.d1"
	s := startServer(t, &server.Options{Users: []*server.User{
		{Username: "ctwatch", Password: "p", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Allow: []string{">"}, Deny: []string{denied}}}},
		{Username: "admin", Password: "p"},
	}})
	n := newSender(t, Options{URL: "nats://ctwatch:p@" + s.Addr().String()})
	taken, retry, err := n.SendBulk(notifytest.Within(t, notifytest.Patience), events)
	if taken != 1 || !retry || err == nil || !strings.Contains(err.Error(), denied) || strings.Contains(err.Error(), "deadline") {
		t.Errorf("without a permission: %d taken, retry %v, %v", taken, retry, err)
	}

	js := foreign(t, "nats://admin:p@"+s.Addr().String())
	stream, err := js.Stream(t.Context(), "CTWATCH")
	if err != nil {
		t.Fatal(err)
	}
	c := stream.CachedInfo().Config
	c.Sealed = true
	if _, err := js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	taken, retry, err = n.SendBulk(notifytest.Within(t, notifytest.Patience), events)
	if taken != 0 || !retry || err == nil || !strings.Contains(err.Error(), "sealed") {
		t.Errorf("of a sealed stream: %d taken, retry %v, %v", taken, retry, err)
	}
}
