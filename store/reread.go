package store

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"time"

	"ctwatch/ctwatch"
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
	sqlNextUnsettled = `
		SELECT min(s.ask_at) FROM sightings s
		WHERE s.unsettled > 0 AND s.unsettled = ?2 AND s.log = (SELECT seq FROM logs WHERE id = ?1) AND s.ask_at > ?3`
	sqlAskLater = `
		UPDATE sightings SET asked = asked + 1, ask_at = ?4
		WHERE unsettled > 0 AND log = (SELECT seq FROM logs WHERE id = ?1) AND entry = ?2 AND leaf_hash = ?3`
	sqlAskNow = `UPDATE sightings SET ask_at = 0 WHERE unsettled > 0 AND unsettled = 2 AND ask_at > 0 AND log IN (SELECT seq FROM logs)`
)

// EntriesToReread returns entries of a log that are worth reading again now, at most
// limit: those whose issuer is not proven, or whose chain the log did not serve whole.
// Those with an incomplete chain come first, so that a flood of unprovable entries does
// not delay them; then those that wait longest. Expired certificates are left out.
func (db Logs) EntriesToReread(ctx context.Context, id ctwatch.LogID, limit int) ([]ctwatch.EntryRef, error) {
	now := db.now()
	seen, ok := db.rereads.mayBeDue(id, now)
	if !ok {
		return nil, nil
	}
	var out []ctwatch.EntryRef
	next := nextReread{looked: now}
	err := db.read(ctx, "looking for entries to read again", func(t readTx) error {
		for _, level := range []int{isIncomplete, isUnproven} {
			rows, err := t.query(sqlUnsettled, id[:], ms(now), limit-len(out), level)
			more, err := collect(rows, err, func(r *sql.Rows) (e ctwatch.EntryRef, err error) {
				err = r.Scan(&e.Index, &e.LeafHash, &e.Asked)
				return e, err
			})
			if err != nil {
				return err
			}
			out = append(out, more...)
			var at sql.NullInt64
			if err := t.queryRow(sqlNextUnsettled, id[:], level, ms(now)).Scan(&at); err != nil {
				return err
			}
			if at.Valid && (next.at.IsZero() || fromMS(at.Int64).Before(next.at)) {
				next.at = fromMS(at.Int64)
			}
		}
		return nil
	})
	if err == nil && len(out) == 0 {
		db.rereads.noneBefore(id, next, seen)
	}
	return out, err
}

// rereadLook is how long it may take until an entry is read again that another process,
// such as a command, made due.
const rereadLook = 30 * time.Second

// rereads remembers when the next entry of a log is due to be read again: followers ask at
// each poll, and mostly there is none. Its methods may be called concurrently.
type rereads struct {
	mu   sync.Mutex
	seen int // how often all was forgotten
	next map[ctwatch.LogID]nextReread
}

// A nextReread is what EntriesToReread found when it found none.
type nextReread struct {
	at     time.Time // when the next one is due; zero if there is none
	looked time.Time
}

// mayBeDue reports whether an entry may be due. seen is for noneBefore.
func (r *rereads) mayBeDue(id ctwatch.LogID, now time.Time) (seen int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, known := r.next[id]
	return r.seen, !known || now.Sub(n.looked).Abs() >= rereadLook || !n.at.IsZero() && !now.Before(n.at)
}

// noneBefore remembers when the next entry is due, unless something has changed since seen.
func (r *rereads) noneBefore(id ctwatch.LogID, next nextReread, seen int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if seen == r.seen {
		r.next[id] = next
	}
}

// forget is called after each commit that may have made an entry due.
func (r *rereads) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen++
	clear(r.next)
}

// RereadLater records that an entry is read again now, and when to do so next. It is due
// earlier if a certificate of an issuer becomes known.
func (db Logs) RereadLater(ctx context.Context, id ctwatch.LogID, e ctwatch.EntryRef, next time.Time) error {
	return db.write(ctx, "postponing an entry to read again", func(t *tx) error {
		index, err := count(e.Index)
		if err != nil {
			return err
		}
		t.reread = true
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
		r, known, err := findRow(t, f.Certificate.ID)
		if err != nil || !known {
			return err
		}
		index, err := count(f.Certificate.Sightings[0].Index)
		if err != nil {
			return err
		}
		t.reread = true
		n, err := t.exec(sqlSettleSighting, r.seq, l.seq, index, f.LeafHash[:], nullPin(f.Certificate.Issuer.Pin), leftOpen(&f))
		if err != nil || n == 0 {
			return err
		}
		if err := r.load(t); err != nil {
			return err
		}
		more := storableCertificate(f.Certificate, t.now)
		better, err := t.mergeCertificate(r, &more, &f)
		if err != nil {
			return err
		}
		if r.Issuer.Proven {
			if err := t.keepIssuers(f.Chain); err != nil {
				return err
			}
			if err := t.addIssuerKey(r.Issuer.Pin, "issuer of certificate "+r.ID.String()[:16]); err != nil {
				return err
			}
		}
		if !better {
			return nil
		}
		return t.judgeAll([]int64{r.seq})
	})
}
