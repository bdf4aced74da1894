package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ctwatch/ctwatch"
)

// keptEvidence bounds the evidence kept of one log and cause. The first pieces prove as
// much as the last, and a log must not fill the disk.
const keptEvidence = 1000

// AddFault stores the evidence of a log's misbehavior and reports it in an event, unless
// a fault with the same cause was reported since ClearFaults.
func (db Logs) AddFault(ctx context.Context, id ctwatch.LogID, f ctwatch.Fault) error {
	return db.write(ctx, "recording a log's fault", func(t *tx) error {
		l, err := loadLog(t, id)
		if err != nil {
			return err
		}
		f.Detail = text(f.Detail)
		f.Evidence = storableEvidence(f.Evidence)
		status := l.at(t.now)
		status.Healthy = false
		event := ctwatch.MisbehavedEvent(status, f, t.now)

		reported := strings.Fields(l.fault)
		isNew := !slices.Contains(reported, f.Cause)
		before, err := t.keepEvidence(l, event.ID, f, isNew)
		if err != nil || !isNew {
			return err
		}
		if before > 0 {
			// The same again, after it ended: it is reported under an ID of its own.
			event.ID = ctwatch.NewEventID(event.Type, event.ID, strconv.FormatInt(before, 10))
		}
		if _, err := t.exec(`UPDATE logs SET fault = ? WHERE seq = ?`, strings.Join(append(reported, f.Cause), " "), l.seq); err != nil {
			return err
		}
		return t.event(event)
	})
}

// keepEvidence stores evidence under a hash of it, and returns how often it was reported
// before.
func (t *tx) keepEvidence(l *logRow, hash string, f ctwatch.Fault, isNew bool) (before int64, err error) {
	reported := 0
	if isNew {
		reported = 1
	}
	err = t.queryRow(`UPDATE evidence SET told = told + ? WHERE id = ? RETURNING told`, reported, hash).Scan(&before)
	if !errors.Is(err, sql.ErrNoRows) {
		return before - int64(reported), err
	}
	evidence, err := json.Marshal(f.Evidence)
	if err != nil {
		return 0, fmt.Errorf("evidence of %s: %w", f.Cause, err)
	}
	_, err = t.exec(`
		INSERT INTO evidence (id, log, cause, detail, evidence, first_seen, told)
		SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE (SELECT count(*) FROM evidence WHERE log = ?2 AND cause = ?3) < ?8`,
		hash, l.seq, f.Cause, f.Detail, string(evidence), ms(t.now), reported, keptEvidence)
	return 0, err
}

// storableEvidence returns evidence with times that JSON can express. The heads keep
// what was signed.
func storableEvidence(e ctwatch.Evidence) ctwatch.Evidence {
	e.Heads = slices.Clone(e.Heads)
	for i := range e.Heads {
		if at := &e.Heads[i].Timestamp; !at.IsZero() {
			*at = stored(*at)
		}
	}
	return e
}

// ClearFaults ends a log's misbehavior: if it comes again, it is reported again.
func (db Logs) ClearFaults(ctx context.Context, id ctwatch.LogID) error {
	const what = "clearing a log's faults"
	var l *logRow
	err := db.read(ctx, what, func(t readTx) (err error) {
		l, err = loadLog(t, id)
		return err
	})
	if err != nil || l.fault == "" {
		return err // usually there is nothing to write
	}
	return db.write(ctx, what, func(t *tx) error {
		_, err := t.exec(`UPDATE logs SET fault = '' WHERE seq = ?`, l.seq)
		return err
	})
}

// SetUnhealthy records that a log cannot be followed properly, and why. An event reports
// it if the log was healthy before.
func (db Logs) SetUnhealthy(ctx context.Context, id ctwatch.LogID, reason string) error {
	reason = ctwatch.Printable(reason, 1000)
	return db.write(ctx, "marking a log as unhealthy", func(t *tx) error {
		l, err := loadLog(t, id)
		if err != nil {
			return err
		}
		began := l.unhealthy == ""
		if began {
			l.episode++
		}
		if _, err := t.exec(`UPDATE logs SET unhealthy = ?, episode = ? WHERE seq = ?`, reason, l.episode, l.seq); err != nil {
			return err
		}
		if !began {
			return nil
		}
		status := l.at(t.now)
		status.Healthy = false
		return t.event(ctwatch.UnhealthyEvent(status, reason, l.episode, t.now))
	})
}

// SetHealthy records that a log is healthy. An event reports it if it was not.
func (db Logs) SetHealthy(ctx context.Context, id ctwatch.LogID) error {
	return db.write(ctx, "marking a log as healthy", func(t *tx) error {
		l, err := loadLog(t, id)
		if err != nil || l.unhealthy == "" {
			return err
		}
		if _, err := t.exec(`UPDATE logs SET unhealthy = '' WHERE seq = ?`, l.seq); err != nil {
			return err
		}
		status, err := t.statusOf(id)
		if err != nil {
			return err
		}
		return t.event(ctwatch.RecoveredEvent(status, l.episode, t.now))
	})
}

// Unfollow records that a log is no longer followed, and why. An event reports entries
// that were not read as a gap.
func (db Logs) Unfollow(ctx context.Context, id ctwatch.LogID, why string) error {
	return db.write(ctx, "unfollowing a log", func(t *tx) error {
		l, err := loadLog(t, id)
		if err != nil {
			return err
		}
		s := l.at(t.now)
		if !l.started || s.Position >= s.TreeSize {
			return nil
		}
		return t.event(ctwatch.GapEvent(s, s.Position, s.TreeSize, fmt.Sprintf("the log is no longer followed: %s", why), t.now))
	})
}
