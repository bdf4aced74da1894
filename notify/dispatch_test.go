package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/notify/notifytest"
)

// A funcSender is a Sender made of a function, that keeps what it took.
type funcSender struct {
	name    string
	wants   func(ctwatch.Event) bool
	send    func(ctx context.Context, e ctwatch.Event) (bool, error) // nil: takes all
	revived chan struct{}

	mu   sync.Mutex
	took []string    // IDs, in order
	each chan string // gets each ID that was taken, if set
}

func (s *funcSender) Name() string               { return s.name }
func (s *funcSender) Wants(e ctwatch.Event) bool { return s.wants == nil || s.wants(e) }
func (s *funcSender) Revived() <-chan struct{}   { return s.revived }
func (s *funcSender) Send(ctx context.Context, e ctwatch.Event) (bool, error) {
	if s.send != nil {
		if retry, err := s.send(ctx, e); err != nil {
			return retry, err
		}
	}
	s.mu.Lock()
	s.took = append(s.took, e.ID)
	s.mu.Unlock()
	if s.each != nil {
		s.each <- e.ID
	}
	return false, nil
}

func (s *funcSender) taken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.took...)
}

// start runs a dispatcher; stop ends it and returns what Run returned.
func start(t *testing.T, cfg Config) (d *Dispatcher, stop func() error) {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = notifytest.Discard()
	}
	if cfg.BackoffMin == 0 {
		cfg.BackoffMin, cfg.BackoffMax = time.Millisecond, 5*time.Millisecond
	}
	if cfg.Poll == 0 {
		cfg.Poll = time.Hour // so that it is Wake that tests rely on
	}
	d, err := NewDispatcher(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	var once sync.Once
	stop = func() (err error) {
		once.Do(func() { cancel(); err = notifytest.Receive(t, done) })
		return err
	}
	t.Cleanup(func() { stop() })
	return d, stop
}

func TestEventsComeInOrderAndOnce(t *testing.T) {
	events, ids := notifytest.Events(250)
	o := notifytest.NewOutbox(events...)
	a, b := &funcSender{name: "a"}, &funcSender{name: "b"}
	_, stop := start(t, Config{Outbox: o, Senders: []Sender{a, b}, Batch: 7})
	notifytest.Eventually(t, "both have all", func() bool { return o.Cursor("a").Seq == 250 && o.Cursor("b").Seq == 250 })
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	for _, s := range []*funcSender{a, b} {
		if diff := cmp.Diff(ids, s.taken()); diff != "" {
			t.Errorf("%s: %s", s.name, diff)
		}
	}
}

// After Wake a new event is sent at once, though the next poll is far away.
func TestWakeSendsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := notifytest.NewOutbox()
		o.Reads = make(chan string, 10)
		s := &funcSender{name: "s", each: make(chan string)}
		d, _ := start(t, Config{Outbox: o, Senders: []Sender{s}})
		notifytest.Receive(t, o.Reads) // it has found the outbox empty, and waits for long
		events, ids := notifytest.Events(1)
		o.Add(events...)
		d.Wake()
		d.Wake() // must not block though nobody listens
		if got := notifytest.Receive(t, s.each); got != ids[0] {
			t.Errorf("got %s", got)
		}
	})
}

func TestPollFindsEventsWithoutWake(t *testing.T) {
	o := notifytest.NewOutbox()
	o.Reads = make(chan string, 1000)
	s := &funcSender{name: "s", each: make(chan string)}
	_, _ = start(t, Config{Outbox: o, Senders: []Sender{s}, Poll: 10 * time.Millisecond})
	notifytest.Receive(t, o.Reads)
	events, ids := notifytest.Events(1)
	o.Add(events...)
	if got := notifytest.Receive(t, s.each); got != ids[0] {
		t.Errorf("got %s", got)
	}
}

// A sender that hangs forever delays no other, and does not keep Run from returning.
func TestHangingSenderDoesNotBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events, ids := notifytest.Events(20)
		o := notifytest.NewOutbox(events...)
		release := make(chan struct{})
		hanging := &funcSender{name: "hanging", send: func(context.Context, ctwatch.Event) (bool, error) {
			<-release // it does not even look at its context
			return true, errors.New("released")
		}}
		defer close(release)
		polite := &funcSender{name: "polite", send: func(ctx context.Context, _ ctwatch.Event) (bool, error) {
			<-ctx.Done()
			return true, ctx.Err()
		}}
		good := &funcSender{name: "good"}
		_, stop := start(t, Config{Outbox: o, Senders: []Sender{hanging, polite, good}, Timeout: 20 * time.Millisecond, Grace: 40 * time.Millisecond})
		notifytest.Eventually(t, "the good one has all", func() bool { return o.Cursor("good").Seq == 20 })
		notifytest.Eventually(t, "the time-out is recorded", func() bool { return strings.Contains(o.Cursor("polite").Failing, "no answer within 20ms") })
		if diff := cmp.Diff(ids, good.taken()); diff != "" {
			t.Error(diff)
		}
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		if o.Cursor("hanging").Seq != 0 || o.Cursor("polite").Seq != 0 {
			t.Error("the cursor moved past an event that was not delivered")
		}
	})
}

