package nats

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ctwatch/ctwatch"
)

// Many events are published as one batch, which a stream stores as a whole or not at all
// (atomic batch publishing, ADR-50, since NATS 2.12): it acknowledges the last message, once
// for all. A server that syncs to disk before it acknowledges then does so once for each
// batch, and not for each event. What a batch cannot do is left to publishing individually: if
// the stream refuses a batch, for whatever reason, each of its events is published by itself,
// which finds the one that is refused, is a duplicate, or was planted.

const (
	// minBatch is how many events a batch has at least: for fewer, a server does more for
	// the batch than for the events.
	minBatch = 16
	// maxBatch is how many messages a server takes in one batch, by default, and
	// maxBatchBytes bounds what it has to keep of one.
	maxBatch      = 1000
	maxBatchBytes = 8 << 20
)

// Headers of the messages of a batch.
const (
	headerBatchID       = "Nats-Batch-Id"
	headerBatchSequence = "Nats-Batch-Sequence" // from 1
	headerBatchCommit   = "Nats-Batch-Commit"   // "1" in the last
)

// SendBulk implements notify.Bulk.
func (n *Sender) SendBulk(ctx context.Context, events []ctwatch.Queued) (taken int, retry bool, err error) {
	until := time.Now().Add(time.Hour)
	if deadline, ok := ctx.Deadline(); ok {
		until = time.Now().Add(time.Until(deadline) / 2) // the last one has the other half
	}
	retry, err = n.whileConnected(ctx, func(ctx context.Context) (retry bool, err error) {
		if taken, err = n.publishBatch(ctx, events); err != nil || taken > 0 {
			return true, err
		}
		for i := range events {
			if retry, err = n.send(ctx, &events[i]); err != nil {
				return retry, err
			}
			if taken++; time.Now().After(until) {
				break
			}
		}
		return false, nil
	})
	return taken, retry, err
}

// publishBatch publishes the first events as one batch, and returns how many these were: 0
// if they have to be published individually.
func (n *Sender) publishBatch(ctx context.Context, events []ctwatch.Queued) (taken int, err error) {
	if err := n.ensureStream(ctx); err != nil {
		return 0, err
	}
	if !n.takesBatches() {
		return 0, nil
	}
	var batch []*nats.Msg
	id, size := rand.Text(), 0
	for i := range events[:min(len(events), maxBatch)] {
		msg, err := n.message(&events[i])
		if err != nil || n.sequenceOf(events[i].Event.ID) > 0 {
			break
		}
		msg.Header.Set(nats.MsgIdHdr, events[i].Event.ID)
		msg.Header.Set(jetstream.ExpectedStreamHeader, n.o.Stream)
		msg.Header.Set(headerBatchID, id)
		msg.Header.Set(headerBatchSequence, strconv.Itoa(len(batch)+1))
		if size += msg.Size(); size > maxBatchBytes || int64(msg.Size()) > n.nc.MaxPayload() {
			break
		}
		batch = append(batch, msg)
	}
	if len(batch) < minBatch {
		return 0, nil
	}
	err = n.commit(ctx, batch)
	if ctx.Err() != nil {
		return 0, fmt.Errorf("publishing %d events to stream %s on %s: %w", len(batch), n.o.Stream, n.servers, ctx.Err())
	}
	if err != nil {
		n.log.Debug("the stream takes no batch of events: they are published individually", "events", len(batch), "error", ctwatch.Printable(err.Error(), 300))
		return 0, nil
	}
	return len(batch), nil
}

// commit publishes the messages of a batch, and waits until the stream has stored all.
func (n *Sender) commit(ctx context.Context, batch []*nats.Msg) error {
	last := batch[len(batch)-1]
	for _, msg := range batch[:len(batch)-1] {
		if err := n.nc.PublishMsg(msg); err != nil {
			return err
		}
	}
	last.Header.Set(headerBatchCommit, "1")
	var ack struct {
		Error *jetstream.APIError `json:"error"`
		Count int                 `json:"count"`
	}
	err := n.ask(ctx, last.Subject, func(ctx context.Context) error {
		resp, err := n.nc.RequestMsgWithContext(ctx, last)
		if err != nil {
			return err
		}
		return json.Unmarshal(resp.Data, &ack)
	})
	switch {
	case err != nil:
		return err
	case ack.Error != nil:
		return ack.Error
	case ack.Count != len(batch):
		return fmt.Errorf("the stream has %d of %d messages", ack.Count, len(batch))
	}
	return nil
}
