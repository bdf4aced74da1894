package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// What is missing for the proof of a certificate's issuer, by one of its entries.
const (
	isSettled    = 0
	isUnproven   = 1 // the log served all that it has, and that proves nothing
	isIncomplete = 2 // the log did not serve all of the chain
)

func leftOpen(f *ctwatch.Found) int {
	switch {
	case f.Incomplete:
		return isIncomplete
	case f.Unsettled():
		return isUnproven
	}
	return isSettled
}

const (
	sqlSettleSighting = `
		UPDATE sightings SET issuer_pin = coalesce(?5, issuer_pin), unsettled = ?6
		WHERE certificate = ?1 AND log = ?2 AND entry = ?3 AND leaf_hash = ?4`
	sqlUnsettled = `
		SELECT s.entry, s.leaf_hash, s.asked FROM sightings s JOIN certificates c ON c.seq = s.certificate
		WHERE s.unsettled > 0 AND s.unsettled = ?4 AND s.log = (SELECT seq FROM logs WHERE id = ?1) AND s.ask_at <= ?2
			AND (c.not_after > ?2 OR c.not_after IS NULL)
		ORDER BY s.ask_at, s.entry DESC LIMIT ?3`
	sqlAskLater = `
		UPDATE sightings SET asked = asked + 1, ask_at = ?4
		WHERE unsettled > 0 AND log = (SELECT seq FROM logs WHERE id = ?1) AND entry = ?2 AND leaf_hash = ?3`
	sqlAskNow = `UPDATE sightings SET ask_at = 0 WHERE unsettled > 0 AND unsettled = 2 AND ask_at > 0`
)

// EntriesToReread returns entries of a log that are worth reading again now, at most
// limit: those whose issuer is not proven, or whose chain the log did not serve whole.
// Those with an incomplete chain come first, so that a flood of unprovable entries does
// not delay them; then those that wait longest. Expired certificates are left out.
func (db Logs) EntriesToReread(ctx context.Context, id ctwatch.LogID, limit int) ([]ctwatch.EntryRef, error) {
	var out []ctwatch.EntryRef
	err := db.read(ctx, "looking for entries to read again", func(t readTx) error {
		for _, level := range []int{isIncomplete, isUnproven} {
			rows, err := t.query(sqlUnsettled, id[:], ms(db.now()), limit-len(out), level)
			more, err := collect(rows, err, func(r *sql.Rows) (e ctwatch.EntryRef, err error) {
				err = r.Scan(&e.Index, &e.LeafHash, &e.Asked)
				return e, err
			})
			if err != nil {
				return err
			}
			out = append(out, more...)
		}
		return nil
	})
	return out, err
}

// RereadLater records that an entry is read again now, and when to do so next. It is due
// earlier if a certificate of an issuer becomes known.
func (db Logs) RereadLater(ctx context.Context, id ctwatch.LogID, e ctwatch.EntryRef, next time.Time) error {
	return db.write(ctx, "postponing an entry to read again", func(t *tx) error {
		index, err := count(e.Index)
		if err != nil {
			return err
		}
		_, err = t.exec(sqlAskLater, id[:], index, e.LeafHash[:], ms(next))
		return err
	})
}

// AddProof records what reading a recorded entry again proved about its issuer. An entry
// with another leaf hash is not the recorded one, and changes nothing.
func (db Logs) AddProof(ctx context.Context, id ctwatch.LogID, f ctwatch.Found) error {
	if len(f.Certificate.Sightings) != 1 {
		return fmt.Errorf("recording an issuer: found with %d sightings instead of one", len(f.Certificate.Sightings))
	}
	return db.writeFound(ctx, "recording an issuer", []ctwatch.Found{f}, func(t *tx) error {
		l, err := loadLog(t, id)
		if err != nil {
			return err
		}
		seq, known, err := certificateSeq(t, f.Certificate.ID)
		if err != nil || !known {
			return err
		}
		index, err := count(f.Certificate.Sightings[0].Index)
		if err != nil {
			return err
		}
		n, err := t.exec(sqlSettleSighting, seq, l.seq, index, f.LeafHash[:], nullPin(f.Certificate.Issuer.Pin), leftOpen(&f))
		if err != nil || n == 0 {
			return err
		}
		c, better, err := t.mergeCertificate(seq, &f)
		if err != nil {
			return err
		}
		if c.Issuer.Proven {
			if err := t.keepIssuers(f.Chain); err != nil {
				return err
			}
			if _, err := t.addSeenKey(c.Issuer.Pin, pins.RoleIssuer, "", pins.ByLog, "issuer of certificate "+c.ID.String()[:16]); err != nil {
				return err
			}
		}
		if !better {
			return nil
		}
		return t.judgeAll([]int64{seq})
	})
}
