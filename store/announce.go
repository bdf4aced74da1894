package store

import (
	"context"

	"ctwatch/ctwatch"
)

// Announce writes an event about the daemon itself to the outbox, once for its ID.
func (db *DB) Announce(ctx context.Context, e ctwatch.Event) error {
	return db.write(ctx, "writing the event "+string(e.Type), func(t *tx) error { return t.event(e) })
}
