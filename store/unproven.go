package store

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
	"time"

	"ctwatch/ctwatch"
)

// digestDomains is the most watched domains that a digest names.
const digestDomains = 100

const (
	// The log that serves the unproven entry.
	sqlSuspectLog = `SELECT log FROM sightings WHERE certificate = ? ORDER BY verified, log, entry LIMIT 1`
	sqlAlone      = `SELECT count(*) FROM unproven WHERE log = ? AND state = 'alone' AND at > ?`
	sqlHold       = `
		INSERT INTO unproven (certificate, log, at, state) VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT DO UPDATE SET at = excluded.at, state = excluded.state`
	sqlCountHeld = `INSERT INTO digests (log, held) VALUES (?, 1) ON CONFLICT DO UPDATE SET held = held + 1`
	sqlProven    = `DELETE FROM unproven WHERE certificate = ? RETURNING at`

	// Whether another issuer's entry with the same TBSCertificate is in its log's tree.
	sqlConflictInTree = `SELECT EXISTS (SELECT 1 FROM sightings WHERE certificate = ?1 AND verified = 1 AND issuer_pin <> ?2)`
	// The unproven certificates of which an entry of a log is about to be verified.
	sqlHeldVerified = `
		SELECT s.certificate FROM sightings s JOIN unproven u ON u.certificate = s.certificate
		WHERE s.log = ? AND s.epoch = ? AND s.entry < ? AND s.verified = 0`

	sqlDigestsDue = `
		SELECT l.id FROM logs l LEFT JOIN digests d ON d.log = l.seq
		WHERE (SELECT min(u.at) FROM unproven u WHERE u.log = l.seq AND u.state = 'held') <= ?1 AND (d.at IS NULL OR d.at <= ?2)
		ORDER BY l.seq`
	sqlDigest = `
		SELECT count(*), min(c.first_seen), max(c.first_seen)
		FROM unproven u JOIN certificates c ON c.seq = u.certificate WHERE u.log = ? AND u.state = 'held' AND c.verdict = 'unexpected'`
	sqlDigestDomains = `
		SELECT m.domain FROM unproven u JOIN certificates c ON c.seq = u.certificate JOIN matches m ON m.certificate = u.certificate
		WHERE u.log = ? AND u.state = 'held' AND c.verdict = 'unexpected' GROUP BY m.domain ORDER BY count(DISTINCT u.certificate) DESC, m.domain`
	sqlDigested  = `UPDATE unproven SET state = 'digest' WHERE log = ? AND state = 'held'`
	sqlNthDigest = `
		INSERT INTO digests (log, n, at) VALUES (?1, 1, ?2) ON CONFLICT DO UPDATE SET n = n + 1, at = excluded.at RETURNING n`
)

// holdAlarm decides how an event about a certificate is sent, and reports whether only
// in a digest. A cheap alarm takes one of the places of its log (ctwatch.NextAlarm);
// what is not an alarm goes the way of the last alarm.
func (t *tx) holdAlarm(r *certificateRow, alarm bool) (inDigest bool, err error) {
	if !alarm || r.alarm == ctwatch.AlarmAlone {
		return r.alarm.InDigest(), nil
	}
	cheap, _, err := t.isCheap(r)
	if err != nil {
		return false, err
	}
	var log int64
	var alone int
	if cheap {
		if err := t.queryRow(sqlSuspectLog, r.seq).Scan(&log); err != nil {
			return false, err
		}
		if err := t.queryRow(sqlAlone, log, ms(t.now.Add(-ctwatch.AloneEvery))).Scan(&alone); err != nil {
			return false, err
		}
	}
	before := r.alarm
	r.alarm = ctwatch.NextAlarm(cheap, alone)
	switch {
	case r.alarm != ctwatch.AlarmNone:
		_, err = t.exec(sqlHold, r.seq, log, ms(t.now), string(r.alarm))
	case before != ctwatch.AlarmNone:
		_, err = t.exec(`DELETE FROM unproven WHERE certificate = ?`, r.seq)
	}
	if err == nil && r.alarm == ctwatch.AlarmHeld {
		_, err = t.exec(sqlCountHeld, log)
	}
	return r.alarm.InDigest(), err
}

