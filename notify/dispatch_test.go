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

func someEvents(n int) (events []ctwatch.Event, ids []string) {
	for i := range n {
		e := ctwatch.Event{ID: fmt.Sprintf("event-%03d", i), Type: ctwatch.CertificateIssued, Subject: "example.com", Data: ctwatch.EventData{Severity: ctwatch.Info}}
		events, ids = append(events, e), append(ids, e.ID)
	}
	return events, ids
}

// start runs a dispatcher; stop ends it and returns what Run returned.
func start(t *testing.T, cfg Config) (d *Dispatcher, stop func() error) {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = discard()
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
		once.Do(func() { cancel(); err = receive(t, done) })
		return err
	}
	t.Cleanup(func() { stop() })
	return d, stop
}

func TestEventsComeInOrderAndOnce(t *testing.T) {
	events, ids := someEvents(250)
	o := newMemoryOutbox(events...)
	a, b := &funcSender{name: "a"}, &funcSender{name: "b"}
	_, stop := start(t, Config{Outbox: o, Senders: []Sender{a, b}, Batch: 7})
	eventually(t, "both have all", func() bool { return o.cursor("a").seq == 250 && o.cursor("b").seq == 250 })
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	for _, s := range []*funcSender{a, b} {
		if diff := cmp.Diff(ids, s.taken()); diff != "" {
			t.Errorf("%s: %s", s.name, diff)
		}
	}
}

func TestANewEventIsSentAtOnceWhenWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newMemoryOutbox()
		o.reads = make(chan string, 10)
		s := &funcSender{name: "s", each: make(chan string)}
		d, _ := start(t, Config{Outbox: o, Senders: []Sender{s}})
		receive(t, o.reads) // it has found the outbox empty, and waits for long
		events, ids := someEvents(1)
		o.add(events...)
		d.Wake()
		d.Wake() // must not block though nobody listens
		if got := receive(t, s.each); got != ids[0] {
			t.Errorf("got %s", got)
		}
	})
}

func TestWithoutAWakeTheOutboxIsStillLookedAt(t *testing.T) {
	o := newMemoryOutbox()
	o.reads = make(chan string, 1000)
	s := &funcSender{name: "s", each: make(chan string)}
	_, _ = start(t, Config{Outbox: o, Senders: []Sender{s}, Poll: 10 * time.Millisecond})
	receive(t, o.reads)
	events, ids := someEvents(1)
	o.add(events...)
	if got := receive(t, s.each); got != ids[0] {
		t.Errorf("got %s", got)
	}
}

func TestASenderThatHangsForEverDelaysNobodyAndCannotKeepRunFromEnding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events, ids := someEvents(20)
		o := newMemoryOutbox(events...)
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
		eventually(t, "the good one has all", func() bool { return o.cursor("good").seq == 20 })
		eventually(t, "the time-out is told", func() bool { return strings.Contains(o.cursor("polite").failing, "no answer within 20ms") })
		if diff := cmp.Diff(ids, good.taken()); diff != "" {
			t.Error(diff)
		}
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		if o.cursor("hanging").seq != 0 || o.cursor("polite").seq != 0 {
			t.Error("the cursor moved past an event that was not delivered")
		}
	})
}

