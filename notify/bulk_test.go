package notify

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/notify/notifytest"
)

// A bulkSender is a Bulk made of functions, that keeps what it took.
type bulkSender struct {
	funcSender
	bulk  func(ctx context.Context, events []ctwatch.Queued) (taken int, retry bool, err error) // nil: takes all
	calls chan int                                                                              // gets the number of events of each call, if set
}

func (s *bulkSender) SendBulk(ctx context.Context, events []ctwatch.Queued) (taken int, retry bool, err error) {
	if s.calls != nil {
		s.calls <- len(events)
	}
	if taken = len(events); s.bulk != nil {
		taken, retry, err = s.bulk(ctx, events)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range min(taken, len(events)) {
		s.took = append(s.took, events[i].Event.ID)
	}
	return taken, retry, err
}

// A Bulk gets all that waits in few calls, and its cursor moves once for each.
func TestBulkSenderGetsManyAtOnce(t *testing.T) {
	events, ids := notifytest.Events(bulkBatch + 40)
	o := notifytest.NewOutbox(events...)
	s := &bulkSender{funcSender: funcSender{name: "a"}, calls: make(chan int, 2)}
	start(t, Config{Outbox: o, Senders: []Sender{s}})
	notifytest.Eventually(t, "all are recorded", func() bool { return o.Cursor("a").Seq == int64(len(ids)) })
	if diff := cmp.Diff(ids, s.taken()); diff != "" {
		t.Error(diff)
	}
	if got := []int{<-s.calls, <-s.calls}; !slices.Equal(got, []int{bulkBatch, 40}) || o.Cursor("a").Moves != 2 {
		t.Errorf("calls with %d events, %d moves of the cursor", got, o.Cursor("a").Moves)
	}
}

// What was taken before an error is recorded, and is not sent again; the event that the error
// is about is retried, or becomes a dead letter, and those behind it follow.
func TestBulkSenderFailsInTheMiddle(t *testing.T) {
	for name, tt := range map[string]struct {
		retry, panics bool
		dead          bool
	}{
		"for now":      {retry: true},
		"forever":      {dead: true},
		"with a panic": {panics: true, dead: true},
	} {
		t.Run(name, func(t *testing.T) {
			events, ids := notifytest.Events(20)
			o := notifytest.NewOutbox(events...)
			refused := errors.New("refused")
			refusals := 0
			s := &bulkSender{funcSender: funcSender{name: "a"}}
			s.send = func(_ context.Context, e ctwatch.Event) (bool, error) {
				if tt.panics && e.ID == ids[7] {
					panic("event 7")
				}
				return false, nil
			}
			s.bulk = func(_ context.Context, events []ctwatch.Queued) (int, bool, error) {
				i := slices.IndexFunc(events, func(q ctwatch.Queued) bool { return q.Event.ID == ids[7] })
				if i < 0 || refusals == 1 && !tt.panics {
					return len(events), false, nil
				}
				refusals++
				if tt.panics {
					panic("a panic about some event")
				}
				return i, tt.retry, refused
			}
			sent := make(chan error, 100)
			start(t, Config{Outbox: o, Senders: []Sender{s}, OnSend: func(_ string, err error) { sent <- err }})
			notifytest.Eventually(t, "all are recorded", func() bool { return o.Cursor("a").Seq == 20 })
			want := ids
			if tt.dead {
				want = slices.Concat(ids[:7], ids[8:])
			}
			if diff := cmp.Diff(want, s.taken()); diff != "" {
				t.Error(diff)
			}
			if dead := o.Cursor("a").Dead; (len(dead) == 1 && dead[8] != "") != tt.dead {
				t.Errorf("dead letters %v", dead)
			}
			close(sent)
			ok, failed := 0, 0
			for err := range sent {
				if err == nil {
					ok++
				} else {
					failed++
				}
			}
			if ok != len(want) || failed == 0 {
				t.Errorf("OnSend was called for %d successes and %d failures", ok, failed)
			}
		})
	}
}

// A Bulk that claims to have taken none, or more than there are, loses and repeats nothing.
func TestBulkSenderMiscounts(t *testing.T) {
	for name, first := range map[string]int{"none": 0, "too few": -1, "too many": 21} {
		t.Run(name, func(t *testing.T) {
			events, _ := notifytest.Events(20)
			o := notifytest.NewOutbox(events...)
			calls := 0
			s := &bulkSender{funcSender: funcSender{name: "a"}}
			s.bulk = func(_ context.Context, events []ctwatch.Queued) (int, bool, error) {
				if calls++; calls == 1 {
					return first, false, nil
				}
				return len(events), false, nil
			}
			start(t, Config{Outbox: o, Senders: []Sender{s}})
			notifytest.Eventually(t, "all are recorded", func() bool { return o.Cursor("a").Seq == 20 })
			if dead := o.Cursor("a").Dead; len(dead) > 0 || len(s.taken()) != 20 {
				t.Errorf("dead letters %v, %d events taken", dead, len(s.taken()))
			}
		})
	}
}

// What a Bulk took while the daemon stops is recorded; the rest is sent after the restart.
func TestBulkSenderDuringStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events, ids := notifytest.Events(20)
		o := notifytest.NewOutbox(events...)
		began := make(chan struct{})
		s := &bulkSender{funcSender: funcSender{name: "a"}}
		s.bulk = func(ctx context.Context, _ []ctwatch.Queued) (int, bool, error) {
			close(began)
			<-ctx.Done()
			return 12, true, ctx.Err()
		}
		sent := make(chan error, 100)
		_, stop := start(t, Config{Outbox: o, Senders: []Sender{s}, OnSend: func(_ string, err error) { sent <- err }})
		<-began
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if c := o.Cursor("a"); c.Seq != 12 || c.Failing != "" || len(sent) != 12 {
			t.Fatalf("the cursor is at %d, failing %q, OnSend was called %d times; want 12 events recorded", c.Seq, c.Failing, len(sent))
		}
		again := &bulkSender{funcSender: funcSender{name: "a"}}
		start(t, Config{Outbox: o, Senders: []Sender{again}})
		notifytest.Eventually(t, "all are recorded", func() bool { return o.Cursor("a").Seq == 20 })
		if diff := cmp.Diff(ids[12:], again.taken()); diff != "" {
			t.Error(diff)
		}
	})
}
