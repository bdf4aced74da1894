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

// retryUnsettled reads entries again whose issuer is not proven, or whose chain the log did
// not serve whole: a few in each step, each of them at growing intervals. The recorder keeps
// which they are. If the log still does not serve what is missing, the step succeeds anyway.
func (f *Follower) retryUnsettled(ctx context.Context) error {
	due, err := f.Recorder.EntriesToReread(ctx, f.id, retriesPerStep)
	if err != nil {
		return record(err)
	}
	for _, e := range due {
		// Recorded before the attempt: what becomes known meanwhile makes it due again.
		if err := f.Recorder.RereadLater(ctx, f.id, e, f.Now().Add(f.retryPause(e.Asked))); err != nil {
			return record(err)
		}
		if e.Index >= f.head.Size {
			continue
		}
		if err := f.retryEntry(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// retryPause is how long to wait before an entry is read again the next time.
func (f *Follower) retryPause(asked int) time.Duration {
	pause := f.Poll
	for ; asked > 0 && pause < maxRetryPause; asked-- {
		pause *= 2
	}
	return min(pause, maxRetryPause)
}

// retryEntry reads one entry again and records what proves its issuer now. It ignores an
// entry that is not the recorded one, since it does not check whether that is in the tree.
func (f *Follower) retryEntry(ctx context.Context, e ctwatch.EntryRef) error {
	b, err := f.Reader.scan(ctx, e.Index, e.Index+1, f.head.Size)
	if err != nil {
		f.Logger.Debug("could not read an entry again to prove its issuer", "log", f.name, "index", e.Index, "error", err)
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
