package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"time"

	"ctwatch/ctwatch"
)

// keptHeads is how many tree heads are kept of a log: the newest, and the largest that
// was accepted.
const keptHeads = 1000

const (
	sqlInsertHead = `
		INSERT INTO heads (log, n, size, root, timestamp, raw)
		VALUES (?1, 1 + coalesce((SELECT n FROM heads WHERE log = ?1 ORDER BY n DESC LIMIT 1), 0), ?2, ?3, ?4, ?5)
		ON CONFLICT DO NOTHING`
	sqlHeadNumber = `SELECT n FROM heads WHERE log = ? AND size = ? AND root = ? AND timestamp = ?`
	sqlHead       = `SELECT size, root, timestamp, raw FROM heads WHERE log = ? AND n = ?`
	sqlHeadSeen   = `
		UPDATE logs SET tree_size = ?2, head = ?3, last_head_at = ?4,
			behind_since = CASE WHEN ?2 > position THEN coalesce(behind_since, ?4) END
		WHERE seq = ?1`
	sqlPruneHeads = `DELETE FROM heads WHERE log = ?1 AND n <= ?2 - ?3 AND n <> ?4`
)

// AddHead stores a tree head that was verified and accepted. The largest is the log's
// tree size.
//
// One of the same size and root as the largest says only that the log signs: it is kept in
// memory until SaveHeads, so that logs that sign every second cost no transactions.
func (db Logs) AddHead(ctx context.Context, id ctwatch.LogID, h ctwatch.Head) error {
	seen := seenHead{id, h, db.now()}
	if db.heads.postpone(seen) {
		return nil
	}
	return db.saveHeads(ctx, "storing a tree head", append(db.heads.postponed(id), seen))
}

// SaveHeads stores the tree heads that AddHead has kept in memory, in one transaction. A
// crash before it loses no more than the time at which logs signed their largest tree again.
func (db Logs) SaveHeads(ctx context.Context) error {
	return db.saveHeads(ctx, "storing the newest tree heads", db.heads.postponed())
}

func (db Logs) saveHeads(ctx context.Context, what string, heads []seenHead) error {
	if len(heads) == 0 {
		return nil
	}
	largest := make(map[ctwatch.LogID]ctwatch.Head)
	err := db.write(ctx, what, func(t *tx) error {
		for _, seen := range heads {
			best, err := t.acceptHead(seen)
			if err != nil {
				return err
			}
			largest[seen.log] = *best
		}
		return nil
	})
	if err == nil {
		db.heads.saved(heads, largest)
	}
	return err
}

// A seenHead is a tree head that was accepted at a time.
type seenHead struct {
	log  ctwatch.LogID
	head ctwatch.Head
	at   time.Time
}

// newestHeads are tree heads that are not stored yet, since they differ from the largest
// of their log only by their time. Its methods may be called concurrently.
type newestHeads struct {
	mu      sync.Mutex
	largest map[ctwatch.LogID]ctwatch.Head // as this process has stored them
	later   map[ctwatch.LogID]seenHead
}

func (n *newestHeads) init() {
	n.largest, n.later = make(map[ctwatch.LogID]ctwatch.Head), make(map[ctwatch.LogID]seenHead)
}

// postpone keeps a tree head, if it may be stored later, and reports whether it does.
func (n *newestHeads) postpone(seen seenHead) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	stored, ok := n.largest[seen.log]
	if !ok || stored.Size != seen.head.Size || stored.Root != seen.head.Root {
		return false
	}
	if last, ok := n.later[seen.log]; ok && last.head.Timestamp.After(seen.head.Timestamp) {
		seen.head = last.head
	}
	n.later[seen.log] = seen
	return true
}

// postponed returns what is to be stored of some logs; without arguments, of all.
func (n *newestHeads) postponed(logs ...ctwatch.LogID) (out []seenHead) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, seen := range n.later {
		if len(logs) == 0 || slices.Contains(logs, id) {
			out = append(out, seen)
		}
	}
	return out
}

