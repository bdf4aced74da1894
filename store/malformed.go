package store

import (
	"database/sql"
	"fmt"
	"time"

	"ctwatch/ctwatch"
)

const (
	// malformedEvery is how often malformed entries of one log are told of for one
	// reason: a CA that encodes something badly does so in every certificate.
	malformedEvery = time.Hour
	// eventIndexes is the most entries that one entry.malformed event lists.
	eventIndexes = 1000
)

const (
	sqlInsertMalformed = `
		INSERT INTO malformed (log, entry, leaf_hash, reason, seen_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO NOTHING`
	sqlUntoldReasons = `
		SELECT u.reason, min(u.entry), (SELECT max(m.told_at) FROM malformed m WHERE m.log = u.log AND m.reason = u.reason)
		FROM malformed u WHERE u.log = ? AND u.told_at IS NULL GROUP BY u.reason ORDER BY 2`
	sqlUntold = `
		SELECT DISTINCT entry FROM malformed WHERE log = ? AND reason = ? AND told_at IS NULL ORDER BY entry LIMIT ?`
	sqlTold = `
		UPDATE malformed SET told_at = ?4 WHERE log = ?1 AND reason = ?2 AND told_at IS NULL AND entry <= ?3`
)

// keepMalformed writes down entries that cannot be parsed.
func (t *tx) keepMalformed(l *logRow, entries []ctwatch.Malformed) error {
	for _, m := range entries {
		index, err := count(m.Index)
		if err != nil {
			return err
		}
		if _, err := t.exec(sqlInsertMalformed, l.seq, index, m.LeafHash[:], text(m.Reason), ms(t.now)); err != nil {
			return fmt.Errorf("malformed entry %d: %w", m.Index, err)
		}
	}
	return nil
}

// tellMalformed tells of the malformed entries that were not told of yet, those of
// one reason together: at once for a new reason, else when it is time again.
func (t *tx) tellMalformed(l *logRow) error {
	type cause struct {
		reason string
		first  int64
		told   sql.NullInt64
	}
	rows, err := t.query(sqlUntoldReasons, l.seq)
	causes, err := collect(rows, err, func(r *sql.Rows) (c cause, err error) {
		err = r.Scan(&c.reason, &c.first, &c.told)
		return c, err
	})
	if err != nil {
		return err
	}
	for _, c := range causes {
		if c.told.Valid && t.now.Sub(fromMS(c.told.Int64)) < malformedEvery {
			continue
		}
		if err := t.tellReason(l, c.reason); err != nil {
			return err
		}
	}
	return nil
}

// tellReason tells of all untold malformed entries of one reason, in as many events
// as it takes.
func (t *tx) tellReason(l *logRow, reason string) error {
	status, err := t.statusOf(l.status.ID)
	if err != nil {
		return err
	}
	for {
		rows, err := t.query(sqlUntold, l.seq, reason, eventIndexes)
		indexes, err := collect(rows, err, func(r *sql.Rows) (i uint64, err error) {
			err = r.Scan(&i)
			return i, err
		})
		if err != nil || len(indexes) == 0 {
			return err
		}
		if err := t.event(ctwatch.MalformedEvent(status, indexes, reason, t.now)); err != nil {
			return err
		}
		if _, err := t.exec(sqlTold, l.seq, reason, int64(indexes[len(indexes)-1]), ms(t.now)); err != nil {
			return err
		}
	}
}
