package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// Logs keeps what following logs yields: positions, tree heads, certificates, faults. It
// is a follow.Recorder.
type Logs struct{ *database }

// A logRow is a row of the table logs.
type logRow struct {
	seq int64
	// status holds the facts and positions; LagSeconds is not filled in.
	status      ctwatch.LogStatus
	started     bool
	epoch       int64
	verified    []byte // compact range
	head        sql.NullInt64
	behindSince sql.NullInt64
	fault       string
	unhealthy   string
	episode     int64
	kept        keptRow
}

const (
	logColumns = `seq, id, name, operator, kind, state, started, epoch, position, verified_size, verified_range,
		tree_size, head, behind_since, last_head_at, last_verified_at, last_error, fault, unhealthy, episode,
		kept, read_size, read_range, repair_at, repair_pause`
	sqlLog = `SELECT ` + logColumns + ` FROM logs WHERE id = ?`
)

func scanLog(row interface{ Scan(...any) error }) (*logRow, error) {
	var (
		l                  logRow
		headAt, verifiedAt sql.NullInt64
		s                  = &l.status
	)
	err := row.Scan(&l.seq, &s.ID, &s.Name, &s.Operator, &s.Kind, &s.State, &l.started, &l.epoch, &s.Position, &s.Verified, &l.verified,
		&s.TreeSize, &l.head, &l.behindSince, &headAt, &verifiedAt, &s.LastError, &l.fault, &l.unhealthy, &l.episode,
		&l.kept.how, &l.kept.size, &l.kept.hashes, &l.kept.repairAt, &l.kept.pause)
	if err != nil {
		return nil, err
	}
	s.LastHeadAt, s.LastVerifiedAt = timePtr(headAt), timePtr(verifiedAt)
	s.Healthy = l.unhealthy == "" && l.fault == "" && s.LastHeadAt != nil
	s.LagEntries = s.TreeSize - min(s.TreeSize, s.Position)
	return &l, nil
}

func loadLog(q querier, id ctwatch.LogID) (*logRow, error) {
	l, err := scanLog(q.queryRow(sqlLog, id[:]))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("log %v was never followed", id)
	}
	return l, err
}

// at returns the status at a time.
func (l *logRow) at(now time.Time) ctwatch.LogStatus {
	s := l.status
	if l.behindSince.Valid {
		s.LagSeconds = max(0, now.Sub(fromMS(l.behindSince.Int64)).Seconds())
	}
	return s
}

// statusOf reads the status of a log within a transaction.
func (t *tx) statusOf(id ctwatch.LogID) (ctwatch.LogStatus, error) {
	l, err := loadLog(t, id)
	if err != nil {
		return ctwatch.LogStatus{}, err
	}
	return l.at(t.now), nil
}

// Follow registers a log, or updates what is known about it, and returns its progress.
// What was read and not verified must be read again, as after Rewind, except what Keep
// stored.
func (db Logs) Follow(ctx context.Context, l ctwatch.Log) (ctwatch.Progress, error) {
	var p ctwatch.Progress
	if err := db.SaveHeads(ctx); err != nil {
		return p, err
	}
	err := db.write(ctx, "following log "+l.Name, func(t *tx) error {
		_, err := t.exec(`
			INSERT INTO logs (id, name, operator, kind, state, url, submission_url, key) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET name = excluded.name, operator = excluded.operator, kind = excluded.kind,
				state = excluded.state, url = excluded.url, submission_url = excluded.submission_url, key = excluded.key`,
			l.ID[:], text(l.Name), text(l.Operator), string(l.Kind), text(l.State), text(l.URL), text(l.SubmissionURL), blob(l.Key))
		if err != nil {
			return err
		}
		if err := t.rewind(l.ID); err != nil {
			return err
		}
		p, err = progress(t, l.ID)
		return err
	})
	return p, err
}

