package nats

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ctwatch/ctwatch"
)

// checkTimeout bounds one look at the stream.
const checkTimeout = 5 * time.Second

// checkStreams looks at the stream after each connection, and then again and again, so that
// one that is deleted, sealed or changed is noticed before the next event, which may be an alarm.
// It is not done by the client's handlers, since those would keep it from telling of
// permissions.
func (n *Sender) checkStreams() {
	t := time.NewTicker(n.o.CheckEvery)
	defer t.Stop()
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-n.connected:
			n.checkStreamNow()
			select {
			case n.revived <- struct{}{}:
			default:
			}
			continue
		case <-t.C:
		}
		select {
		case <-n.started:
		default:
			continue
		}
		switch {
		case n.nc == nil || !n.nc.IsConnected():
		case n.repliesDenied():
			// The permission may be there by now, which only a new connection finds out.
			if err := n.nc.ForceReconnect(); err != nil {
				n.log.Debug("cannot connect to NATS again", "error", err)
			}
		default:
			n.checkStreamNow()
		}
	}
}

// checkStreamNow looks at the stream, makes it if it is not there, and warns of what is wrong.
func (n *Sender) checkStreamNow() {
	ctx, cancel := context.WithTimeout(n.ctx, checkTimeout)
	defer cancel()
	n.forgetStream()
	err := n.ensureStream(ctx)
	if n.ctx.Err() != nil || !n.nc.IsConnected() {
		return
	}
	if err != nil {
		n.state(WarnStream, "The stream for events is not ready: "+ctwatch.Printable(err.Error(), 1000))
	}
	if err == nil {
		// Whether a duplicate can be compared is found out before there is one: no stream has this.
		_, _ = n.holds(ctx, math.MaxInt64, nats.NewMsg(""), "")
	}
	small := ""
	if most := n.nc.MaxPayload(); most < maxEventMessage {
		small = fmt.Sprintf("max_payload of %s is %d bytes, less than the %d that an event may have: raise it there to 1MB, or larger events become dead letters.", n.servers, most, maxEventMessage)
	}
	n.state(WarnMaxPayload, small)
}

// maxEventMessage is how large a message with an event may be, its headers included.
const maxEventMessage = ctwatch.MaxEvent + 1<<10

// limits says in which ways a stream, which somebody made or changed, keeps events for less
// time, or less surely, than the one that is made where there is none.
func (n *Sender) limits(c jetstream.StreamConfig) []string {
	var out []string
	add := func(differs bool, format string, args ...any) {
		if differs {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	add(c.Retention == jetstream.WorkQueuePolicy, "retention workqueue deletes an event once one consumer has it")
	add(c.Retention == jetstream.InterestPolicy, "retention interest keeps no event that comes while there is no consumer")
	add(c.Storage == jetstream.MemoryStorage, "storage memory loses all events when the server restarts")
	add(c.MaxAge > 0 && c.MaxAge < streamMaxAge, "max_age deletes events after %s (ours: %s)", c.MaxAge, streamMaxAge)
	add(c.MaxMsgs > 0, "max_msgs keeps only %d messages (ours: any number)", c.MaxMsgs)
	add(c.MaxMsgsPerSubject > 0, "max_msgs_per_subject keeps only %d events of one type and domain (ours: any number)", c.MaxMsgsPerSubject)
	add(c.MaxBytes > 0 && c.MaxBytes < n.o.MaxBytes, "max_bytes keeps only %d bytes (ours: %d)", c.MaxBytes, n.o.MaxBytes)
	add(c.MaxMsgSize > 0 && c.MaxMsgSize < maxEventMessage, "max_msg_size refuses events of more than %d bytes, and one may have %d", c.MaxMsgSize, maxEventMessage)
	add(c.Discard == jetstream.DiscardNew, "discard new refuses events once the stream is full, instead of deleting the oldest")
	add(c.Duplicates < duplicateWindow, "duplicate_window forgets the IDs of events after %s (ours: %s), so that one that is published again may be there twice", c.Duplicates, duplicateWindow)
	add(c.AllowRollup, "allow_rollup_hdrs lets one message delete all earlier ones")
	add(c.DenyDelete || c.DenyPurge, "deny_delete or deny_purge keeps what others published from being removed")
	add(len(c.Sources) > 0, "sources bring messages of other streams in")
	add(c.SubjectTransform != nil, "a subject transform changes the subjects of events")
	add(c.RePublish != nil, "republish sends all events on to other subjects")
	return out
}

// checkLimits warns where the stream differs from ours.
func (n *Sender) checkLimits(c jetstream.StreamConfig) {
	n.transforms.Store(c.SubjectTransform != nil)
	text := ""
	if differs := n.limits(c); len(differs) > 0 {
		text = fmt.Sprintf("Stream %s is not as ctwatch makes it: %s. If that is not on purpose: nats stream edit %s, or delete it, and it is made again.", c.Name, strings.Join(differs, "; "), c.Name)
	}
	n.state(WarnStream, text)
}

// What may be wrong with a server or its stream, though it takes events. The first lasts until
// it is resolved; the second are events, and are counted.
const (
	WarnStream     = "stream"      // it cannot be used, or differs from what is made where there is none
	WarnMaxPayload = "max_payload" // the server's is smaller than an event may be
	WarnPermission = "permission"  // one is missing without which events are still published

	WarnPlanted = "planted_message" // somebody else published a message under the ID of an event
	WarnMissing = "missing_message" // an event was taken, and is not there
	WarnLost    = "stream_lost"     // the stream was deleted, or lost its messages
)

// warn reports something that happened. It does not depend on the time that is left for what
// found it out.
func (n *Sender) warn(code, text string) {
	if n.o.Warn != nil {
		n.o.Warn(n.ctx, code, text)
	}
}

// state reports that something is wrong, or with an empty text that it is not any more, where
// that has changed.
func (n *Sender) state(code, text string) {
	n.stating.Lock()
	defer n.stating.Unlock()
	if n.states == nil {
		n.states = make(map[string]string)
	}
	last, known := n.states[code]
	if known && last == text {
		return
	}
	n.states[code] = text
	if text == "" {
		if last != "" {
			n.log.Info("NATS: a warning is resolved", "what", code)
		}
		if n.o.Resolved != nil { // also a warning of an earlier run
			n.o.Resolved(n.ctx, code)
		}
		return
	}
	n.log.Warn("NATS: "+ctwatch.Printable(text, 1500), "what", code)
	n.warn(code, text)
}