func TestAServiceThatIsDownCatchesUpInOrder(t *testing.T) {
	events, ids := someEvents(30)
	o := newMemoryOutbox(events...)
	var log lockedBuffer
	var down sync.Map
	down.Store("down", true)
	tries := make(chan struct{}, 1000)
	s := &funcSender{name: "s", send: func(context.Context, ctwatch.Event) (bool, error) {
		tries <- struct{}{}
		if _, is := down.Load("down"); is {
			return true, errors.New("503")
		}
		return false, nil
	}}
	_, stop := start(t, Config{Outbox: o, Senders: []Sender{s}, Logger: slog.New(slog.NewTextHandler(&log, nil)), Batch: 10})
	for range 20 {
		receive(t, tries)
	}
	if c := o.cursor("s"); c.seq != 0 || c.failing != "503" {
		t.Errorf("while down, the cursor is %+v", c)
	}
	down.Delete("down")
	eventually(t, "it catches up", func() bool { return o.cursor("s").seq == 30 })
	eventually(t, "that is logged", func() bool { return strings.Contains(log.String(), "caught up") })
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if diff := cmp.Diff(ids, s.taken()); diff != "" {
		t.Error(diff)
	}
	if o.cursor("s").failing != "" {
		t.Error("still failing")
	}
	// 20 tries failed at least; of these the first, eighth and sixteenth are told.
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

func TestAnEventThatCanNeverBeDeliveredIsSetAsideAndTheNextFollow(t *testing.T) {
	events, ids := someEvents(4)
	o := newMemoryOutbox(events...)
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
	eventually(t, "the last is delivered", func() bool { return o.cursor("s").seq == 4 })
	if diff := cmp.Diff([]string{ids[0], ids[3]}, s.taken()); diff != "" {
		t.Error(diff)
	}
	want := map[int64]string{2: "too\uFFFDlong", 3: "the sender panicked: a bug"}
	if diff := cmp.Diff(want, o.cursor("s").dead); diff != "" {
		t.Error(diff)
	}
}

func TestEventsThatASenderDoesNotWantArePassedOver(t *testing.T) {
	events, ids := someEvents(100)
	o := newMemoryOutbox(events...)
	s := &funcSender{name: "s", wants: func(e ctwatch.Event) bool { return e.ID == ids[50] }}
	none := &funcSender{name: "none", wants: func(ctwatch.Event) bool { return false }}
	_, _ = start(t, Config{Outbox: o, Senders: []Sender{s, none}})
	eventually(t, "both are at the end", func() bool { return o.cursor("s").seq == 100 && o.cursor("none").seq == 100 })
	if diff := cmp.Diff([]string{ids[50]}, s.taken()); diff != "" {
		t.Error(diff)
	}
	if n := o.cursor("none").moves; n != 1 {
		t.Errorf("the cursor of one that wants nothing was moved %d times, want once", n)
	}
}

func TestARestartGoesOnFromTheCursor(t *testing.T) {
	events, ids := someEvents(10)
	o := newMemoryOutbox(events...)
	first := &funcSender{name: "s", send: func(_ context.Context, e ctwatch.Event) (bool, error) {
		if e.ID == ids[6] {
			return true, errors.New("down")
		}
		return false, nil
	}}
	_, stop := start(t, Config{Outbox: o, Senders: []Sender{first}})
	eventually(t, "the seventh fails", func() bool { return o.cursor("s").failing != "" })
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	second := &funcSender{name: "s"}
	_, _ = start(t, Config{Outbox: o, Senders: []Sender{second}})
	eventually(t, "all are delivered", func() bool { return o.cursor("s").seq == 10 })
	if diff := cmp.Diff(ids, append(first.taken(), second.taken()...)); diff != "" {
		t.Error(diff)
	}
}

func TestASendThatSucceedsWhileStoppingIsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events, _ := someEvents(2)
		o := newMemoryOutbox(events...)
		sending, finish := make(chan struct{}, 1), make(chan struct{})
		s := &funcSender{name: "s", send: func(context.Context, ctwatch.Event) (bool, error) {
			sending <- struct{}{}
			<-finish
			return false, nil
		}}
		_, stop := start(t, Config{Outbox: o, Senders: []Sender{s}})
		receive(t, sending)
		time.AfterFunc(20*time.Millisecond, func() { close(finish) })
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		if seq := o.cursor("s").seq; seq != 1 {
			t.Errorf("the cursor is at %d, want 1: the event was delivered, and no other begun", seq)
		}
	})
}