func progress(q querier, id ctwatch.LogID) (ctwatch.Progress, error) {
	l, err := loadLog(q, id)
	if err != nil {
		return ctwatch.Progress{}, err
	}
	p := ctwatch.Progress{
		Position:  l.status.Position,
		Verified:  ctwatch.Tree{Size: l.status.Verified},
		Fault:     l.fault,
		Unhealthy: l.unhealthy,
		Started:   l.started,
	}
	p.Verified.Range = hashesOf(l.verified)
	p.Kept = l.kept.kept()
	p.Head, err = loadHead(q, l)
	return p, err
}

// Start sets a log's starting point, once: everything before it counts as read and
// verified. A gap other than "" is the reason why earlier entries are not read; an event
// reports it.
func (db Logs) Start(ctx context.Context, id ctwatch.LogID, at ctwatch.Tree, head ctwatch.Head, gap string) error {
	return db.write(ctx, "choosing where to start", func(t *tx) error {
		l, err := loadLog(t, id)
		if err != nil {
			return err
		}
		size, hashes, err := treeColumns(at)
		switch {
		case err != nil:
			return err
		case l.started:
			return fmt.Errorf("log %s was started before, and is read up to %d", l.status.Name, l.status.Position)
		case at.Size > head.Size:
			return fmt.Errorf("log %s cannot be started at %d, past its tree head of size %d", l.status.Name, at.Size, head.Size)
		}
		_, err = t.exec(`UPDATE logs SET started = 1, position = ?2, verified_size = ?2, verified_range = ?3 WHERE seq = ?1`, l.seq, size, hashes)
		if err != nil {
			return err
		}
		if _, err := t.acceptHead(seenHead{id, head, t.now}); err != nil {
			return err
		}
		if gap == "" || at.Size == 0 {
			return nil
		}
		status, err := t.statusOf(id)
		if err != nil {
			return err
		}
		return t.event(ctwatch.GapEvent(status, 0, at.Size, gap, t.now))
	})
}

const (
	// What is kept of the part that is not verified ends with it.
	sqlAdvance = `
		UPDATE logs SET verified_size = ?2, verified_range = ?3, last_verified_at = ?4,
			kept = CASE WHEN kept = 1 AND ?2 < read_size OR kept = 2 AND ?2 < position THEN kept ELSE 0 END
		WHERE seq = ?1`
	// Certificates of which no entry was proven to be in a tree before.
	sqlNewlyVerified = `
		SELECT s.certificate FROM sightings s WHERE s.log = ? AND s.epoch = ? AND s.entry < ? AND s.verified = 0
			AND NOT EXISTS (SELECT 1 FROM sightings o WHERE o.certificate = s.certificate AND o.verified = 1)`
	sqlVerify = `UPDATE sightings SET verified = 1 WHERE log = ? AND epoch = ? AND entry < ? AND verified = 0`
)

