package notify

// maxTries is how often an event is tried that a receiver refuses for a reason which
// may lie in the event. With the pauses of a Dispatcher that takes about an hour: long
// enough to mend a receiver, short enough that nobody can make one event that ends
// all alarms.
const maxTries = 20

// tries counts how often the event that a sender is at was refused, or failed. Senders get one
// event at a time, so one count is enough.
type tries struct {
	event string
	n     int
}

// refused counts one more refusal of an event, and reports whether to try it again.
func (t *tries) refused(event string) (retry bool) {
	if t.event != event {
		*t = tries{event: event}
	}
	t.n++
	return t.n < maxTries
}