func TestABrokenOutboxEndsRunWithItsError(t *testing.T) {
	events, _ := someEvents(1)
	broken := errors.New("disk I/O error")
	t.Run("while reading", func(t *testing.T) {
		o := newMemoryOutbox()
		o.broken = broken
		d, err := NewDispatcher(Config{Outbox: o, Senders: []Sender{&funcSender{name: "s"}}, Logger: discard()})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Run(within(t, patience)); !errors.Is(err, broken) {
			t.Errorf("Run: %v", err)
		}
	})
	t.Run("while recording, with another sender waiting", func(t *testing.T) {
		o := newMemoryOutbox(events...)
		s := &funcSender{name: "s", send: func(context.Context, ctwatch.Event) (bool, error) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.broken = broken
			return false, nil
		}}
		d, err := NewDispatcher(Config{Outbox: o, Senders: []Sender{s, &funcSender{name: "idle"}}, Logger: discard(), Poll: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Run(within(t, patience)); !errors.Is(err, broken) {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestARetryWaitsAsLongAsTheServiceAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events, _ := someEvents(1)
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
		_, _ = start(t, Config{Outbox: newMemoryOutbox(events...), Senders: []Sender{s}})
		receive(t, s.each)
		if waited := time.Since(first); waited < asked {
			t.Errorf("waited %s, want at least %s", waited, asked)
		}
	})
}

func TestAServiceThatIsBackNeedNotWaitForTheNextTry(t *testing.T) {
	events, _ := someEvents(1)
	o := newMemoryOutbox(events...)
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
	eventually(t, "it fails", func() bool { return o.cursor("s").failing != "" })
	down.Delete("down")
	s.revived <- struct{}{}
	receive(t, s.each)
}

func TestNewDispatcherRefusesSendersThatWouldShareACursor(t *testing.T) {
	for _, names := range [][]string{{"a", "a"}, {""}} {
		var senders []Sender
		for _, n := range names {
			senders = append(senders, &funcSender{name: n})
		}
		if _, err := NewDispatcher(Config{Outbox: newMemoryOutbox(), Logger: discard(), Senders: senders}); err == nil {
			t.Errorf("accepted the names %q", names)
		}
	}
}

func TestWithoutSendersRunWaitsForTheEnd(t *testing.T) {
	d, err := NewDispatcher(Config{Outbox: newMemoryOutbox(), Logger: discard()})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Run(within(t, 20*time.Millisecond)); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestStdout(t *testing.T) {
	send := func(o StdoutOptions, e ctwatch.Event) string {
		var b lockedBuffer
		o.W = &b
		mustSend(t, NewStdout(o), e)
		return b.String()
	}
	hostile := issued("api.example.com", "evil\x1b[2J.example.com", "b", "c", "d", "e", "f\u202e")

	human := send(StdoutOptions{}, hostile)
	if strings.Count(human, "\n") != 1 || !strings.HasSuffix(human, "\n") || strings.ContainsAny(human, "\x1b\u202e") {
		t.Errorf("not one line of harmless text: %q", human)
	}
	for _, want := range []string{
		"2026-11-20 10:00:00", "info", "certificate.issued", "A certificate for api.example.com was issued",
		"names api.example.com, evil\uFFFD[2J.example.com, b, c, d, and 2 more", "leaf sha256/", "issuer sha256/", hostile.Data.Certificate.ID.String(),
	} {
		if !strings.Contains(human, want) {
			t.Errorf("%q is not in %q", want, human)
		}
	}
	if got := send(StdoutOptions{Color: true}, misbehaved()); !strings.Contains(got, "\x1b[1;31mcritical") {
		t.Errorf("critical is not red: %q", got)
	}
	line := send(StdoutOptions{JSON: true, Color: true}, hostile)
	var back ctwatch.Event
	if err := back.UnmarshalJSON([]byte(line)); err != nil || strings.Count(line, "\n") != 1 {
		t.Errorf("%q: %v", line, err)
	} else if back.ID != hostile.ID {
		t.Errorf("came back as %s", back.ID)
	}

	s := NewStdout(StdoutOptions{})
	if s.Wants(ctwatch.Event{Data: ctwatch.EventData{Severity: ctwatch.Debug}}) || !s.Wants(hostile) {
		t.Error("it wants debug, or does not want info")
	}
	if retry, err := NewStdout(StdoutOptions{W: brokenWriter{}}).Send(t.Context(), hostile); err == nil || !retry {
		t.Errorf("a broken pipe: retry %v, %v", retry, err)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestOnSendIsToldOfEveryTry(t *testing.T) {
	events, _ := someEvents(3)
	o := newMemoryOutbox(events...)
	var mu sync.Mutex
	tries := 0
	s := &funcSender{name: "s", send: func(context.Context, ctwatch.Event) (bool, error) {
		mu.Lock()
		defer mu.Unlock()
		if tries++; tries <= 2 {
			return true, errors.New("not now")
		}
		return false, nil
	}}
	var told []string
	_, stop := start(t, Config{Outbox: o, Senders: []Sender{s}, OnSend: func(sender string, err error) {
		told = append(told, fmt.Sprint(sender, " ", err))
	}})
	eventually(t, "it has all", func() bool { return o.cursor("s").seq == 3 })
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	want := []string{"s not now", "s not now", "s <nil>", "s <nil>", "s <nil>"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
}
