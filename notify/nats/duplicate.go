package nats

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ctwatch/ctwatch"
)

// Anyone who knows a certificate can compute the IDs of its events, and a stream drops a
// message with an ID that it has. A message that someone else published before under the ID
// of an alarm would suppress the alarm. So if a stream reports a duplicate, the message that
// it has is compared, and the event is published under another ID unless that one is ours.

// headerSeal is in every message: an HMAC of the event's ID and the message's data, with the
// key of the database. A message that has it is ours, although its data may differ from the
// event's: after the database was restored from a backup, certificates are found again and
// reported with another time.
const headerSeal = "Ctwatch-Seal"

// headerInstead is in a message that is published under another ID: the sequence of the
// message in the stream that has the event's ID and is not from ctwatch.
const headerInstead = "Ctwatch-Instead-Of"

// A holding is what a stream has where it reports a duplicate.
type holding int

const (
	holdsOurs holding = iota
	holdsOther
	holdsNothing
	holdsUnknown // we may not read it
)

// messageIDs returns the IDs under which an event is published: each is tried if a foreign
// message has the one before. The second is secret but always the same, so that an event
// that is published again after a crash is stored once. The last is new each time.
func (n *Sender) messageIDs(event string) [3]string {
	mac := hmac.New(sha256.New, n.o.Key)
	mac.Write([]byte(event))
	return [3]string{event, hex.EncodeToString(mac.Sum(nil)[:16]), rand.Text()}
}

// seal returns the value of headerSeal.
func (n *Sender) seal(event string, data []byte) string {
	mac := hmac.New(sha256.New, n.o.Key)
	fmt.Fprintf(mac, "message\n%d\n%s", len(event), event)
	mac.Write(data)
	return hex.EncodeToString(mac.Sum(nil))
}

// publish publishes the message of an event, under another ID if a foreign message has the
// event's.
func (n *Sender) publish(ctx context.Context, e ctwatch.Event, msg *nats.Msg) error {
	if err := n.ensureStream(ctx); err != nil {
		return err
	}
	for _, id := range n.messageIDs(e.ID) {
		seq := n.sequenceOf(id)
		if seq == 0 {
			ack, err := n.publishAs(ctx, id, msg)
			if err != nil {
				return fmt.Errorf("publishing to stream %s on %s: %w", n.o.Stream, n.servers, err)
			}
			if !ack.Duplicate {
				return nil
			}
			seq = ack.Sequence
		}
		held, err := n.holds(ctx, seq, msg, e.ID)
		if err != nil {
			return err
		}
		if held == holdsOurs {
			return nil
		}
		n.reportConflict(e, seq, held)
		if held == holdsOther {
			msg.Header.Set(headerInstead, strconv.FormatUint(seq, 10))
		}
	}
	return fmt.Errorf("stream %s on %s reports event %s as a duplicate under every message ID, and does not have it", n.o.Stream, n.servers, e.ID)
}

func (n *Sender) publishAs(ctx context.Context, id string, msg *nats.Msg) (ack *jetstream.PubAck, err error) {
	err = n.ask(ctx, msg.Subject, func(ctx context.Context) (err error) {
		ack, err = n.js.PublishMsg(ctx, msg, jetstream.WithMsgID(id), jetstream.WithExpectStream(n.o.Stream), jetstream.WithRetryAttempts(0))
		return err
	})
	return ack, err
}

// reportConflict logs, and warns, that the stream has one of our message IDs without our event.
func (n *Sender) reportConflict(e ctwatch.Event, seq uint64, held holding) {
	switch held {
	case holdsOther:
		n.log.Error("someone else published a message to the stream under the ID of one of our events; the event is published under another ID",
			"stream", n.o.Stream, "sequence", seq, "event", e.ID, "type", e.Type)
		n.warn(WarnPlanted, fmt.Sprintf("Message %d of stream %s has the ID of event %s (%s), and is not from this database of ctwatch: the event was published again under another ID. Find out who else may publish to %s.>, unless the stream is older than the database.",
			seq, n.o.Stream, e.ID, e.Type, n.o.SubjectPrefix))
	case holdsNothing:
		n.log.Error("the stream took an event and does not have it anymore; it is published again",
			"stream", n.o.Stream, "sequence", seq, "event", e.ID, "type", e.Type)
		n.warn(WarnMissing, fmt.Sprintf("Message %d of stream %s, with event %s (%s), was deleted within the stream's duplicate window: the event was published again. Unless someone deletes messages by hand, check the stream's limits.",
			seq, n.o.Stream, e.ID, e.Type))
	}
}

// codeMessageNotFound is the JetStream API's error code for a missing sequence.
const codeMessageNotFound = 10037

// holds compares the message of an event with the stream's message at a sequence. It asks the
// stream's leader: a replica may be behind.
func (n *Sender) holds(ctx context.Context, seq uint64, msg *nats.Msg, event string) (holding, error) {
	var reply struct {
		Error *struct {
			Code        int    `json:"err_code"`
			Description string `json:"description"`
		} `json:"error"`
		Message *storedMessage `json:"message"`
	}
	get := "$JS.API.STREAM.MSG.GET." + n.o.Stream
	err := n.ask(ctx, get, func(ctx context.Context) error {
		resp, err := n.nc.RequestWithContext(ctx, get, fmt.Appendf(nil, `{"seq":%d}`, seq))
		if err != nil {
			return err
		}
		return json.Unmarshal(resp.Data, &reply)
	})
	var denied *deniedError
	switch {
	case errors.As(err, &denied):
		// An event that may be stored twice is better than none.
		n.state(WarnPermission, "Messages in the stream cannot be compared, so events may be in it twice after a restart: "+denied.Error())
		return holdsUnknown, nil
	case err != nil:
		return 0, fmt.Errorf("reading message %d of stream %s on %s, a reported duplicate: %w", seq, n.o.Stream, n.servers, err)
	case reply.Error != nil && reply.Error.Code == codeMessageNotFound:
		return holdsNothing, nil
	case reply.Error != nil || reply.Message == nil:
		text := "no message"
		if reply.Error != nil {
			text = ctwatch.Printable(reply.Error.Description, 200)
		}
		return 0, fmt.Errorf("reading message %d of stream %s on %s, a reported duplicate: %s", seq, n.o.Stream, n.servers, text)
	}
	n.state(WarnPermission, "")
	held := reply.Message
	sealed := n.sealed(held.Header, event, held.Data)
	if (sealed || bytes.Equal(held.Data, msg.Data)) && (held.Subject == msg.Subject || n.transforms.Load()) {
		return holdsOurs, nil
	}
	return holdsOther, nil
}

// sealed reports whether the header of a message has the seal of an event.
func (n *Sender) sealed(header []byte, event string, data []byte) bool {
	h, err := nats.DecodeHeadersMsg(header)
	return err == nil && hmac.Equal([]byte(h.Get(headerSeal)), []byte(n.seal(event, data)))
}
