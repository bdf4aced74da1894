package follow

import (
	"context"
	"fmt"
	"sort"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
)

// A Start says where to begin in a log that was never read before. The zero Start
// begins at the log's first entry.
type Start struct {
	// Now begins at the current tree head.
	Now bool
	// Back begins where the log's timestamps are as old as this; 0 does not.
	Back time.Duration
	// Gap, where it is not "", says why what lies before the beginning is not
	// read although someone may count on it: it is told as an event.
	Gap string
	// Max, where it is not 0, is the most entries that are read from the
	// beginning; of a longer log what is before the tree head is skipped, for
	// the reason Gap.
	Max uint64
}

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
	if err := f.Recorder.Begin(ctx, f.id, t, head, gap); err != nil {
		return record(err)
	}
	f.started, f.position, f.verified, f.tree, f.intact = true, at, t, t, true
	f.Logger.Info("log is followed", "log", f.name, "from", at, "tree_size", head.Size)
	return nil
}

func (f *Follower) startAt(ctx context.Context, head ctwatch.Head) (at uint64, gap string, err error) {
	s := f.Start
	switch {
	case s.Now, s.Max > 0 && head.Size > s.Max:
		return head.Size, s.Gap, nil
	case s.Back > 0:
		at, err = f.search(ctx, head, f.Now().Add(-s.Back))
		return at, "", err
	}
	return 0, "", nil
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
