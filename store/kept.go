package store

import (
	"context"
	"fmt"
	"time"

	"ctwatch/ctwatch"
)

// What is kept of the part of a log between its two positions.
const (
	keptNothing    = 0 // it is read again after a restart
	keptTree       = 1 // it is in order as far as is known: its tree is kept
	keptUnverified = 2 // it did not verify, and is read again from time to time
)

// A keptRow is ctwatch.Kept in the columns of a log.
type keptRow struct {
	how      int
	size     int64  // keptTree: of the tree
	hashes   []byte // keptTree: its compact range
	repairAt int64  // keptUnverified
	pause    int64  // keptUnverified, milliseconds
}

func (k keptRow) kept() (out ctwatch.Kept) {
	switch k.how {
	case keptTree:
		out.Tree = ctwatch.Tree{Size: uint64(k.size), Range: hashesOf(k.hashes)}
	case keptUnverified:
		out.Unverified, out.Repair, out.Pause = true, fromMS(k.repairAt), time.Duration(k.pause)*time.Millisecond
	}
	return out
}

// hashesOf splits joined hashes.
func hashesOf(b []byte) (out []ctwatch.Hash) {
	for ; len(b) > 0; b = b[len(ctwatch.Hash{}):] {
		out = append(out, ctwatch.Hash(b))
	}
	return out
}

// Keep stores what is known of the entries read after the verified position, up to a
// position that becomes the read position. It lasts over restarts and over Rewind, until
// those entries are verified.
func (db Logs) Keep(ctx context.Context, id ctwatch.LogID, position uint64, k ctwatch.Kept) error {
	return db.write(ctx, "storing what was read", func(t *tx) error {
		l, err := loadLog(t, id)
		if err != nil {
			return err
		}
		at, err := count(position)
		switch {
		case err != nil:
			return err
		case position < l.status.Verified:
			return fmt.Errorf("log %s is verified up to %d: its position cannot be %d", l.status.Name, l.status.Verified, position)
		case !k.Unverified && k.Tree.Size != position:
			return fmt.Errorf("log %s is read up to %d, and its tree is of size %d", l.status.Name, position, k.Tree.Size)
		}
		row := keptRow{how: keptUnverified, hashes: []byte{}, repairAt: ms(k.Repair), pause: k.Pause.Milliseconds()}
		if !k.Unverified {
			row = keptRow{how: keptTree}
			if row.size, row.hashes, err = treeColumns(k.Tree); err != nil {
				return err
			}
		}
		if _, err := t.exec(sqlMove, l.seq, at); err != nil {
			return err
		}
		_, err = t.exec(`UPDATE logs SET kept = ?2, read_size = ?3, read_range = ?4, repair_at = ?5, repair_pause = ?6 WHERE seq = ?1`,
			l.seq, row.how, row.size, row.hashes, row.repairAt, row.pause)
		return err
	})
}

// Rewind starts a new epoch, in which what was read after the verified position is read
// again. What is not found again stays unverified forever. The read position goes back
// to the verified one, unless Keep stored more: to the end of a stored tree, or not at
// all if the entries are known not to verify, since all of them were read.
func (db Logs) Rewind(ctx context.Context, id ctwatch.LogID) error {
	return db.write(ctx, "going back to the verified position", func(t *tx) error { return t.rewind(id) })
}

func (t *tx) rewind(id ctwatch.LogID) error {
	l, err := loadLog(t, id)
	if err != nil {
		return err
	}
	var position int64
	switch l.kept.how {
	case keptTree:
		// The tree commits to all entries below its size in the epoch that ends: they are
		// part of the new one. Entries past it may differ when they are read again.
		position = l.kept.size
		_, err := t.exec(`UPDATE sightings SET epoch = ?2 + 1 WHERE log = ?1 AND epoch = ?2 AND entry < ?3 AND verified = 0`, l.seq, l.epoch, position)
		if err != nil {
			return err
		}
	case keptUnverified:
		if position, err = count(l.status.Position); err != nil {
			return err
		}
	default:
		if position, err = count(l.status.Verified); err != nil {
			return err
		}
	}
	_, err = t.exec(`
		UPDATE logs SET epoch = epoch + 1, position = ?2, behind_since = CASE WHEN tree_size > ?2 THEN coalesce(behind_since, ?3) END
		WHERE seq = ?1`, l.seq, position, ms(t.now))
	return err
}