// A service that was down gets all events in order once it is back.
func TestOutageCatchesUpInOrder(t *testing.T) {
	events, ids := notifytest.Events(30)
	o := notifytest.NewOutbox(events...)
	var log notifytest.Buffer
	var down sync.Map
	down.Store("down", true)
	Tries := make(chan struct{}, 1000)
	s := &funcSender{name: "s", send: func(context.Context, ctwatch.Event) (bool, error) {
		Tries <- struct{}{}
		if _, is := down.Load("down"); is {
			return true, errors.New("503")
		}
		return false, nil
	}}
	_, stop := start(t, Config{Outbox: o, Senders: []Sender{s}, Logger: slog.New(slog.NewTextHandler(&log, nil)), Batch: 10})
	for range 20 {
		notifytest.Receive(t, Tries)
	}
	if c := o.Cursor("s"); c.Seq != 0 || c.Failing != "503" {
		t.Errorf("while down, the cursor is %+v", c)
	}
	down.Delete("down")
	notifytest.Eventually(t, "it catches up", func() bool { return o.Cursor("s").Seq == 30 })
	notifytest.Eventually(t, "that is logged", func() bool { return strings.Contains(log.String(), "caught up") })
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if diff := cmp.Diff(ids, s.taken()); diff != "" {
		t.Error(diff)
	}
	if o.Cursor("s").Failing != "" {
		t.Error("still failing")
	}
	// 20 tries failed at least; of these the first, eighth and sixteenth are logged.
	text := log.String()
	if n := strings.Count(text, "level=WARN"); n < 2 || n > 6 {
		t.Errorf("%d warnings, want few:\n%s", n, text)
	}
	for _, want := range []string{"delivered again", "waiting_at_least=9", "delivered=30"} {
		if !strings.Contains(text, want) {
			t.Errorf("the log does not say %q:\n%s", want, text)
		}
	}
}

// An event that can never be delivered becomes a dead letter, and the next ones follow.
func TestDeadLetterLetsNextEventsFollow(t *testing.T) {
	events, ids := notifytest.Events(4)
	o := notifytest.NewOutbox(events...)
	s := &funcSender{name: "s", send: func(_ context.Context, e ctwatch.Event) (bool, error) {
		switch e.ID {
		case ids[1]:
			return false, errors.New("too\nlong")
		case ids[2]:
			panic("a bug")
		}
		return false, nil
	}}
	_, _ = start(t, Config{Outbox: o, Senders: []Sender{s}})
	notifytest.Eventually(t, "the last is delivered", func() bool { return o.Cursor("s").Seq == 4 })
	if diff := cmp.Diff([]string{ids[0], ids[3]}, s.taken()); diff != "" {
		t.Error(diff)
	}
	want := map[int64]string{2: "too\uFFFDlong", 3: "the sender panicked: a bug"}
	if diff := cmp.Diff(want, o.Cursor("s").Dead); diff != "" {
		t.Error(diff)
	}
}

func TestUnwantedEventsAreSkipped(t *testing.T) {
	events, ids := notifytest.Events(100)
	o := notifytest.NewOutbox(events...)
	s := &funcSender{name: "s", wants: func(e ctwatch.Event) bool { return e.ID == ids[50] }}
	none := &funcSender{name: "none", wants: func(ctwatch.Event) bool { return false }}
	_, _ = start(t, Config{Outbox: o, Senders: []Sender{s, none}})
	notifytest.Eventually(t, "both are at the end", func() bool { return o.Cursor("s").Seq == 100 && o.Cursor("none").Seq == 100 })
	if diff := cmp.Diff([]string{ids[50]}, s.taken()); diff != "" {
		t.Error(diff)
	}
	if n := o.Cursor("none").Moves; n != 1 {
		t.Errorf("the cursor of one that wants nothing was moved %d times, want once", n)
	}
}

func TestRestartContinuesAtCursor(t *testing.T) {
	events, ids := notifytest.Events(10)
	o := notifytest.NewOutbox(events...)
	first := &funcSender{name: "s", send: func(_ context.Context, e ctwatch.Event) (bool, error) {
		if e.ID == ids[6] {
			return true, errors.New("down")
		}
		return false, nil
	}}
	_, stop := start(t, Config{Outbox: o, Senders: []Sender{first}})
	notifytest.Eventually(t, "the seventh fails", func() bool { return o.Cursor("s").Failing != "" })
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	second := &funcSender{name: "s"}
	_, _ = start(t, Config{Outbox: o, Senders: []Sender{second}})
	notifytest.Eventually(t, "all are delivered", func() bool { return o.Cursor("s").Seq == 10 })
	if diff := cmp.Diff(ids, append(first.taken(), second.taken()...)); diff != "" {
		t.Error(diff)
	}
}

