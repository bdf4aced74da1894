package store

import (
	"context"
	"maps"
	"slices"
	"time"
)

// pruneStep is how many rows one transaction deletes at most.
const pruneStep = 1000

// keepThreads is how long it is remembered which message is about what. By then the
// certificate has ended (CA/Browser Forum Baseline Requirements §6.3.2).
const keepThreads = 400 * 24 * time.Hour

// Prune deletes the events that were written before a time and that every sender
// in use is done with: those registered since the database was opened, and not
// unregistered. While there is none, nothing is deleted. It returns how many were.
// It forgets threads that are old, too.
func (db Outbox) Prune(ctx context.Context, before time.Time) (int64, error) {
	db.mu.Lock()
	senders := list(slices.Collect(maps.Keys(db.senders)))
	db.mu.Unlock()
	const what = "deleting old events"

	n, err := db.inSteps(ctx, what, func(t *tx) (n int64, err error) {
		// Events are in the order of time: the first that is young ends it. Of those
		// put before a sender again, some are only there.
		n, err = t.exec(`
			DELETE FROM outbox
			WHERE seq <= (SELECT min(cursor) FROM senders WHERE name IN (SELECT value FROM json_each(?1)))
				AND seq < coalesce((SELECT seq FROM outbox WHERE created_at >= ?2 ORDER BY seq LIMIT 1), ?4)
				AND seq < coalesce((SELECT min(seq) FROM redeliveries WHERE event IS NULL AND sender IN (SELECT value FROM json_each(?1))), ?4)
				AND seq < (SELECT min(seq) FROM outbox) + ?3`,
			senders, ms(before), db.pruneStep, int64(maxSeq))
		if err != nil || n == 0 {
			return n, err
		}
		// Of senders that are not in use.
		_, err = t.exec(`DELETE FROM redeliveries WHERE event IS NULL AND seq < coalesce((SELECT min(seq) FROM outbox), ?)`, int64(maxSeq))
		return n, err
	})
	if err != nil {
		return n, err
	}
	_, err = db.inSteps(ctx, "forgetting old threads", func(t *tx) (int64, error) {
		return t.exec(`
			DELETE FROM threads WHERE (sender, key) IN (SELECT sender, key FROM threads WHERE at < ? ORDER BY at LIMIT ?)`,
			ms(t.now.Add(-keepThreads)), db.pruneStep)
	})
	return n, err
}

// inSteps runs f, each time in a transaction of its own, until it deletes less than
// a step. It returns how many rows all deleted.
func (db *database) inSteps(ctx context.Context, what string, f func(*tx) (int64, error)) (total int64, err error) {
	for {
		var n int64
		err := db.write(ctx, what, func(t *tx) (err error) {
			n, err = f(t)
			return err
		})
		if err != nil {
			return total, err
		}
		if total += n; n < db.pruneStep {
			return total, nil
		}
	}
}
