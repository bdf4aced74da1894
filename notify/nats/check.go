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

// checkTimeout bounds one check of the stream.
const checkTimeout = 5 * time.Second

// checkStreams checks the stream after each connection and then at intervals, so that one
// that is deleted, sealed or changed is noticed before the next event, which may be an alarm.
// The client's handlers cannot do this: while they run, the client reports no missing
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
			// The permission may have been added, which only a new connection shows.
			if err := n.nc.ForceReconnect(); err != nil {
				n.log.Debug("cannot reconnect to NATS", "error", err)
			}
		default:
			n.checkStreamNow()
		}
	}
}

// checkStreamNow checks the stream, creates it if needed, and warns about problems.
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
		// Find out now whether duplicates can be compared. No stream has this sequence.
		_, _ = n.holds(ctx, math.MaxInt64, nats.NewMsg(""), "")
	}
	small := ""
	if most := n.nc.MaxPayload(); most < maxEventMessage {
		small = fmt.Sprintf("max_payload of %s is %d bytes, less than the %d that an event may have: raise it there to 1MB, or larger events become dead letters.", n.servers, most, maxEventMessage)
	}
	n.state(WarnMaxPayload, small)
}

// maxEventMessage bounds a message with an event, including headers.
const maxEventMessage = ctwatch.MaxEvent + 1<<10

// limits returns how a stream that someone else created or changed keeps events for less
// time, or less reliably, than one that is created here.
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
	add(c.Duplicates < duplicateWindow, "duplicate_window forgets the IDs of events after %s (ours: %s), so that a repeated event may be stored twice", c.Duplicates, duplicateWindow)
	add(c.AllowRollup, "allow_rollup_hdrs lets one message delete all earlier ones")
	add(c.DenyDelete || c.DenyPurge, "deny_delete or deny_purge prevents the removal of messages by others")
	add(len(c.Sources) > 0, "sources add messages of other streams")
	add(c.SubjectTransform != nil, "a subject transform changes the subjects of events")
	add(c.RePublish != nil, "republish copies all events to other subjects")
	return out
}

// checkLimits warns if the stream differs from one that is created here.
func (n *Sender) checkLimits(c jetstream.StreamConfig) {
	n.transforms.Store(c.SubjectTransform != nil)
	text := ""
	if differs := n.limits(c); len(differs) > 0 {
		text = fmt.Sprintf("Stream %s differs from one that ctwatch creates: %s. Unless that is on purpose: nats stream edit %s, or delete it, and ctwatch creates it again.", c.Name, strings.Join(differs, "; "), c.Name)
	}
	n.state(WarnStream, text)
}

// fullFrom is the part of a limit from which a stream counts as full.
const fullFrom = 0.9

// checkFull warns if the limits of a stream have deleted, or are about to delete, events that
// its max_age would keep. The warning is logged once; its numbers are at most a day old.
func (n *Sender) checkFull(info *jetstream.StreamInfo, now time.Time) {
	stage, text := n.full(info, now)
	day := now.UTC().Format(time.DateOnly)
	switch {
	case stage == "" || stage != n.fullStage:
		n.state(WarnFull, text)
	case day != n.fullDay:
		n.warn(WarnFull, text)
	default:
		return
	}
	n.fullStage, n.fullDay = stage, day
}

// full says how far the limits of a stream are reached and what to do. The stage is empty while
// there is room, and another one once the first events are gone.
func (n *Sender) full(info *jetstream.StreamInfo, now time.Time) (stage, text string) {
	c, s := info.Config, info.State
	name, option, used, most := "max_bytes", "--max-bytes", float64(s.Bytes), float64(c.MaxBytes)
	if most <= 0 || used < fullFrom*most {
		name, option, used, most = "max_msgs", "--max-msgs", float64(s.Msgs), float64(c.MaxMsgs)
	}
	switch {
	case most <= 0, used < fullFrom*most, s.Msgs == 0,
		c.Discard == jetstream.DiscardNew, // it refuses new events, and sending says so
		c.MaxAge > 0 && now.Sub(s.FirstTime) >= c.MaxAge:
		return "", ""
	}
	stage, gone := "filling", ""
	if first := max(1, c.FirstSeq); s.FirstSeq > first {
		stage, gone = "full", fmt.Sprintf("%d older ones are deleted, and ", s.FirstSeq-first)
	}
	kept := "without an end"
	if c.MaxAge > 0 {
		kept = "for " + ctwatch.FormatDuration(c.MaxAge)
	}
	embedded := ""
	if n.o.InProcess != nil && name == "max_bytes" {
		embedded = ", at most 2GB; for more, set nats.url to a server of your own"
	}
	return stage, fmt.Sprintf("Stream %s has %d messages, the oldest of %s, which are %.0f %% of its %s (%.0f): %snew events delete the oldest at 100 %%, although max_age would keep them %s. Consumers have to read events before that. To keep more: nats stream edit %s %s=SIZE%s.",
		c.Name, s.Msgs, s.FirstTime.UTC().Format(time.RFC3339), 100*used/most, name, most, gone, kept, c.Name, option, embedded)
}

// Problems with a server or its stream although it takes events. The first group lasts until
// resolved; the second happens, and is counted.
const (
	WarnStream     = "stream"      // it cannot be used, or differs from one that is created here
	WarnFull       = "stream_full" // its limits delete events that its max_age would keep
	WarnMaxPayload = "max_payload" // smaller than an event may be
	WarnPermission = "permission"  // one is missing that publishing does not need

	WarnPlanted = "planted_message" // someone else published a message under the ID of an event
	WarnMissing = "missing_message" // an event was stored, and is gone
	WarnLost    = "stream_lost"     // the stream was deleted, or lost its messages
)

// warn reports something that happened. It does not use the context of the caller, which may
// end.
func (n *Sender) warn(code, text string) {
	if n.o.Warn != nil {
		n.o.Warn(n.ctx, code, text)
	}
}

// state reports a problem, or with an empty text that it is resolved, if that changed.
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
