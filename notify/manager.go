package notify

import (
	"context"
	"slices"
	"sync"
)

// A Manager is a Dispatcher some of whose senders can be replaced while it runs. It
// owns those: it runs what they do in the background, and closes them.
type Manager struct {
	*Dispatcher
	permanent []Sender
	removed   func(name string)

	current []Sender
	cancel  context.CancelFunc // stops the Runners of current; nil when none run
	runners sync.WaitGroup
}

// NewManager returns a Manager that has only the permanent senders until Replace is
// called. The permanent senders stay the caller's to close. removed is called with the
// name of each sender that Replace takes away without a successor of that name.
// Config.Senders is not used.
func NewManager(cfg Config, permanent []Sender, removed func(name string)) (*Manager, error) {
	cfg.Senders = permanent
	d, err := NewDispatcher(cfg)
	if err != nil {
		return nil, err
	}
	return &Manager{Dispatcher: d, permanent: permanent, removed: removed}, nil
}

// Replace changes all senders but the permanent ones to next, and closes those that it
// replaces. The Runners among next run until ctx ends, or until they are replaced.
// After an error, the senders are those of before, and next is closed.
func (m *Manager) Replace(ctx context.Context, next []Sender) error {
	if err := m.Dispatcher.Replace(slices.Concat(m.permanent, next)); err != nil {
		Close(next...)
		return err
	}
	before := m.current
	m.Close()
	for _, s := range before {
		if !slices.ContainsFunc(next, func(n Sender) bool { return n.Name() == s.Name() }) {
			m.removed(s.Name())
		}
	}
	m.current = next
	ctx, m.cancel = context.WithCancel(ctx)
	for _, s := range next {
		if r, ok := as[Runner](s); ok {
			m.runners.Go(func() { r.Run(ctx) })
		}
	}
	return nil
}

// Close stops the Runners and closes all senders but the permanent ones. Call it once
// Run has returned.
func (m *Manager) Close() {
	if m.cancel != nil {
		m.cancel()
		m.runners.Wait()
		m.cancel = nil
	}
	Close(m.current...)
	m.current = nil
}
