package notify

import "ctwatch/ctwatch"

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
func (n *NATS) warn(code, text string) {
	if n.o.Warn != nil {
		n.o.Warn(n.ctx, code, text)
	}
}

// state reports that something is wrong, or with an empty text that it is not any more, where
// that has changed.
func (n *NATS) state(code, text string) {
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
