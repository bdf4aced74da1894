package notify

import (
	"context"
	"slices"
	"sync"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/notify/notifytest"
)

// A managedSender records what a Manager does with it.
type managedSender struct {
	name    string
	running chan struct{} // closed when Run is called
	mu      sync.Mutex
	steps   []string
}

func newManaged(name string) *managedSender {
	return &managedSender{name: name, running: make(chan struct{})}
}

func (s *managedSender) Name() string             { return s.name }
func (s *managedSender) Wants(ctwatch.Event) bool { return true }
func (s *managedSender) Send(context.Context, ctwatch.Event) (bool, error) {
	return false, nil
}

func (s *managedSender) Run(ctx context.Context) {
	close(s.running)
	<-ctx.Done()
	s.step("stopped")
}

func (s *managedSender) Close() { s.step("closed") }

func (s *managedSender) step(step string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps = append(s.steps, step)
}

func (s *managedSender) did() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.steps)
}

// newManager returns a Manager that does not deliver, and the names of the senders
// that it removes.
func newManager(t *testing.T, permanent ...Sender) (*Manager, *[]string) {
	t.Helper()
	removed := new([]string)
	m, err := NewManager(Config{Outbox: notifytest.NewOutbox(), Logger: notifytest.Discard()}, permanent,
		func(name string) { *removed = append(*removed, name) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m, removed
}

// A sender that is replaced stops its work in the background before it is closed, and
// only one without a successor of its name counts as removed.
func TestManagerClosesReplacedSenders(t *testing.T) {
	permanent := newManaged("nats")
	m, removed := newManager(t, permanent)
	first, gone, second := newManaged("slack"), newManaged("hook"), newManaged("slack")
	if err := m.Replace(t.Context(), []Sender{first, gone}); err != nil {
		t.Fatal(err)
	}
	<-first.running
	<-gone.running
	if err := m.Replace(t.Context(), []Sender{second}); err != nil {
		t.Fatal(err)
	}
	<-second.running
	for _, s := range []*managedSender{first, gone} {
		if got := s.did(); !slices.Equal(got, []string{"stopped", "closed"}) {
			t.Errorf("%s: %v", s.name, got)
		}
	}
	if got := second.did(); got != nil {
		t.Errorf("the new sender: %v", got)
	}
	if !slices.Equal(*removed, []string{"hook"}) {
		t.Errorf("removed: %v", *removed)
	}
	m.Close()
	m.Close() // does nothing
	if got := second.did(); !slices.Equal(got, []string{"stopped", "closed"}) {
		t.Errorf("after Close: %v", got)
	}
	if got := permanent.did(); got != nil {
		t.Errorf("the permanent sender: %v", got)
	}
}

// Senders that cannot be used leave those of before at work, and are closed.
func TestManagerKeepsSendersAfterError(t *testing.T) {
	m, removed := newManager(t, newManaged("nats"))
	current, wrong := newManaged("slack"), newManaged("nats")
	if err := m.Replace(t.Context(), []Sender{current}); err != nil {
		t.Fatal(err)
	}
	if err := m.Replace(t.Context(), []Sender{wrong}); err == nil {
		t.Fatal("two senders of one name were accepted")
	}
	if got := wrong.did(); !slices.Equal(got, []string{"closed"}) {
		t.Errorf("the refused sender: %v", got)
	}
	<-current.running
	if got := current.did(); got != nil {
		t.Errorf("the current sender: %v", got)
	}
	if len(*removed) > 0 {
		t.Errorf("removed: %v", *removed)
	}
}

// The context of Replace ends what senders do in the background; a Runner behind a
// filter runs as well.
func TestManagerRunnersEndWithContext(t *testing.T) {
	m, _ := newManager(t)
	s := newManaged("slack")
	f, err := Filtered(s, Filter{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := m.Replace(ctx, []Sender{f}); err != nil {
		t.Fatal(err)
	}
	<-s.running
	cancel()
	m.runners.Wait()
	if got := s.did(); !slices.Equal(got, []string{"stopped"}) {
		t.Errorf("%v", got)
	}
}

func TestNewManagerRefusesWrongConfig(t *testing.T) {
	if _, err := NewManager(Config{}, nil, nil); err == nil {
		t.Error("no outbox, and no error")
	}
}
