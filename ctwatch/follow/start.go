package follow

import (
	"context"
	"fmt"
	"sort"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
)

// gapReason says why entries before the start are not read.
const gapReason = "the log is new here and too long to read from its beginning"

// begin chooses the starting point in a log, by its first tree head.
func (f *Follower) begin(ctx context.Context, head ctwatch.Head) error {
	at, gap, err := f.startAt(ctx, head)
	if err != nil {
		return fmt.Errorf("choosing where to start: %w", err)
	}
	t, err := f.log.Prefix(ctx, at, head)
	if err != nil {
		return fmt.Errorf("choosing where to start: %w", err)
	}
	if err := f.Recorder.Start(ctx, f.id, t, head, gap); err != nil {
		return record(err)
	}
	f.started, f.position, f.verified, f.tree, f.intact = true, at, t, t, true
	f.Logger.Info("log is followed", "log", f.name, "from", at, "tree_size", head.Size)
	return nil
}

// startAt returns the first entry to read, and, where it leaves a gap, why.
func (f *Follower) startAt(ctx context.Context, head ctwatch.Head) (at uint64, gap string, err error) {
	switch s := f.Start; {
	case s.Beginning && f.Limit > 0 && head.Size > f.Limit:
		return head.Size, gapReason, nil
	case s.Beginning:
		return 0, "", nil
	case s.Back > 0:
		at, err = f.search(ctx, head, f.Now().Add(-s.Back))
		return at, "", err
	}
	return head.Size, "", nil
}

// search returns the index of the first entry logged at or after t, give or take
// the log's merge delay: entries are ordered by time only roughly, so the search
// aims at a time earlier by that.
func (f *Follower) search(ctx context.Context, head ctwatch.Head, t time.Time) (uint64, error) {
	t = t.Add(-f.log.Info().MMD)
	var err error
	i := sort.Search(int(head.Size), func(i int) bool {
		if err != nil {
			return true
		}
		var at time.Time
		at, err = f.timestamp(ctx, uint64(i), head.Size)
		return !at.Before(t)
	})
	if err != nil {
		return 0, fmt.Errorf("looking for the entries of %s: %w", t.Format(time.RFC3339), err)
	}
	return uint64(i), nil
}

// timestamp returns when an entry was logged. One that cannot be read gives the
// zero time, and the search goes to later ones.
func (f *Follower) timestamp(ctx context.Context, i, size uint64) (time.Time, error) {
	c, err := f.log.Fetch(ctx, i, i+1, size)
	if err != nil {
		return time.Time{}, err
	}
	defer c.Close()
	c.Lenient = true // only its time counts
	var e ctlog.Entry
	if !c.Next(&e) {
		return time.Time{}, c.Err()
	}
	return e.Timestamp, nil
}
