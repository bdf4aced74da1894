package store

import (
	"context"
	"fmt"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

const sqlMove = `
	UPDATE logs SET position = ?2, behind_since = CASE WHEN tree_size > ?2 THEN behind_since END
	WHERE seq = ?1`

// Record stores what a batch found, the events that report it, and the position up to
// which, with this batch, everything is read: all of it or, with an error, nothing.
// Batches may come in any order, and again.
func (db Logs) Record(ctx context.Context, b ctwatch.Batch, position uint64) error {
	what := fmt.Sprintf("recording entries [%d, %d)", b.Start, b.End)
	return db.writeFound(ctx, what, b.Found, func(t *tx) error {
		l, err := loadLog(t, b.Log)
		if err != nil {
			return err
		}
		at, err := count(position)
		if err != nil {
			return err
		}
		if position < l.status.Verified {
			return fmt.Errorf("log %s is verified up to %d: its position cannot be %d", l.status.Name, l.status.Verified, position)
		}
		for i := range b.Found {
			if err := t.recordFound(l, &b.Found[i]); err != nil {
				return fmt.Errorf("certificate %v: %w", b.Found[i].Certificate.ID, err)
			}
		}
		if _, err := t.exec(sqlMove, l.seq, at); err != nil {
			return err
		}
		if err := t.keepMalformed(l, b.Malformed); err != nil {
			return err
		}
		return t.reportMalformed(l)
	})
}

// recordFound stores one certificate and reports what is new: the certificate, or only
// this sighting of it.
func (t *tx) recordFound(l *logRow, f *ctwatch.Found) error {
	if n := len(f.Certificate.Sightings); n != 1 {
		return fmt.Errorf("found with %d sightings instead of one", n)
	}
	c := storableCertificate(f.Certificate, t.now)
	if t.db.rules != nil {
		c.Verdict, c.Reasons = ctwatch.Unreviewed, nil // the rules' verdict is the only one to report
	}
	c.Sightings[0].Log, c.Sightings[0].LogID, c.Sightings[0].Verified = l.status.Name, l.status.ID, false

	r, known, err := findRow(t, c.ID)
	switch {
	case err != nil:
		return err
	case known:
		return t.recordAgain(l, r, &c, f)
	}
	return t.recordNew(l, &certificateRow{Certificate: c, grants: list(nil)}, f)
}

// recordNew stores a certificate that was not known. What refers to it cannot be there
// yet, so nothing is looked up but its key.
func (t *tx) recordNew(l *logRow, r *certificateRow, f *ctwatch.Found) error {
	c, s := &r.Certificate, r.Sightings[0]
	if !c.Issuer.Pin.IsZero() {
		r.issuers = []pins.Pin{c.Issuer.Pin}
	}
	leaf, err := t.seenKeys(c, s)
	if err != nil {
		return err
	}
	if !leaf.inserted { // what is served has a key that is known
		if err := t.setDeployed(c); err != nil {
			return err
		}
	}
	known, err := standing(t, r, leaf)
	if err != nil {
		return err
	}
	v := t.judgeNew(r, known)
	if err := t.insertCertificate(r); err != nil {
		return err
	}
	if _, err := t.addSighting(r.seq, l, s, f); err != nil {
		return err
	}
	t.addTo(r.seq, c, logList(l.seq))
	if err := t.insertDER(r.seq, f); err != nil {
		return err
	}
	if c.Issuer.Proven {
		if err := t.keepIssuers(f.Chain); err != nil {
			return err
		}
	}
	if v.Audit {
		if err := t.recordVerdict(c, pins.Policy, byPolicy, v.why); err != nil {
			return err
		}
	}
	verdict, err := t.eventOf(r, v)
	if err != nil {
		return err
	}
	return t.report(r, ctwatch.IssuedEvent(*c, t.now), verdict)
}

// recordAgain stores another sighting of a certificate, with what is known in addition.
func (t *tx) recordAgain(l *logRow, r *certificateRow, more *ctwatch.Certificate, f *ctwatch.Found) error {
	c, s := &r.Certificate, more.Sightings[0]
	fresh, err := t.addSighting(r.seq, l, s, f)
	if err != nil {
		return err
	}
	if fresh {
		t.addTo(r.seq, c, logList(l.seq))
	}
	if err := r.load(t); err != nil {
		return err
	}
	better, err := t.mergeCertificate(r, more, f)
	if err != nil {
		return err
	}
	if (fresh || better) && c.Issuer.Proven {
		if err := t.keepIssuers(f.Chain); err != nil {
			return err
		}
	}
	leaf, err := t.seenKeys(c, s)
	if err != nil {
		return err
	}
	if !fresh { // read again, and reported before
		if better {
			return t.rejudge(r, leaf)
		}
		return nil
	}
	before := c.Verdict
	verdict, err := t.judgeByRules(r, leaf)
	if err != nil {
		return err
	}
	if err := t.report(r, ctwatch.LoggedEvent(*c, s, t.now), verdict); err != nil {
		return err
	}
	t.reportCandidates(before, c)
	return nil // its key is reported once the entry is verified
}

// seenKeys stores the keys of a certificate and its issuer, and returns what is known of
// the former.
func (t *tx) seenKeys(c *ctwatch.Certificate, s ctwatch.Sighting) (leafKey, error) {
	reason := fmt.Sprintf("first seen in %s entry %d", ctwatch.Printable(s.Log, 60), s.Index)
	leaf, err := t.addLeafKey(c.Key, reason)
	if err != nil || !c.Issuer.Proven {
		return leaf, err
	}
	return leaf, t.addIssuerKey(c.Issuer.Pin, reason)
}

// report writes the event about a sighting of a certificate, and the one about its
// verdict, if there is one.
func (t *tx) report(r *certificateRow, news ctwatch.Event, verdict *ctwatch.Event) error {
	inDigest, err := t.holdAlarm(r, verdict != nil && verdict.Type == ctwatch.CertificateUnexpected)
	if err != nil {
		return err
	}
	if news, err = addTrustedKey(t, news); err != nil {
		return err
	}
	news.Data.InDigest = inDigest
	if err := t.event(news); err != nil {
		return err
	}
	if verdict != nil {
		verdict.Data.InDigest = inDigest
		if err := t.event(*verdict); err != nil {
			return err
		}
	}
	return t.raiseProven(r)
}

const (
	sqlInsertSighting = `
		INSERT INTO sightings (certificate, log, entry, leaf_hash, timestamp, kind, epoch, issuer_pin, unsettled) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO NOTHING`
	sqlSightingAgain = `
		UPDATE sightings SET epoch = ?5, issuer_pin = coalesce(?6, issuer_pin), unsettled = min(unsettled, ?7)
		WHERE certificate = ?1 AND log = ?2 AND entry = ?3 AND leaf_hash = ?4 AND (epoch <> ?5 OR unsettled > ?7)`
)

// addSighting inserts a sighting, or updates its epoch if it was read again. It reports
// whether the sighting is new.
func (t *tx) addSighting(certificate int64, l *logRow, s ctwatch.Sighting, f *ctwatch.Found) (fresh bool, err error) {
	index, err := count(s.Index)
	if err != nil {
		return false, err
	}
	issuer := nullPin(f.Certificate.Issuer.Pin)
	t.reread = t.reread || leftOpen(f) != isSettled
	n, err := t.exec(sqlInsertSighting, certificate, l.seq, index, f.LeafHash[:], ms(s.Timestamp), string(s.Kind), l.epoch, issuer, leftOpen(f))
	if err != nil || n == 1 {
		return true, err
	}
	_, err = t.exec(sqlSightingAgain, certificate, l.seq, index, f.LeafHash[:], l.epoch, issuer, leftOpen(f))
	return false, err
}
