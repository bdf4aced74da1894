package notify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/notify/notifytest"
)

// A digestSender is a Batcher that keeps what it was sent: each message is the IDs
// that it names.
type digestSender struct {
	most    int // events in a digest; 0: all
	refuses func(ids []string) (retry bool, err error)

	mu       sync.Mutex
	messages []string
	tries    int
}

func (*digestSender) Name() string               { return "digests" }
func (*digestSender) Wants(e ctwatch.Event) bool { return e.Data.Severity != ctwatch.Debug }

func (s *digestSender) Send(_ context.Context, e ctwatch.Event) (bool, error) {
	_, retry, err := s.take(e)
	return retry, err
}

func (s *digestSender) SendBatch(_ context.Context, events []ctwatch.Event) (int, bool, error) {
	if len(events) < 2 {
		return 0, false, errors.New("a digest of less than two")
	}
	if s.most > 0 {
		events = events[:min(s.most, len(events))]
	}
	return s.take(events...)
}

func (s *digestSender) take(events ...ctwatch.Event) (int, bool, error) {
	var ids []string
	for _, e := range events {
		ids = append(ids, e.ID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries++
	if s.refuses != nil {
		if retry, err := s.refuses(ids); err != nil {
			return 0, retry, err
		}
	}
	s.messages = append(s.messages, strings.Join(ids, " "))
	return len(ids), false, nil
}

// all returns the IDs in the order in which they were taken, and how many messages
// there were.
func (s *digestSender) all() (ids []string, messages int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Fields(strings.Join(s.messages, " ")), len(s.messages)
}

func severe(s ctwatch.Severity, events []ctwatch.Event) []ctwatch.Event {
	for i := range events {
		events[i].Data.Severity = s
	}
	return events
}

func TestFewEventsAreSentOneByOne(t *testing.T) {
	events, ids := notifytest.Events(20)
	o := notifytest.NewOutbox(events...)
	s := &digestSender{}
	_, _ = start(t, Config{Outbox: o, Senders: []Sender{s}, Storm: 20})
	notifytest.Eventually(t, "all are taken", func() bool { return o.Cursor("digests").Seq == 20 })
	if got, n := s.all(); n != 20 || !cmp.Equal(ids, got) {
		t.Errorf("%d messages: %v", n, got)
	}
}

// Digests name all events of a storm, in order and once.
func TestStormBecomesDigests(t *testing.T) {
	events, ids := notifytest.Events(1200)
	for i := range events {
		if i%7 == 3 {
			events[i].Data.Severity = ctwatch.Debug // not wanted
			ids[i] = ""
		}
	}
	ids = strings.Fields(strings.Join(ids, " "))
	o := notifytest.NewOutbox(events...)
	s := &digestSender{most: 90}
	var sent int
	_, stop := start(t, Config{
		Outbox: o, Senders: []Sender{&filtered{Sender: s}}, Storm: 20, OnSend: func(string, error) { sent++ }, Now: everLater(),
	})
	notifytest.Eventually(t, "all are taken", func() bool { return o.Cursor("digests").Seq == 1200 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	got, n := s.all()
	if diff := cmp.Diff(ids, got); diff != "" {
		t.Error(diff)
	}
	if n > 20 {
		t.Errorf("%d messages for %d events", n, len(ids))
	}
	if sent != len(ids) {
		t.Errorf("OnSend was called for %d events of %d", sent, len(ids))
	}
}

// After a digest, events are collected for the next one, for a shorter time if one is
// critical.
func TestEventsAreCollectedAfterDigest(t *testing.T) {
	first, _ := notifytest.Events(30)
	for _, tt := range []struct {
		severity       ctwatch.Severity
		sent, critical int // within the last minute
		want           time.Duration
	}{
		{ctwatch.Info, 21, 0, digestPause},
		{ctwatch.Warning, 21, 0, digestPause},
		{ctwatch.Info, 21, 21, digestPause},
		{ctwatch.Critical, 21, 0, criticalPause},
		{ctwatch.Critical, 10_000, 0, criticalPause}, // other events are not critical
		{ctwatch.Critical, 0, 99, criticalPause},
		{ctwatch.Critical, 0, 100, digestPause},
		{"of the future", 21, 0, criticalPause},
	} {
		s := storm{batcher: &digestSender{}, limit: 20}
		for _, of := range []struct {
			n        int
			severity ctwatch.Severity
		}{{tt.sent, ctwatch.Warning}, {tt.critical, ctwatch.Critical}} {
			taken := make([]ctwatch.Queued, of.n)
			for i := range taken {
				taken[i].Event.Data.Severity = of.severity
			}
			s.count(taken, notifytest.Time)
		}
		s.digest = notifytest.Time
		var queued []ctwatch.Queued
		for _, e := range append(first[:2:2], severe(tt.severity, first[2:3:3])...) {
			queued = append(queued, ctwatch.Queued{Event: e})
		}
		if got := s.gather(queued, notifytest.Time); got != tt.want {
			t.Errorf("%s after %d and %d: %s, want %s", tt.severity, tt.sent, tt.critical, got, tt.want)
		}
		if got := s.gather(queued, notifytest.Time.Add(digestPause)); got > 0 {
			t.Errorf("%s: still gathering %s later", tt.severity, digestPause)
		}
		if s.isOver(1, notifytest.Time.Add(stormWindow-1)) || !s.isOver(1, notifytest.Time.Add(stormWindow)) {
			t.Errorf("%s: the storm is not over after just a minute", tt.severity)
		}
	}
}

func TestCriticalEventEndsCollecting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storm, _ := notifytest.Events(30)
		o := notifytest.NewOutbox(storm...)
		s := &digestSender{}
		d, _ := start(t, Config{Outbox: o, Senders: []Sender{s}, Storm: 20})
		notifytest.Eventually(t, "the digest", func() bool { return o.Cursor("digests").Seq == 30 })
		more, _ := notifytest.Events(32)
		began := time.Now()
		o.Add(more[30])
		d.Wake()
		o.Add(severe(ctwatch.Critical, more[31:])...)
		d.Wake()
		notifytest.Eventually(t, "both are sent", func() bool { return o.Cursor("digests").Seq == 32 })
		if took := time.Since(began); took > time.Second {
			t.Errorf("the critical event waited for %s", took)
		}
		if _, n := s.all(); n > 3 {
			t.Errorf("%d messages", n)
		}
	})
}

// A critical event does not wait behind many events that the sender does not want.
func TestUnwantedEventsDelayNoAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storm, _ := notifytest.Events(30)
		o := notifytest.NewOutbox(storm...)
		s := &digestSender{}
		d, _ := start(t, Config{Outbox: o, Senders: []Sender{s}, Storm: 20})
		notifytest.Eventually(t, "the digest", func() bool { return o.Cursor("digests").Seq == 30 })
		more, _ := notifytest.Events(3 * maxDigest)
		more = severe(ctwatch.Debug, more) // unwanted
		severe(ctwatch.Info, more[40:41])
		severe(ctwatch.Critical, more[len(more)-1:])
		began := time.Now()
		o.Add(more...)
		d.Wake()
		notifytest.Eventually(t, "all are passed", func() bool { return o.Cursor("digests").Seq == int64(30+len(more)) })
		if took := time.Since(began); took > time.Second {
			t.Errorf("a critical event behind many unwanted ones waited for %s", took)
		}
		if got, _ := s.all(); len(got) != 32 {
			t.Errorf("%d events sent, want 32", len(got))
		}
	})
}