// Advance moves the verified position to the size of a tree that a tree head proved. All
// sightings below it since the last Follow or Rewind are verified then. Many are verified
// in several transactions, so that other logs do not wait, and the position moves with
// the last: what is verified before is, whatever happens then.
func (db Logs) Advance(ctx context.Context, id ctwatch.LogID, tree ctwatch.Tree, head ctwatch.Head) error {
	for done := false; !done; {
		err := db.write(ctx, "moving the verified position", func(t *tx) (err error) {
			done, err = t.advance(id, tree, head, db.advanceStep)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// advanceStep is how many sightings are verified in one transaction.
const advanceStep = 2000

// sqlNthUnverified selects the entry of the unverified sighting after so many.
const sqlNthUnverified = `SELECT entry FROM sightings WHERE log = ? AND epoch = ? AND entry < ? AND verified = 0 ORDER BY entry LIMIT 1 OFFSET ?`

// advance verifies about step sightings, and moves the position if these are all.
func (t *tx) advance(id ctwatch.LogID, tree ctwatch.Tree, head ctwatch.Head, step int64) (done bool, err error) {
	l, err := loadLog(t, id)
	if err != nil {
		return false, err
	}
	size, hashes, err := treeColumns(tree)
	switch {
	case err != nil:
		return false, err
	case tree.Size < l.status.Verified || tree.Size > l.status.Position:
		return false, fmt.Errorf("log %s is verified up to %d and read up to %d: cannot advance to %d", l.status.Name, l.status.Verified, l.status.Position, tree.Size)
	}
	if _, err := t.insertHead(l, head); err != nil {
		return false, err
	}
	upTo := size
	if err := orNone(t.queryRow(sqlNthUnverified, l.seq, l.epoch, size, step).Scan(&upTo)); err != nil {
		return false, err
	}
	if upTo < size {
		upTo++ // that one, too: all could be of one entry
	}
	if done = upTo == size; done {
		if _, err := t.exec(sqlAdvance, l.seq, size, hashes, ms(t.now)); err != nil {
			return false, err
		}
	}
	proven, err := columns[int64](t.query(sqlNewlyVerified, l.seq, l.epoch, upTo))
	if err != nil {
		return false, err
	}
	held, err := columns[int64](t.query(sqlHeldVerified, l.seq, l.epoch, upTo))
	if err != nil {
		return false, err
	}
	if _, err = t.exec(sqlVerify, l.seq, l.epoch, upTo); err != nil {
		return false, err
	}
	if err := t.raiseAllProven(held); err != nil {
		return false, err
	}
	return done, t.applyProven(proven)
}

// applyProven does what waits for a proof that an entry with a certificate is in its
// log's tree: grants by rules take effect, and a new key is reported. A log, or anyone
// between it and us, can serve an entry that the log never signed.
func (t *tx) applyProven(certificates []int64) error {
	synced := make(map[pins.Pin]bool)
	slices.Sort(certificates)
	for _, seq := range slices.Compact(certificates) {
		r, err := loadRow(t, seq)
		if err != nil {
			return err
		}
		leaf, err := leafKeyOf(t, r.Key.Pin)
		if err != nil {
			return err
		}
		if err := t.grantProven(r, &leaf, synced); err != nil {
			return err
		}
		if err := t.candidate(&r.Certificate, leaf); err != nil {
			return err
		}
	}
	return nil
}

// SetError records why the last try to follow a log failed; "" means that it succeeded.
func (db Logs) SetError(ctx context.Context, id ctwatch.LogID, msg string) error {
	const what = "recording a log's error"
	msg = ctwatch.Printable(msg, 1000)
	var l *logRow
	err := db.read(ctx, what, func(t readTx) (err error) {
		l, err = loadLog(t, id)
		return err
	})
	if err != nil || l.status.LastError == msg {
		return err // usually there is nothing to write
	}
	return db.write(ctx, what, func(t *tx) error {
		_, err := t.exec(`UPDATE logs SET last_error = ? WHERE seq = ?`, msg, l.seq)
		return err
	})
}

// List returns the status of every log that was ever followed, by name. Only this process
// knows of the tree heads that SaveHeads has not stored yet.
func (db Logs) List(ctx context.Context) ([]ctwatch.LogStatus, error) {
	now := db.now()
	return readAll(ctx, db.database, "reading the logs", func(r *sql.Rows) (ctwatch.LogStatus, error) {
		l, err := scanLog(r)
		if err != nil {
			return ctwatch.LogStatus{}, err
		}
		s := l.at(now)
		if at, ok := db.heads.lastSeen(s.ID); ok {
			s.LastHeadAt = &at
		}
		return s, nil
	}, `SELECT `+logColumns+` FROM logs ORDER BY name, id`)
}

// treeColumns converts a tree for the database.
func treeColumns(t ctwatch.Tree) (size int64, hashes []byte, err error) {
	if len(t.Range) != bits.OnesCount64(t.Size) {
		return 0, nil, fmt.Errorf("%d hashes are not the compact range of a tree of size %d", len(t.Range), t.Size)
	}
	hashes = []byte{}
	for _, h := range t.Range {
		hashes = append(hashes, h[:]...)
	}
	size, err = count(t.Size)
	return size, hashes, err
}
