package notify

import (
	"context"
	"time"

	"ctwatch/ctwatch"
)

// A Sender tells one service of events. A Dispatcher calls Wants and Send from one
// goroutine at a time.
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

// A RetryAfterError is an error of Send that says how long to wait before the next
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
	// Delivered moves the sender's cursor to seq, and ends its failing state.
	Delivered(ctx context.Context, sender string, seq int64) error
	// Dead moves the sender's cursor to seq as well, and keeps the event at seq as
	// one that the sender could not deliver.
	Dead(ctx context.Context, sender string, seq int64, reason string) error
	// Failing records why the sender does not get on, for people to see.
	Failing(ctx context.Context, sender, reason string) error
}
