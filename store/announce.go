package store

import (
	"context"

	"ctwatch/ctwatch"
)

// Add writes an event about the daemon itself to the outbox, once for its ID.
func (db Outbox) Add(ctx context.Context, e ctwatch.Event) error {
	return db.write(ctx, "writing the event "+string(e.Type), func(t *tx) error { return t.event(e) })
}
