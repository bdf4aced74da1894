package notify

import (
	"context"
	"time"

	"ctwatch/ctwatch"
)

// ContentType is the media type of an event in structured mode (CloudEvents HTTP binding
// §3.2, NATS binding §3.2).
const ContentType = "application/cloudevents+json"

// A Sender sends events to one service. A Dispatcher calls its methods from one
// goroutine at a time. What else a sender can do, it declares by implementing Batcher,
// Bulk, Patient, Reviver, Runner or Closer.
type Sender interface {
	// Name names the sender's cursor in the outbox, so it never changes.
	Name() string
	// Wants reports whether the event is to be sent at all.
	Wants(ctwatch.Event) bool
	// Send sends one event, and returns once the service has taken it or ctx has
	// ended. With an error, retry says whether the service may take the same event
	// later; a *RetryAfterError in the error says when. Everything that a person can
	// repair, such as a wrong token, is to be retried: only an event that the service
	// can never take is not. The error holds no secret.
	Send(ctx context.Context, e ctwatch.Event) (retry bool, err error)
}

// A Reviver is a Sender that notices when its service is back. A Dispatcher that waits
// for the next try then tries at once.
type Reviver interface {
	// Revived returns a channel that gets a value each time the service is back.
	Revived() <-chan struct{}
}

// A Batcher is a Sender that can send many events in one message: a digest. A
// Dispatcher calls SendBatch when more events wait than people would read individually
// (see Config.Storm), and Send otherwise.
type Batcher interface {
	Sender
	// SendBatch sends the first events, as many as fit into one message, and returns
	// how many these were: it is called again with the rest. There are at least two
	// events, all of them wanted, in the order in which they happened; the message
	// names each that it takes. Without an error, at least one is taken. With an
	// error, taken counts those that were sent before it, and retry says whether the
	// others may be taken later: if not, each is sent by Send, to find out which one
	// the service can never take.
	SendBatch(ctx context.Context, events []ctwatch.Event) (taken int, retry bool, err error)
}

// A Bulk is a Sender to which many events cost less together than one after the other. A
// Dispatcher that has read several calls SendBulk, and Send for a single one.
type Bulk interface {
	Sender
	// SendBulk sends the first events, in order, as many as it likes within the time limit
	// of one Send, and returns how many these were: it is called again with the rest.
	// Without an error, at least one is taken. With an error, taken counts those that the
	// service took before the first that it did not take; retry and err are about that
	// one, as for Send. Those behind it may have been taken as well; they are sent again.
	SendBulk(ctx context.Context, events []ctwatch.Queued) (taken int, retry bool, err error)
}

// A Patient is a Sender with its own time limit in place of Config.Timeout.
type Patient interface {
	Timeout() time.Duration // the longest that one Send, SendBatch or SendBulk may take
}

// A Runner is a Sender that also works in the background, such as one that answers
// buttons. A Manager runs it.
type Runner interface {
	Run(ctx context.Context) // returns when ctx has ended
}

// A Closer is a Sender with resources to release, such as a connection. A Dispatcher
// closes nothing: a Manager does, or the caller that made the sender.
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

// A wrapper is a Sender around another, such as a filter.
type wrapper interface{ unwrap() Sender }

// as returns a sender as the optional interface T, or the sender that it wraps.
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

// A RetryAfterError is an error of Send, SendBatch or SendBulk with how long the service asks to
// wait before the next try.
type RetryAfterError struct {
	After time.Duration
	Err   error
}

func (e *RetryAfterError) Error() string { return e.Err.Error() }
func (e *RetryAfterError) Unwrap() error { return e.Err }

// An Outbox holds the events, in the order in which they were written, and for each
// sender a cursor: the last event that the sender is done with. Its methods may be called
// from several goroutines.
type Outbox interface {
	// Register makes a cursor for a sender that has none.
	Register(ctx context.Context, sender string) error
	// Pending returns the first events after the sender's cursor, at most limit.
	Pending(ctx context.Context, sender string, limit int) ([]ctwatch.Queued, error)
	// SetDelivered moves the sender's cursor to seq, and ends its failing state.
	SetDelivered(ctx context.Context, sender string, seq int64) error
	// SkipTo only moves the cursor: the sender does not want the events up to seq.
	SkipTo(ctx context.Context, sender string, seq int64) error
	// SetDeadLetter moves the sender's cursor to seq as well, and keeps the event at seq as
	// one that the sender could not deliver.
	SetDeadLetter(ctx context.Context, sender string, seq int64, reason string) error
	// SetFailing records why delivery fails, for people to see.
	SetFailing(ctx context.Context, sender, reason string) error
}

// A Secret gives a token or the like when it is needed, so that one that was
// renewed in its file is used from then on.
type Secret func() (string, error)

// StaticSecret is a Secret that never changes.
func StaticSecret(s string) Secret { return func() (string, error) { return s, nil } }

// MaxTries is how often an event is tried that a receiver refuses for a reason that may
// lie in the event. With the pauses of a Dispatcher that takes about an hour: long enough
// to repair a receiver, short enough that one crafted event cannot end all alarms.
const MaxTries = 20

// Tries counts how often the current event of a sender was refused, or failed. Senders
// get one event at a time, so one count is enough.
type Tries struct {
	event string
	n     int
}

// Of returns how often an event was refused: 0 unless it is the last refused event.
func (t *Tries) Of(event string) int {
	if t.event != event {
		return 0
	}
	return t.n
}

// Refused counts a refusal of an event, and reports whether to retry it.
func (t *Tries) Refused(event string) (retry bool) {
	if t.event != event {
		*t = Tries{event: event}
	}
	t.n++
	return t.n < MaxTries
}