// A send that succeeds while the daemon stops is recorded, so it is not repeated.
func TestSendDuringStopIsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events, _ := notifytest.Events(2)
		o := notifytest.NewOutbox(events...)
		sending, finish := make(chan struct{}, 1), make(chan struct{})
		s := &funcSender{name: "s", send: func(context.Context, ctwatch.Event) (bool, error) {
			sending <- struct{}{}
			<-finish
			return false, nil
		}}
		_, stop := start(t, Config{Outbox: o, Senders: []Sender{s}})
		notifytest.Receive(t, sending)
		time.AfterFunc(20*time.Millisecond, func() { close(finish) })
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		if seq := o.Cursor("s").Seq; seq != 1 {
			t.Errorf("the cursor is at %d, want 1: the event was delivered, and no other begun", seq)
		}
	})
}

func TestBrokenOutboxEndsRun(t *testing.T) {
	events, _ := notifytest.Events(1)
	broken := errors.New("disk I/O error")
	t.Run("while reading", func(t *testing.T) {
		o := notifytest.NewOutbox()
		o.Break(broken)
		d, err := NewDispatcher(Config{Outbox: o, Senders: []Sender{&funcSender{name: "s"}}, Logger: notifytest.Discard()})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Run(notifytest.Within(t, notifytest.Patience)); !errors.Is(err, broken) {
			t.Errorf("Run: %v", err)
		}
	})
	t.Run("while recording, with another sender waiting", func(t *testing.T) {
		o := notifytest.NewOutbox(events...)
		s := &funcSender{name: "s", send: func(context.Context, ctwatch.Event) (bool, error) {
			o.Break(broken)
			return false, nil
		}}
		d, err := NewDispatcher(Config{Outbox: o, Senders: []Sender{s, &funcSender{name: "idle"}}, Logger: notifytest.Discard(), Poll: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Run(notifytest.Within(t, notifytest.Patience)); !errors.Is(err, broken) {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestRetryAfterIsRespected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events, _ := notifytest.Events(1)
		const asked = 150 * time.Millisecond
		var first time.Time
		s := &funcSender{name: "s", each: make(chan string)}
		s.send = func(context.Context, ctwatch.Event) (bool, error) {
			if first.IsZero() {
				first = time.Now()
				return true, fmt.Errorf("wrapped: %w", &RetryAfterError{After: asked, Err: errors.New("429")})
			}
			return false, nil
		}
		_, _ = start(t, Config{Outbox: notifytest.NewOutbox(events...), Senders: []Sender{s}})
		notifytest.Receive(t, s.each)
		if waited := time.Since(first); waited < asked {
			t.Errorf("waited %s, want at least %s", waited, asked)
		}
	})
}

func TestRevivedSenderIsRetriedAtOnce(t *testing.T) {
	events, _ := notifytest.Events(1)
	o := notifytest.NewOutbox(events...)
	s := &funcSender{name: "s", each: make(chan string), revived: make(chan struct{}, 1)}
	var down sync.Map
	down.Store("down", true)
	s.send = func(context.Context, ctwatch.Event) (bool, error) {
		if _, is := down.Load("down"); is {
			return true, errors.New("down")
		}
		return false, nil
	}
	_, _ = start(t, Config{Outbox: o, Senders: []Sender{s}, BackoffMin: time.Hour, BackoffMax: time.Hour})
	notifytest.Eventually(t, "it fails", func() bool { return o.Cursor("s").Failing != "" })
	down.Delete("down")
	s.revived <- struct{}{}
	notifytest.Receive(t, s.each)
}

func TestNewDispatcherRefusesEqualNames(t *testing.T) {
	for _, names := range [][]string{{"a", "a"}, {""}} {
		var senders []Sender
		for _, n := range names {
			senders = append(senders, &funcSender{name: n})
		}
		if _, err := NewDispatcher(Config{Outbox: notifytest.NewOutbox(), Logger: notifytest.Discard(), Senders: senders}); err == nil {
			t.Errorf("accepted the names %q", names)
		}
	}
}

func TestRunWithoutSendersWaits(t *testing.T) {
	d, err := NewDispatcher(Config{Outbox: notifytest.NewOutbox(), Logger: notifytest.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Run(notifytest.Within(t, 20*time.Millisecond)); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestOnSendIsCalledForEveryTry(t *testing.T) {
	events, _ := notifytest.Events(3)
	o := notifytest.NewOutbox(events...)
	var mu sync.Mutex
	Tries := 0
	s := &funcSender{name: "s", send: func(context.Context, ctwatch.Event) (bool, error) {
		mu.Lock()
		defer mu.Unlock()
		if Tries++; Tries <= 2 {
			return true, errors.New("not now")
		}
		return false, nil
	}}
	var sent []string
	_, stop := start(t, Config{Outbox: o, Senders: []Sender{s}, OnSend: func(sender string, err error) {
		sent = append(sent, fmt.Sprint(sender, " ", err))
	}})
	notifytest.Eventually(t, "it has all", func() bool { return o.Cursor("s").Seq == 3 })
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	want := []string{"s not now", "s not now", "s <nil>", "s <nil>", "s <nil>"}
	if diff := cmp.Diff(want, sent); diff != "" {
		t.Error(diff)
	}
}
