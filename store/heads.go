package store

import (
	"context"
	"database/sql"
	"fmt"

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
func (db Logs) AddHead(ctx context.Context, id ctwatch.LogID, h ctwatch.Head) error {
	return db.write(ctx, "storing a tree head", func(t *tx) error { return t.acceptHead(id, h) })
}

func (t *tx) acceptHead(id ctwatch.LogID, h ctwatch.Head) error {
	l, err := loadLog(t, id)
	if err != nil {
		return err
	}
	n, err := t.insertHead(l, h)
	if err != nil {
		return err
	}
	best, err := loadHead(t, l)
	if err != nil {
		return err
	}
	if best == nil || h.Size > best.Size || h.Size == best.Size && h.Root == best.Root && h.Timestamp.After(best.Timestamp) {
		best, l.head = &h, sql.NullInt64{Int64: n, Valid: true}
	}
	size, err := count(best.Size)
	if err != nil {
		return err
	}
	if _, err := t.exec(sqlHeadSeen, l.seq, size, l.head, ms(t.now)); err != nil {
		return err
	}
	_, err = t.exec(sqlPruneHeads, l.seq, n, keptHeads, l.head)
	return err
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
