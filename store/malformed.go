package store

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"ctwatch/ctwatch"
)

const (
	// malformedEvery is how often malformed entries of one log are reported for one
	// reason: a CA that encodes something badly does so in every certificate.
	malformedEvery = time.Hour
	// eventIndexes is the most entries that one entry.malformed event lists. As many for
	// each log and reason have a row until the next event; more are only counted.
	eventIndexes = 1000
	// maxReasons is how many reasons of one log are distinguished. A misbehaving log can
	// cause any number.
	maxReasons = 20
	// otherReasons is the reason of all others.
	otherReasons = "various reasons, too many to list"
)

const (
	sqlInsertMalformed = `
		INSERT INTO malformed (log, entry, leaf_hash, reason, seen_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO NOTHING`
	sqlIsMalformed  = `SELECT EXISTS (SELECT 1 FROM malformed WHERE log = ? AND entry = ? AND leaf_hash = ?)`
	sqlReason       = `SELECT untold FROM malformed_reasons WHERE log = ? AND reason = ?`
	sqlReasons      = `SELECT count(*) FROM malformed_reasons WHERE log = ?`
	sqlInsertReason = `INSERT INTO malformed_reasons (log, reason) VALUES (?, ?) ON CONFLICT DO NOTHING`
	sqlCountUntold  = `UPDATE malformed_reasons SET untold = untold + 1 WHERE log = ? AND reason = ?`
	sqlCountMore    = `UPDATE malformed_reasons SET more = more + 1 WHERE log = ? AND reason = ?`
	sqlIsUntold     = `
		SELECT EXISTS (SELECT 1 FROM malformed_reasons WHERE log = ? AND untold > 0 AND (told_at IS NULL OR told_at <= ?))`
	sqlUntoldReasons = `
		SELECT reason, more FROM malformed_reasons
		WHERE log = ?1 AND untold > 0 AND (told_at IS NULL OR told_at <= ?2)
		ORDER BY (SELECT min(entry) FROM malformed m WHERE m.log = ?1 AND m.reason = malformed_reasons.reason AND m.told_at IS NULL)`
	sqlUntold = `
		SELECT DISTINCT entry FROM malformed WHERE log = ? AND reason = ? AND told_at IS NULL ORDER BY entry`
	// Those reported before are only needed to recognize entries that are read again.
	sqlForgetTold = `DELETE FROM malformed WHERE log = ? AND reason = ? AND told_at IS NOT NULL`
	sqlTold       = `UPDATE malformed SET told_at = ?3 WHERE log = ?1 AND reason = ?2 AND told_at IS NULL`
	sqlToldReason = `UPDATE malformed_reasons SET told_at = ?3, untold = 0, more = 0 WHERE log = ?1 AND reason = ?2`
)

// keepMalformed inserts entries that cannot be parsed, up to the bounds.
func (t *tx) keepMalformed(l *logRow, entries []ctwatch.Malformed) error {
	for _, m := range entries {
		if err := t.keepMalformedEntry(l, m); err != nil {
			return fmt.Errorf("malformed entry %d: %w", m.Index, err)
		}
	}
	return nil
}

func (t *tx) keepMalformedEntry(l *logRow, m ctwatch.Malformed) error {
	index, err := count(m.Index)
	if err != nil {
		return err
	}
	var known bool
	if err := t.queryRow(sqlIsMalformed, l.seq, index, m.LeafHash[:]).Scan(&known); err != nil || known {
		return err
	}
	reason := text(m.Reason)
	untold := 0
	err = t.queryRow(sqlReason, l.seq, reason).Scan(&untold)
	if errors.Is(err, sql.ErrNoRows) {
		n := 0
		if err := t.queryRow(sqlReasons, l.seq).Scan(&n); err != nil {
			return err
		}
		if n >= maxReasons {
			reason = otherReasons
		}
		if _, err := t.exec(sqlInsertReason, l.seq, reason); err != nil {
			return err
		}
		err = t.queryRow(sqlReason, l.seq, reason).Scan(&untold)
	}
	if err != nil {
		return err
	}
	if untold >= eventIndexes {
		_, err := t.exec(sqlCountMore, l.seq, reason)
		return err
	}
	if _, err := t.exec(sqlInsertMalformed, l.seq, index, m.LeafHash[:], reason, ms(t.now)); err != nil {
		return err
	}
	_, err = t.exec(sqlCountUntold, l.seq, reason)
	return err
}

// reportMalformed reports the malformed entries that were not reported yet, grouped by
// reason: at once for a new reason, else after malformedEvery.
func (t *tx) reportMalformed(l *logRow) error {
	type cause struct {
		reason string
		more   uint64
	}
	var due bool // mostly not, and this statement is prepared
	before := ms(t.now.Add(-malformedEvery))
	if err := t.queryRow(sqlIsUntold, l.seq, before).Scan(&due); err != nil || !due {
		return err
	}
	rows, err := t.query(sqlUntoldReasons, l.seq, before)
	causes, err := collect(rows, err, func(r *sql.Rows) (c cause, err error) {
		err = r.Scan(&c.reason, &c.more)
		return c, err
	})
	if err != nil {
		return err
	}
	for _, c := range causes {
		if err := t.reportReason(l, c.reason, c.more); err != nil {
			return err
		}
	}
	return nil
}

// reportReason reports all pending malformed entries of one reason. more of them have no
// row.
func (t *tx) reportReason(l *logRow, reason string, more uint64) error {
	status, err := t.statusOf(l.status.ID)
	if err != nil {
		return err
	}
	indexes, err := columns[uint64](t.query(sqlUntold, l.seq, reason))
	if err != nil || len(indexes) == 0 {
		return err
	}
	e := ctwatch.MalformedEvent(status, indexes, reason, t.now)
	if more > 0 {
		e = ctwatch.WithMoreEntries(e, more)
	}
	if err := t.event(e); err != nil {
		return err
	}
	if _, err := t.exec(sqlForgetTold, l.seq, reason); err != nil {
		return err
	}
	if _, err := t.exec(sqlTold, l.seq, reason, ms(t.now)); err != nil {
		return err
	}
	_, err = t.exec(sqlToldReason, l.seq, reason, ms(t.now))
	return err
}