// A digest that fails is retried, and no event is lost.
func TestFailedDigestIsRetried(t *testing.T) {
	events, ids := notifytest.Events(60)
	for _, tt := range []struct {
		name    string
		refuses func(try int, ids []string) (bool, error)
		dead    []int64
	}{
		{"down for a while", func(try int, _ []string) (bool, error) {
			if try < 4 {
				return true, errors.New("503")
			}
			return false, nil
		}, nil},
		{"one event can never be taken", func(_ int, got []string) (bool, error) {
			if strings.Contains(strings.Join(got, " "), ids[41]) {
				return false, errors.New("too long")
			}
			return false, nil
		}, []int64{42}},
		{"digests can never be taken", func(_ int, got []string) (bool, error) {
			if len(got) > 1 {
				return false, errors.New("no digests here")
			}
			return false, nil
		}, nil},
		{"it panics", func(try int, got []string) (bool, error) {
			if len(got) > 1 {
				panic("a bug")
			}
			return false, nil
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := notifytest.NewOutbox(events...)
			s := &digestSender{}
			s.refuses = func(ids []string) (bool, error) { return tt.refuses(s.tries, ids) }
			_, stop := start(t, Config{Outbox: o, Senders: []Sender{s}, Storm: 20, Now: everLater()})
			notifytest.Eventually(t, "all are done with", func() bool { return o.Cursor("digests").Seq == 60 })
			if err := stop(); err != nil {
				t.Error(err)
			}
			var want []string
			var dead []int64
			c := o.Cursor("digests")
			for i, id := range ids {
				if c.Dead[int64(i+1)] == "" {
					want = append(want, id)
				} else {
					dead = append(dead, int64(i+1))
				}
			}
			got, _ := s.all()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.dead, dead); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What a digest took before it failed is not sent again.
func TestCursorMovesByTakenEvents(t *testing.T) {
	events, ids := notifytest.Events(30)
	o := notifytest.NewOutbox(events...)
	s := &partialSender{digestSender: digestSender{}}
	_, _ = start(t, Config{Outbox: o, Senders: []Sender{s}, Storm: 5, Now: everLater()})
	notifytest.Eventually(t, "all are taken", func() bool { return o.Cursor("digests").Seq == 30 })
	got, _ := s.all()
	if diff := cmp.Diff(ids, got); diff != "" {
		t.Error(diff)
	}
}

// A partialSender takes three events, and fails then.
type partialSender struct{ digestSender }

func (s *partialSender) SendBatch(ctx context.Context, events []ctwatch.Event) (int, bool, error) {
	n, retry, err := s.digestSender.SendBatch(ctx, events[:min(3, len(events))])
	if err == nil && n < len(events) {
		return n, true, fmt.Errorf("429 after %d", n)
	}
	return n, retry, err
}

// everLater is a clock that goes on by six seconds each time it is looked at, so
// that no test has to wait for the next digest.
func everLater() func() time.Time {
	var mu sync.Mutex
	now := notifytest.Time
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(6 * time.Second)
		return now
	}
}
