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

// Record writes down what a batch found, the events that tell of it, and the
// log's position up to which, with this batch, everything is read. It does all of
// it or, with an error, nothing. Batches may come in any order, and again.
func (db *DB) Record(ctx context.Context, b ctwatch.Batch, position uint64) error {
	what := fmt.Sprintf("recording entries [%d, %d)", b.Start, b.End)
	return db.write(ctx, what, func(t *tx) error {
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
			if err := t.found(l, &b.Found[i]); err != nil {
				return fmt.Errorf("certificate %v: %w", b.Found[i].Certificate.ID, err)
			}
		}
		if _, err := t.exec(sqlMove, l.seq, at); err != nil {
			return err
		}
		if err := t.keepMalformed(l, b.Malformed); err != nil {
			return err
		}
		return t.tellMalformed(l)
	})
}

// found writes down one certificate and tells what is new about it: the
// certificate, or only this sighting of it, and its key.
func (t *tx) found(l *logRow, f *ctwatch.Found) error {
	if n := len(f.Certificate.Sightings); n != 1 {
		return fmt.Errorf("found with %d sightings instead of one", n)
	}
	c := presentableCertificate(f.Certificate, t.now)
	if t.db.rules != nil {
		c.Verdict, c.Reasons = ctwatch.Unreviewed, nil // theirs is the only one to be told
	}
	s := c.Sightings[0]
	s.Log, s.LogID, s.Verified = l.status.Name, l.status.ID, false

	seq, known, err := t.certificateSeq(c.ID)
	if err != nil {
		return err
	}
	if !known {
		if seq, err = t.insertCertificate(&c); err != nil {
			return err
		}
	}
	fresh, err := t.meet(seq, l, s, f.LeafHash)
	if err != nil {
		return err
	}
	if known {
		if c, err = t.mergeCertificate(seq, &c); err != nil {
			return err
		}
	} else {
		c.Sightings[0] = s
	}
	if err := t.keepDER(seq, f, s.Kind); err != nil {
		return err
	}

	reason := fmt.Sprintf("first seen in %s entry %d", ctwatch.Printable(s.Log, 60), s.Index)
	if _, err := t.meetKey(c.Key.Pin, pins.RoleLeaf, c.Key.Algorithm, pins.ByLog, reason); err != nil {
		return err
	}
	if _, err := t.meetKey(c.Issuer.Pin, pins.RoleIssuer, "", pins.ByLog, reason); err != nil {
		return err
	}

	if known && !fresh {
		return nil // read again, and told before
	}
	before := c.Verdict
	verdict, err := t.assess(seq, &c, !known)
	if err != nil {
		return err
	}
	if known {
		err = t.event(ctwatch.LoggedEvent(c, s, t.now))
	} else {
		err = t.event(ctwatch.IssuedEvent(c, t.now))
	}
	if err != nil {
		return err
	}
	if verdict != nil {
		if err := t.event(*verdict); err != nil {
			return err
		}
	}
	if err := t.cleared(before, &c); err != nil {
		return err
	}
	return t.candidate(&c)
}

// SetIssuer notes the issuer of a certificate, which was out of reach when the
// certificate was found. What is known of it already stays.
func (db *DB) SetIssuer(ctx context.Context, id ctwatch.Hash, issuer ctwatch.Issuer) error {
	return db.write(ctx, "noting an issuer", func(t *tx) error {
		seq, known, err := t.certificateSeq(id)
		if err != nil {
			return err
		}
		if !known {
			return fmt.Errorf("certificate %v: %w", id, ErrNotFound)
		}
		c, err := t.mergeCertificate(seq, &ctwatch.Certificate{Issuer: issuer})
		if err != nil {
			return err
		}
		if _, err = t.meetKey(c.Issuer.Pin, pins.RoleIssuer, "", pins.ByLog, "issuer of certificate "+id.String()[:16]); err != nil {
			return err
		}
		return t.assessAll([]int64{seq})
	})
}

const (
	sqlInsertSighting = `
		INSERT INTO sightings (certificate, log, entry, leaf_hash, timestamp, kind, epoch) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO NOTHING`
	sqlMeetSighting = `
		UPDATE sightings SET epoch = ?5
		WHERE certificate = ?1 AND log = ?2 AND entry = ?3 AND leaf_hash = ?4 AND epoch <> ?5`
)

// meet writes down a sighting, or that it was met again in the log's epoch. It
// reports whether it is new.
func (t *tx) meet(certificate int64, l *logRow, s ctwatch.Sighting, leaf ctwatch.Hash) (fresh bool, err error) {
	index, err := count(s.Index)
	if err != nil {
		return false, err
	}
	n, err := t.exec(sqlInsertSighting, certificate, l.seq, index, leaf[:], ms(s.Timestamp), string(s.Kind), l.epoch)
	if err != nil || n == 1 {
		return true, err
	}
	_, err = t.exec(sqlMeetSighting, certificate, l.seq, index, leaf[:], l.epoch)
	return false, err
}
