package nats

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ctwatch/ctwatch"
)

// An event is published again if the daemon ended, or lost its connection, before it could
// record that the stream has it. A stream recognizes the ID of a message only within its
// duplicate window. So if the last message is older than half of that, the IDs of those that
// may be published again are read from the stream: those of its last minute.

const (
	// maxKnown bounds how many messages are read: all that were published and not recorded
	// are in the last call of SendBulk, or in the last few if the database was set back, too.
	maxKnown  = 2 * maxBatch
	knownSpan = time.Minute
	// knownTimeout bounds reading them: an event that is stored twice is better than one
	// that waits. The last messages are read first.
	knownTimeout = 2 * time.Second
)

// known are messages of a stream, by their IDs.
type known struct {
	last      uint64 // sequence of the stream's last message when they were read
	sequences map[string]uint64
}

// sequenceOf returns the sequence of a message that is known by its ID; 0 for others.
func (n *Sender) sequenceOf(id string) uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.known.sequences[id]
}

// readKnown reads the IDs of the last messages of a stream that may not recognize them any
// more; n is locked.
func (n *Sender) readKnown(ctx context.Context, info *jetstream.StreamInfo) error {
	last := info.State.LastSeq
	if info.State.Msgs == 0 || last == n.known.last || time.Since(info.State.LastTime) < info.Config.Duplicates/2 {
		return nil
	}
	reading, cancel := context.WithTimeout(ctx, knownTimeout)
	defer cancel()
	oldest := info.State.LastTime.Add(-knownSpan)
	sequences := make(map[string]uint64)
	step := uint64(10) // few events are usual
	for next := last; next >= info.State.FirstSeq && next > 0 && last-next < maxKnown; step = 100 {
		first := max(info.State.FirstSeq, next-min(next-1, step-1))
		msgs, err := n.getMessages(reading, first, next)
		if ctx.Err() != nil {
			return fmt.Errorf("reading the last messages of stream %s on %s: %w", n.o.Stream, n.servers, ctx.Err())
		} else if err != nil { // also without permission, which holds reports
			n.log.Debug("the last messages of the stream cannot be read: events may be stored twice", "stream", n.o.Stream, "error", ctwatch.Printable(err.Error(), 300))
			break
		}
		for _, m := range msgs {
			if h, err := nats.DecodeHeadersMsg(m.Header); err == nil && h.Get(nats.MsgIdHdr) != "" {
				sequences[h.Get(nats.MsgIdHdr)] = m.Sequence
			}
		}
		if slices.ContainsFunc(msgs, func(m storedMessage) bool { return m.Time.Before(oldest) }) {
			break
		}
		next = first - 1
	}
	n.known = known{last, sequences}
	return nil
}

// A storedMessage is a message of the stream.
type storedMessage struct {
	Subject  string    `json:"subject"`
	Sequence uint64    `json:"seq"`
	Header   []byte    `json:"hdrs"`
	Data     []byte    `json:"data"`
	Time     time.Time `json:"time"`
}

// getMessages returns those messages from first to last that the stream has.
func (n *Sender) getMessages(ctx context.Context, first, last uint64) (msgs []storedMessage, err error) {
	get := "$JS.API.STREAM.MSG.GET." + n.o.Stream
	inbox := n.nc.NewInbox()
	sub, err := n.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	err = n.ask(ctx, get, func(ctx context.Context) error {
		for seq := first; seq <= last; seq++ {
			if err := n.nc.PublishRequest(get, inbox, fmt.Appendf(nil, `{"seq":%d}`, seq)); err != nil {
				return err
			}
		}
		for range last - first + 1 {
			resp, err := sub.NextMsgWithContext(ctx)
			if err != nil {
				return err
			}
			var reply struct {
				Message *storedMessage `json:"message"` // nil: deleted
			}
			if err := json.Unmarshal(resp.Data, &reply); err != nil {
				return err
			}
			if reply.Message != nil {
				msgs = append(msgs, *reply.Message)
			}
		}
		return nil
	})
	return msgs, err
}
