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

// prove holds the rebuilt tree against the head and moves the verified position.
// A tree that is no part of the head's is an alarm, not an error.
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
		f.scheduleRepair()
		return f.alarm(ctx, head, f.tree, root, ie)
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
	f.verified, f.searched = f.tree, false
	f.Logger.Debug("verified", "log", f.name, "size", f.verified.Size)
	return nil
}

// reread reads what did not verify once more, from the verified position to the
// read position, and so makes the tree intact again if the log now serves what it
// signed.
func (f *Follower) reread(ctx context.Context, head ctwatch.Head) error {
	f.scheduleRepair()
	if err := f.Recorder.Reread(ctx, f.id); err != nil {
		return record(err)
	}
	f.tree, f.intact = f.verified, true
	for f.tree.Size < f.position && f.intact {
		next := min(f.tree.Size+stride, f.position)
		row, err := f.stride(ctx, f.tree.Size, next, head.Size, false)
		if err != nil {
			f.intact = false
			return err
		}
		if f.tree, err = ctlog.Append(f.tree, next, row.Range()); err != nil {
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

// repairPause is how long at least it takes, on average, until a span that did not
// verify is read again.
const repairPause = time.Second / 2

// scheduleRepair sets when to read again what did not verify: at first with the
// next poll, then ever more seldom.
func (f *Follower) scheduleRepair() {
	if f.repair == nil {
		f.repair = backoff.NewExponentialBackOff()
		f.repair.InitialInterval = f.Poll
		f.repair.MaxInterval = max(time.Hour, f.Poll)
	}
	spans := (max(f.position, f.verified.Size) - f.verified.Size) / f.log.Span()
	f.nextRepair = f.Now().Add(max(f.repair.NextBackOff(), time.Duration(spans)*repairPause))
}
