package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ctwatch/ctwatch"
)

// A natsReader is a consumer of the daemon's events, as any other service would be
// one: it connects over TCP and reads the stream.
type natsReader struct {
	patience time.Duration
	url      string
	nc       *nats.Conn
	cancel   jetstream.ConsumeContext

	mu     sync.Mutex
	events []ctwatch.Event
	waited int           // how many of events wait has skipped or returned
	more   chan struct{} // closed and replaced when there are more
	broken error
	next   uint64 // stream sequence to continue from
}

func newNATSReader(patience time.Duration) *natsReader {
	return &natsReader{patience: patience, more: make(chan struct{}), next: 1}
}

// connect reads the stream from where the last connection ended.
func (n *natsReader) connect(ctx context.Context, url, stream string) (err error) {
	n.disconnect()
	n.url = url
	if n.nc, err = nats.Connect(url, nats.Name("ctwatch demo subscriber")); err != nil {
		return fmt.Errorf("connecting to NATS at %s: %w", url, err)
	}
	js, err := jetstream.New(n.nc)
	if err != nil {
		return err
	}
	var consumer jetstream.Consumer
	err = poll(ctx, func() (bool, error) { // the daemon makes the stream when it is connected itself
		consumer, err = js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: n.next})
		return err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for stream %s: %w", stream, err)
	}
	n.cancel, err = consumer.Consume(n.receive)
	return err
}

func (n *natsReader) receive(m jetstream.Msg) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var e ctwatch.Event
	err := json.Unmarshal(m.Data(), &e)
	if meta, metaErr := m.Metadata(); metaErr == nil {
		n.next = meta.Sequence.Stream + 1
	}
	if err == nil && m.Headers().Get("Nats-Msg-Id") != e.ID {
		err = fmt.Errorf("event %s has the message ID %q", e.ID, m.Headers().Get("Nats-Msg-Id"))
	}
	if err != nil {
		n.broken = err
	}
	n.events = append(n.events, e)
	close(n.more)
	n.more = make(chan struct{})
}

// wait returns the next event of a type about a certificate.
func (n *natsReader) wait(ctx context.Context, t ctwatch.EventType, id ctwatch.Hash) (ctwatch.Event, error) {
	return n.waitFor(ctx, fmt.Sprintf("%s for %v", t, id), func(e ctwatch.Event) bool {
		return e.Type == t && e.Data.Certificate != nil && e.Data.Certificate.ID == id
	})
}

// waitFor returns the next event of which is is true; what names it.
func (n *natsReader) waitFor(ctx context.Context, what string, is func(ctwatch.Event) bool) (ctwatch.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, n.patience)
	defer cancel()
	for {
		n.mu.Lock()
		for i := n.waited; i < len(n.events); i++ {
			e := n.events[i]
			if is(e) {
				n.waited = i + 1
				n.mu.Unlock()
				return e, nil
			}
		}
		more, broken := n.more, n.broken
		n.mu.Unlock()
		if broken != nil {
			return ctwatch.Event{}, fmt.Errorf("a message on NATS is no event: %w", broken)
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctwatch.Event{}, fmt.Errorf("no %s on NATS within %v", what, n.patience)
		}
	}
}

// settle waits until all that the stream holds has been received.
func (n *natsReader) settle(ctx context.Context) error {
	js, err := jetstream.New(n.nc)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, n.patience)
	defer cancel()
	return poll(ctx, func() (bool, error) {
		s, err := js.Stream(ctx, "CTWATCH")
		if err != nil {
			return false, err
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.next == s.CachedInfo().State.LastSeq+1, nil
	})
}

func (n *natsReader) all() []ctwatch.Event {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]ctwatch.Event(nil), n.events...)
}

func (n *natsReader) disconnect() {
	if n.cancel != nil {
		n.cancel.Stop()
		<-n.cancel.Closed()
		n.cancel = nil
	}
	if n.nc != nil {
		n.nc.Close()
		n.nc = nil
	}
}