// saved records what was stored, and the largest tree head of each of those logs.
func (n *newestHeads) saved(heads []seenHead, largest map[ctwatch.LogID]ctwatch.Head) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, seen := range heads {
		if n.later[seen.log].at.Equal(seen.at) {
			delete(n.later, seen.log)
		}
	}
	for id, h := range largest {
		if n.largest[id].Size <= h.Size { // else a larger one was stored meanwhile
			n.largest[id] = h
		}
	}
}

// lastSeen returns when the newest tree head of a log was accepted, if that is not stored.
func (n *newestHeads) lastSeen(id ctwatch.LogID) (at time.Time, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	seen, ok := n.later[id]
	return seen.at, ok
}

// acceptHead stores a tree head that was accepted, and returns the largest of its log.
func (t *tx) acceptHead(seen seenHead) (*ctwatch.Head, error) {
	h := seen.head
	l, err := loadLog(t, seen.log)
	if err != nil {
		return nil, err
	}
	n, err := t.insertHead(l, h)
	if err != nil {
		return nil, err
	}
	best, err := loadHead(t, l)
	if err != nil {
		return nil, err
	}
	if best == nil || h.Size > best.Size || h.Size == best.Size && h.Root == best.Root && h.Timestamp.After(best.Timestamp) {
		best, l.head = &h, sql.NullInt64{Int64: n, Valid: true}
	}
	size, err := count(best.Size)
	if err != nil {
		return nil, err
	}
	if _, err := t.exec(sqlHeadSeen, l.seq, size, l.head, ms(seen.at)); err != nil {
		return nil, err
	}
	_, err = t.exec(sqlPruneHeads, l.seq, n, keptHeads, l.head)
	return best, err
}

// insertHead stores a tree head unless it is stored, and returns its number.
func (t *tx) insertHead(l *logRow, h ctwatch.Head) (n int64, err error) {
	size, err := count(h.Size)
	if err != nil {
		return 0, err
	}
	if _, err := t.exec(sqlInsertHead, l.seq, size, h.Root[:], ms(h.Timestamp), blob(h.Raw)); err != nil {
		return 0, err
	}
	err = t.queryRow(sqlHeadNumber, l.seq, size, h.Root[:], ms(h.Timestamp)).Scan(&n)
	return n, err
}

// loadHead returns the largest tree head accepted of a log; nil if there is none.
func loadHead(q querier, l *logRow) (*ctwatch.Head, error) {
	if !l.head.Valid {
		return nil, nil
	}
	h, err := scanHead(q.queryRow(sqlHead, l.seq, l.head))
	if err != nil {
		return nil, fmt.Errorf("the largest tree head of log %s: %w", l.status.Name, err)
	}
	return &h, nil
}

func scanHead(row interface{ Scan(...any) error }) (h ctwatch.Head, err error) {
	var timestamp int64
	err = row.Scan(&h.Size, &h.Root, &timestamp, &h.Raw)
	h.Timestamp = fromMS(timestamp)
	return h, err
}

// HeadsOfSize returns the tree heads of a log with a size, oldest first: two with
// different roots prove a fork.
func (db Logs) HeadsOfSize(ctx context.Context, id ctwatch.LogID, size uint64) ([]ctwatch.Head, error) {
	n, err := count(size)
	if err != nil {
		return nil, nil // none can be kept
	}
	if err := db.SaveHeads(ctx); err != nil {
		return nil, err
	}
	var out []ctwatch.Head
	err = db.read(ctx, "reading tree heads", func(t readTx) error {
		l, err := loadLog(t, id)
		if err != nil {
			return err
		}
		rows, err := t.query(`SELECT size, root, timestamp, raw FROM heads WHERE log = ? AND size = ? ORDER BY n`, l.seq, n)
		out, err = collect(rows, err, func(r *sql.Rows) (ctwatch.Head, error) { return scanHead(r) })
		return err
	})
	return out, err
}
