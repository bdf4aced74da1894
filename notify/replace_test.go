package notify

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/notify/notifytest"
)

// Replace does not interrupt senders that stay.
func TestReplaceKeepsIdenticalSenders(t *testing.T) {
	events, ids := notifytest.Events(30)
	o := notifytest.NewOutbox(events[:10]...)
	var interrupted sync.Once
	sending, finish := make(chan struct{}, 100), make(chan struct{})
	kept := &funcSender{name: "kept", send: func(ctx context.Context, _ ctwatch.Event) (bool, error) {
		sending <- struct{}{}
		select {
		case <-finish:
			return false, nil
		case <-ctx.Done():
			interrupted.Do(func() { t.Error("a send of a sender that stays was interrupted") })
			return true, ctx.Err()
		}
	}}
	dropped, added := &funcSender{name: "dropped"}, &funcSender{name: "added"}
	d, stop := start(t, Config{Outbox: o, Senders: []Sender{kept, dropped}, Grace: 50 * time.Millisecond})
	notifytest.Receive(t, sending)
	notifytest.Eventually(t, "the other has all", func() bool { return o.Cursor("dropped").Seq == 10 })
	if err := d.Replace([]Sender{added, kept}); err != nil {
		t.Fatal(err)
	}
	close(finish)
	o.Add(events[10:]...)
	d.Wake()
	for _, name := range []string{"kept", "added"} {
		notifytest.Eventually(t, name+" has all", func() bool { return o.Cursor(name).Seq == 30 })
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	for _, s := range []*funcSender{kept, added} {
		if diff := cmp.Diff(ids, s.taken()); diff != "" {
			t.Errorf("%s: %s", s.name, diff)
		}
	}
	if diff := cmp.Diff(ids[:10], dropped.taken()); diff != "" {
		t.Errorf("dropped: %s", diff)
	}
}

// A recorder is what several senders of one name post to. It fails the test if two do
// at the same time.
type recorder struct {
	t    *testing.T
	mu   sync.Mutex
	ids  []string
	busy sync.Mutex
}

func (r *recorder) sender() *funcSender {
	return &funcSender{name: "s", send: func(_ context.Context, e ctwatch.Event) (bool, error) {
		if !r.busy.TryLock() {
			r.t.Error("two deliver by one cursor")
			return true, errors.New("busy")
		}
		defer r.busy.Unlock()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.ids = append(r.ids, e.ID)
		return false, nil
	}}
}

// Events that are written while senders are replaced arrive in order and once.
func TestReplaceKeepsOrderOfEvents(t *testing.T) {
	events, ids := notifytest.Events(2000)
	o := notifytest.NewOutbox()
	r := &recorder{t: t}
	other := &funcSender{name: "other"}
	d, stop := start(t, Config{Outbox: o, Senders: []Sender{other, r.sender()}, Batch: 10, Grace: 5 * time.Second})
	var wg sync.WaitGroup
	for range 3 { // from several goroutines at once
		wg.Go(func() {
			for range 30 {
				if err := d.Replace([]Sender{r.sender(), other}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for _, e := range events {
		o.Add(e)
		d.Wake()
	}
	wg.Wait()
	for _, name := range []string{"s", "other"} {
		notifytest.Eventually(t, name+" has all", func() bool { return o.Cursor(name).Seq == int64(len(events)) })
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(ids, r.ids); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(ids, other.taken()); diff != "" {
		t.Error(diff)
	}
}

// A hanging sender delays Replace by the grace period at most.
func TestReplaceDoesNotWaitForHangingSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events, ids := notifytest.Events(3)
		o := notifytest.NewOutbox(events...)
		hangs, release := make(chan struct{}, 1), make(chan struct{})
		defer close(release)
		hanging := &funcSender{name: "s", send: func(context.Context, ctwatch.Event) (bool, error) {
			hangs <- struct{}{}
			<-release // whatever its context says
			return true, errors.New("released")
		}}
		d, _ := start(t, Config{Outbox: o, Senders: []Sender{hanging}, Timeout: time.Hour, Grace: 40 * time.Millisecond})
		notifytest.Receive(t, hangs)
		repaired := &funcSender{name: "s"}
		began := time.Now()
		if err := d.Replace([]Sender{repaired}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > time.Second { // of the bubble's clock
			t.Errorf("it took %s", took)
		}
		notifytest.Eventually(t, "the new one has all", func() bool { return o.Cursor("s").Seq == 3 })
		if diff := cmp.Diff(ids, repaired.taken()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestReplaceBeforeAndAfterRun(t *testing.T) {
	events, ids := notifytest.Events(5)
	o := notifytest.NewOutbox(events...)
	never, s, later := &funcSender{name: "s"}, &funcSender{name: "s"}, &funcSender{name: "s"}
	d, err := NewDispatcher(Config{Outbox: o, Senders: []Sender{never}, Logger: notifytest.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Replace([]Sender{s}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	notifytest.Eventually(t, "all is delivered", func() bool { return o.Cursor("s").Seq == 5 })
	if err := d.Run(t.Context()); err == nil {
		t.Error("it runs twice at a time")
	}
	cancel()
	if err := notifytest.Receive(t, done); err != nil {
		t.Error(err)
	}
	if err := d.Replace([]Sender{later}); err != nil {
		t.Error(err)
	}
	d.Wake()
	if len(never.taken()) > 0 || len(later.taken()) > 0 {
		t.Error("what does not run delivers")
	}
	if diff := cmp.Diff(ids, s.taken()); diff != "" {
		t.Error(diff)
	}
}

// Two senders with one name would share a cursor. After the error nothing has changed.
func TestReplaceRefusesEqualNames(t *testing.T) {
	o := notifytest.NewOutbox()
	s := &funcSender{name: "s", each: make(chan string)}
	d, _ := start(t, Config{Outbox: o, Senders: []Sender{s}})
	if err := d.Replace([]Sender{s, &funcSender{name: "a"}, &funcSender{name: "a"}}); err == nil {
		t.Error("two of one name were accepted")
	}
	events, ids := notifytest.Events(1)
	o.Add(events...)
	d.Wake()
	if got := notifytest.Receive(t, s.each); got != ids[0] {
		t.Errorf("got %s", got)
	}
}

// Without any senders, Run still waits until its context ends.
func TestReplaceByNoSenders(t *testing.T) {
	s := &funcSender{name: "s"}
	d, stop := start(t, Config{Outbox: notifytest.NewOutbox(), Senders: []Sender{s}})
	if err := d.Replace(nil); err != nil {
		t.Fatal(err)
	}
	if err := d.Replace([]Sender{s}); err != nil {
		t.Error(err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// A broken outbox ends Run also if it is noticed by a sender that was added later.
func TestBrokenOutboxOfNewSenderEndsRun(t *testing.T) {
	o := notifytest.NewOutbox()
	d, err := NewDispatcher(Config{Outbox: o, Logger: notifytest.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- d.Run(notifytest.Within(t, notifytest.Patience)) }()
	broken := errors.New("disk I/O error")
	o.Break(broken)
	if err := d.Replace([]Sender{&funcSender{name: "s"}}); err != nil {
		t.Fatal(err)
	}
	if err := notifytest.Receive(t, done); !errors.Is(err, broken) {
		t.Errorf("Run: %v", err)
	}
}

// A listSender cannot be compared.
type listSender struct {
	*funcSender
	_ []string
}

// Senders of a type that == does not compare are replaced.
func TestReplaceUncomparableSenders(t *testing.T) {
	s := listSender{funcSender: &funcSender{name: "s"}}
	d, _ := start(t, Config{Outbox: notifytest.NewOutbox(), Senders: []Sender{s}})
	if err := d.Replace([]Sender{s}); err != nil {
		t.Error(err)
	}
}

// Close closes the sender behind a filter; the Dispatcher closes nothing.
func TestCloseBehindFilter(t *testing.T) {
	c := &closer{}
	f, err := Filtered(c, Filter{})
	if err != nil {
		t.Fatal(err)
	}
	d, _ := start(t, Config{Outbox: notifytest.NewOutbox(), Senders: []Sender{f}})
	if err := d.Replace(nil); err != nil {
		t.Fatal(err)
	}
	if c.closed > 0 {
		t.Error("the dispatcher closes what is not its own")
	}
	Close(f)
	Close(&funcSender{name: "has nothing to close"})
	if c.closed != 1 {
		t.Errorf("closed %d times", c.closed)
	}
}

type closer struct {
	funcSender
	closed int
}

func (*closer) Name() string { return "closer" }
func (c *closer) Close()     { c.closed++ }