// isCheap reports whether an alarm about a certificate is cheap to cause, and returns
// the rules' judgment. To name a second issuer is cheap for any certificate: the entry
// that does so has to be proven.
func (t *tx) isCheap(r *certificateRow) (bool, ctwatch.Judgment, error) {
	var j ctwatch.Judgment
	proven, err := r.inTree(t)
	if err != nil {
		return false, j, err
	}
	if t.db.rules == nil {
		return !proven && !r.Issuer.Proven, j, nil
	}
	leaf, err := leafKeyOf(t, r.Key.Pin)
	if err != nil {
		return false, j, err
	}
	known, err := standing(t, r, leaf)
	if err != nil {
		return false, j, err
	}
	j = t.judge(&r.Certificate, known)
	if ctwatch.OnlyConflict(&r.Certificate, known, t.db.rules) {
		err := t.queryRow(sqlConflictInTree, r.seq, r.Issuer.Pin[:]).Scan(&proven)
		return !proven, j, err
	}
	return !proven && !j.IssuerKnown, j, nil
}

// raiseProven records that a certificate is proven now, if it is, and raises the alarm
// about it if that was only in a digest, or waits for one.
func (t *tx) raiseProven(r *certificateRow) error {
	if r.alarm == ctwatch.AlarmNone {
		return nil
	}
	cheap, j, err := t.isCheap(r)
	if err != nil || cheap {
		return err
	}
	var at int64
	state := r.alarm
	r.alarm = ctwatch.AlarmNone
	if err := t.queryRow(sqlProven, r.seq).Scan(&at); err != nil {
		return err
	}
	if !ctwatch.RaiseProven(state, r.Verdict, r.past) {
		return nil
	}
	e := ctwatch.UnexpectedEvent(r.Certificate, whyOf(&r.Certificate, j), t.now)
	e.Data.ReportTo, e.Data.AfterDigest = j.ReportTo, true
	e.ID = ctwatch.NewEventID(e.Type, e.ID, "proven", strconv.FormatInt(at, 10))
	if e, err = addTrustedKey(t, e); err != nil {
		return err
	}
	return t.event(e)
}

// raiseAllProven is raiseProven for several certificates.
func (t *tx) raiseAllProven(seqs []int64) error {
	for _, seq := range seqs {
		r, err := loadRow(t, seq)
		if err != nil {
			return err
		}
		if err := t.raiseProven(r); err != nil {
			return err
		}
	}
	return nil
}

// AddDigests writes the digests that are due of alarms about unproven certificates: one
// for each log.
func (db Outbox) AddDigests(ctx context.Context) error {
	const what = "writing digests of unproven entries"
	due := func(q querier, now time.Time) ([]ctwatch.LogID, error) {
		rows, err := q.query(sqlDigestsDue, ms(now.Add(-ctwatch.DigestAfter)), ms(now.Add(-ctwatch.DigestEvery)))
		return columns[ctwatch.LogID](rows, err)
	}
	none := false
	err := db.read(ctx, what, func(t readTx) error {
		logs, err := due(t, db.now())
		none = len(logs) == 0
		return err
	})
	if err != nil || none {
		return err
	}
	return db.write(ctx, what, func(t *tx) error {
		logs, err := due(t, t.now)
		if err != nil {
			return err
		}
		for _, id := range logs {
			if err := t.addDigest(id); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *tx) addDigest(id ctwatch.LogID) error {
	l, err := loadLog(t, id)
	if err != nil {
		return err
	}
	var u ctwatch.Unproven
	var first, last sql.NullInt64
	if err := t.queryRow(sqlDigest, l.seq).Scan(&u.Count, &first, &last); err != nil {
		return err
	}
	rows, err := t.query(sqlDigestDomains, l.seq)
	if u.Domains, err = columns[string](rows, err); err != nil {
		return err
	}
	u.MoreDomains = max(0, len(u.Domains)-digestDomains)
	u.Domains = slices.Clip(u.Domains[:len(u.Domains)-u.MoreDomains])
	if _, err := t.exec(sqlDigested, l.seq); err != nil || u.Count == 0 {
		return err // none of them may be unexpected any more
	}
	u.First, u.Last = fromMS(first.Int64), fromMS(last.Int64)
	var n int64
	if err := t.queryRow(sqlNthDigest, l.seq, ms(t.now)).Scan(&n); err != nil {
		return err
	}
	status, err := t.statusOf(id)
	if err != nil {
		return err
	}
	return t.event(ctwatch.UnprovenEvent(status, u, n, t.now))
}

// HeldAlarms returns how many alarms of each log were ever held for a digest.
func (db Logs) HeldAlarms(ctx context.Context) (map[ctwatch.LogID]int64, error) {
	out := make(map[ctwatch.LogID]int64)
	err := db.read(ctx, "counting the alarms in digests", func(t readTx) error {
		rows, err := t.query(`SELECT l.id, d.held FROM digests d JOIN logs l ON l.seq = d.log`)
		_, err = collect(rows, err, func(r *sql.Rows) (id ctwatch.LogID, err error) {
			var n int64
			err = r.Scan(&id, &n)
			out[id] = n
			return id, err
		})
		return err
	})
	return out, err
}
