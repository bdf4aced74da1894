package follow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
)

// prove compares the rebuilt tree with the head and moves the verified position. A tree
// that is not part of the head's is an alarm, not an error.
func (f *Follower) prove(ctx context.Context, head ctwatch.Head) error {
	root, err := ctlog.Root(f.tree)
	if err != nil {
		return err
	}
	begun := time.Now()
	err = f.log.Extends(ctx, head, f.tree.Size, root)
	f.Reader.Hooks.took(StageVerify, begun)
	var ie *ctlog.InconsistencyError
	if errors.As(err, &ie) {
		f.intact = false
		if err := f.scheduleRepair(ctx); err != nil {
			return err
		}
		if s := f.reply; s.reported && s.span[0] < s.span[1] && s.span[0] >= f.verified.Size && s.span[1] <= f.tree.Size {
			return nil // what is wrong with these entries was reported
		}
		return f.reportMismatch(ctx, head, f.tree, root, ie)
	}
	if err != nil {
		return fmt.Errorf("verifying the tree at size %d: %w", f.tree.Size, err)
	}
	if f.tree.Size == f.verified.Size {
		return nil
	}
	if err := f.Recorder.Advance(ctx, f.id, f.tree, head); err != nil {
		return record(err)
	}
	f.verified, f.searched, f.kept = f.tree, false, ctwatch.Tree{}
	f.Logger.Debug("verified", "log", f.name, "size", f.verified.Size)
	return nil
}

// reread reads what did not verify again, from the verified position to the read position.
// The tree is intact again if the log now serves what it signed.
func (f *Follower) reread(ctx context.Context, head ctwatch.Head) error {
	if err := f.scheduleRepair(ctx); err != nil {
		return err
	}
	if err := f.Recorder.Rewind(ctx, f.id); err != nil {
		return record(err)
	}
	f.tree, f.intact = f.verified, true
	for f.tree.Size < f.position && f.intact {
		next := min(f.tree.Size+stride, f.position)
		joined, err := f.stride(ctx, f.tree.Size, next, head.Size, false)
		if err != nil {
			f.intact = false
			return err
		}
		if f.tree, err = ctlog.Append(f.tree, next, joined.Range()); err != nil {
			return err
		}
		if err := f.prove(ctx, head); err != nil {
			f.intact = false
			return err
		}
	}
	if f.intact {
		f.repair = nil
	}
	return nil
}

// repairPause is the least time, on average, before a span that did not verify is read
// again.
const repairPause = time.Second / 2

// scheduleRepair sets when to read again what did not verify: at first at the next poll,
// then less and less often. It records that it did not verify.
func (f *Follower) scheduleRepair(ctx context.Context) error {
	if f.repair == nil {
		f.repair = f.repairs(f.Poll)
	}
	spans := (max(f.position, f.verified.Size) - f.verified.Size) / f.log.Span()
	pause := max(f.repair.NextBackOff(), time.Duration(spans)*repairPause)
	f.nextRepair, f.kept = f.Now().Add(pause), ctwatch.Tree{}
	if f.position < f.verified.Size {
		return nil // a smaller tree head: nothing was read after the verified position
	}
	return record(f.Recorder.Keep(ctx, f.id, f.position, ctwatch.Kept{Unverified: true, Repair: f.nextRepair, Pause: pause}))
}

// repairs returns pauses that grow from the first one.
func (f *Follower) repairs(first time.Duration) *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.MaxInterval = max(time.Hour, f.Poll)
	b.InitialInterval = max(f.Poll, min(first, b.MaxInterval))
	return b
}
