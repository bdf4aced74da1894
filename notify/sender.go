package notify

import (
	"context"
	"time"

	"ctwatch/ctwatch"
)

// ContentType is of an event in structured mode (CloudEvents nats.Sender binding §3.2).
const ContentType = "application/cloudevents+json"

// A Sender tells one service of events. A Dispatcher calls its methods from one
// goroutine at a time. What else a sender can do, it says by implementing Batcher,
// Patient, Reviver, Runner or Closer.
type Sender interface {
	// Name names the sender's cursor in the outbox, so it never changes.
	Name() string
	// Wants reports whether the event is to be sent at all.
	Wants(ctwatch.Event) bool
	// Send tells the service of one event, and returns once the service has taken
	// it or ctx has ended. With an error, retry says whether the same event may be
	// taken later; a *RetryAfterError in the error says when. Whatever a person can
	// mend, such as a wrong token, is to be retried: only an event that can never
	// be taken is not. The error holds no secret.
	Send(ctx context.Context, e ctwatch.Event) (retry bool, err error)
}

// A Reviver is a Sender that notices by itself when its service is back. A
// Dispatcher that is waiting to try again then does so at once.
type Reviver interface {
	// Revived returns a channel that gets a value each time the service is back.
	Revived() <-chan struct{}
}

// A Batcher is a Sender that can tell many events in one message: a digest. A
// Dispatcher asks it to when more events wait than people would read one by one (see
// Config.Storm); the other events come by Send.
type Batcher interface {
	Sender
	// SendBatch tells the service of the first events, as many of them as fit into
	// one message, and returns how many that were: it is called again with the rest.
	// The events are those that Wants wanted, at least two, in the order in which
	// they happened, and each that is taken is named in the message. Without an
	// error, at least one is taken. With an error, those that were taken before are
	// still counted, and retry says whether the others may be taken later: if not,
	// each of them is sent by itself, to find out which it is that never can be.
	SendBatch(ctx context.Context, events []ctwatch.Event) (taken int, retry bool, err error)
}

// A Patient is a Sender that needs a time limit of its own, instead of
// Config.Timeout.
type Patient interface {
	Timeout() time.Duration // the longest that one Send or SendBatch may take
}

// A Runner is a Sender that also works in the background, such as one that answers
// buttons. A Manager runs it.
type Runner interface {
	Run(ctx context.Context) // returns when ctx has ended
}

// A Closer is a Sender that holds what has to be given back, such as a connection. A
// Dispatcher closes nothing: a Manager does, or whoever made the sender.
type Closer interface {
	Close()
}

// Close closes those senders that are Closers, also behind a filter.
func Close(senders ...Sender) {
	for _, s := range senders {
		if c, ok := as[Closer](s); ok {
			c.Close()
		}
	}
}

// A wrapper is a Sender around another, such as one that filters. What the inner one
// can do, a queue finds with as.
type wrapper interface{ unwrap() Sender }

// as finds the optional interface T of a sender, or of the one that it wraps.
func as[T any](s Sender) (t T, ok bool) {
	for s != nil {
		if t, ok = s.(T); ok {
			return t, true
		}
		w, is := s.(wrapper)
		if !is {
			break
		}
		s = w.unwrap()
	}
	return t, false
}

// A RetryAfterError is an error of Send or SendBatch that says how long to wait before the next
// try, as a service asked.
type RetryAfterError struct {
	After time.Duration
	Err   error
}

func (e *RetryAfterError) Error() string { return e.Err.Error() }
func (e *RetryAfterError) Unwrap() error { return e.Err }

// An Outbox holds the events, in the order in which they were written, and for each
// sender a cursor: the last event that it is done with. All methods may be called
// from several goroutines.
type Outbox interface {
	// Register makes a cursor for a sender that has none.
	Register(ctx context.Context, sender string) error
	// Pending returns the first events after the sender's cursor, at most limit.
	Pending(ctx context.Context, sender string, limit int) ([]ctwatch.Queued, error)
	// SetDelivered moves the sender's cursor to seq, and ends its failing state.
	SetDelivered(ctx context.Context, sender string, seq int64) error
	// SkipTo only moves the cursor: the sender does not want what is before it.
	SkipTo(ctx context.Context, sender string, seq int64) error
	// SetDeadLetter moves the sender's cursor to seq as well, and keeps the event at seq as
	// one that the sender could not deliver.
	SetDeadLetter(ctx context.Context, sender string, seq int64, reason string) error
	// SetFailing records why the sender does not get on, for people to see.
	SetFailing(ctx context.Context, sender, reason string) error
}

// A Secret gives a token or the like when it is needed, so that one that was
// renewed in its file is used from then on.
type Secret func() (string, error)

// StaticSecret is a Secret that never changes.
func StaticSecret(s string) Secret { return func() (string, error) { return s, nil } }

// MaxTries is how often an event is tried that a receiver refuses for a reason which
// may lie in the event. With the pauses of a Dispatcher that takes about an hour: long
// enough to mend a receiver, short enough that nobody can make one event that ends
// all alarms.
const MaxTries = 20

// Tries counts how often the event that a sender is at was refused, or failed. Senders get one
// event at a time, so one count is enough.
type Tries struct {
	event string
	n     int
}

// Of returns how often an event was refused, if it is the last that was.
func (t *Tries) Of(event string) int {
	if t.event != event {
		return 0
	}
	return t.n
}

// Refused counts one more refusal of an event, and reports whether to try it again.
func (t *Tries) Refused(event string) (retry bool) {
	if t.event != event {
		*t = Tries{event: event}
	}
	t.n++
	return t.n < MaxTries
}
