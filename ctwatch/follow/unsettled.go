package follow

import (
	"context"
	"time"

	"ctwatch/ctwatch"
)

const (
	retriesPerStep = 4 // entries that are read again in one step
	maxRetryPause  = 6 * time.Hour
)

// askAgain reads entries again whose issuer is not proven, or whose chain was not
// served whole: a few in each step, and each of them at growing intervals. The store
// remembers which they are, and since when. That the log still does not serve what is
// missing is no failure of the step.
func (f *Follower) askAgain(ctx context.Context) error {
	due, err := f.Recorder.EntriesToReread(ctx, f.id, retriesPerStep)
	if err != nil {
		return record(err)
	}
	for _, e := range due {
		// Noted before it is tried: what becomes known meanwhile makes it due again.
		if err := f.Recorder.RereadLater(ctx, f.id, e, f.Now().Add(f.retryPause(e.Asked))); err != nil {
			return record(err)
		}
		if e.Index >= f.head.Size {
			continue
		}
		if err := f.readAgain(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// retryPause is how long to wait after an entry was read again so often before.
func (f *Follower) retryPause(asked int) time.Duration {
	pause := f.Poll
	for ; asked > 0 && pause < maxRetryPause; asked-- {
		pause *= 2
	}
	return min(pause, maxRetryPause)
}

// readAgain reads one entry again and notes what proves its issuer now. What is not
// the entry that was recorded is not looked at: whether it is in the tree is not
// checked here.
func (f *Follower) readAgain(ctx context.Context, e ctwatch.EntryRef) error {
	b, err := f.Reader.scan(ctx, e.Index, e.Index+1, f.head.Size)
	if err != nil {
		f.Logger.Debug("an entry whose issuer is not proven was not read again", "log", f.name, "index", e.Index, "error", err)
		return nil
	}
	for i := range b.Found {
		found := &b.Found[i]
		if found.LeafHash != e.LeafHash {
			continue
		}
		f.Reader.complete(ctx, found)
		if err := f.Recorder.AddProof(ctx, f.id, *found); err != nil {
			return record(err)
		}
	}
	return nil
}
