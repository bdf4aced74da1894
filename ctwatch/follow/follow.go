package follow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
)

// A Recorder keeps what following a log yields. Each call is one transaction. An
// error means that the store is broken, and ends the follower.
type Recorder interface {
	// Follow registers the log and returns where its reading stands. What was
	// read but not verified before is to be read again.
	Follow(context.Context, ctwatch.Log) (ctwatch.Progress, error)
	// Begin chooses the starting point. A gap that is not "" says why nothing
	// before it is read.
	Begin(ctx context.Context, id ctwatch.LogID, at ctwatch.Tree, head ctwatch.Head, gap string) error
	// AddHead keeps a tree head, and HeadAt returns those kept of one size.
	AddHead(context.Context, ctwatch.LogID, ctwatch.Head) error
	HeadAt(ctx context.Context, id ctwatch.LogID, size uint64) ([]ctwatch.Head, error)
	// Record keeps a batch with all that follows from it, and moves the read position.
	Record(ctx context.Context, b ctwatch.Batch, position uint64) error
	// Advance moves the verified position; sightings below it are verified now,
	// if they were met since the last Follow or Reread.
	Advance(ctx context.Context, id ctwatch.LogID, t ctwatch.Tree, h ctwatch.Head) error
	Reread(context.Context, ctwatch.LogID) error
	// Misbehaved tells of a fault, once while it lasts; Behaved ends it.
	Misbehaved(context.Context, ctwatch.LogID, ctwatch.Fault) error
	Behaved(context.Context, ctwatch.LogID) error
	// Unhealthy tells why a log cannot be followed as it should be, once until
	// Recovered.
	Unhealthy(ctx context.Context, id ctwatch.LogID, reason string) error
	Recovered(context.Context, ctwatch.LogID) error
	// SetError says why the last step failed; "" that it did not.
	SetError(ctx context.Context, id ctwatch.LogID, msg string) error
}

// Options are what a Follower works with. Where nothing else is said, a field is
// required.
type Options struct {
	Reader   *Reader
	Recorder Recorder
	Logger   *slog.Logger
	Now      func() time.Time

	Poll time.Duration // between two tree heads
	// TailWait is how long entries of a static log that do not fill a tile are
	// left alone; see the package's comment. The default, 0, is not at all.
	TailWait time.Duration
	Start    Start // where to begin in a log never read before

	// OnHead is called with each tree head accepted; optional.
	OnHead func(ctwatch.Head)
}

// stride is how many entries are read between two proofs: few enough to be read
// again when they do not verify, and to lose little by a crash.
const stride = 1 << 16

// A Follower follows one log. Make it with New.
type Follower struct {
	Options
	log  ctlog.Log
	id   ctwatch.LogID
	name string

	head     *ctwatch.Head // the largest tree head accepted
	tail     time.Time     // since when entries after it have been left alone; zero when there are none
	started  bool          // whether a starting point was chosen
	position uint64        // entries read
	verified ctwatch.Tree  // entries proven
	// tree is rebuilt from all that was read; it has the size of position while
	// it is intact, that is, while no stride has failed to verify.
	tree   ctwatch.Tree
	intact bool

	begun      time.Time // the current step
	health     health
	faulty     bool // a fault was told and has not ended
	honest     int  // steps in a row without a fault, after one
	stale      int  // tree heads in a row smaller than head
	repair     *backoff.ExponentialBackOff
	nextRepair time.Time
}

// New returns a follower of the reader's log.
func New(o Options) *Follower {
	l := o.Reader.Log.Info()
	return &Follower{Options: o, log: o.Reader.Log, id: l.ID, name: l.Name}
}

// Run follows the log until ctx ends, and then returns nil. An error means that
// the recorder failed: nothing that the log does ends Run.
func (f *Follower) Run(ctx context.Context) error {
	p, err := f.Recorder.Follow(ctx, f.log.Info())
	if err != nil {
		return end(ctx, fmt.Errorf("log %s: %w", f.name, err))
	}
	f.head, f.started, f.faulty, f.health.sick = p.Head, p.Started, p.Fault != "", p.Unhealthy != ""
	// What lies between the two positions was told but not proven; it is read again.
	f.position, f.verified, f.tree, f.intact = p.Verified.Size, p.Verified, p.Verified, true
	if f.head != nil && f.head.Size == f.verified.Size && f.started {
		if root, err := ctlog.Root(f.verified); err != nil || root != f.head.Root {
			f.head = nil // one of two that the log signed for this size, and not the proven one
		}
	}

	pause := f.pauses()
	failing := false
	for {
		f.begun = f.Now()
		wait := f.Poll
		err := f.step(ctx)
		var broken *recorderError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &broken):
			return fmt.Errorf("log %s: %w", f.name, broken.err)
		case err != nil:
			f.Reader.Hooks.failed(err)
			wait = max(pause.NextBackOff(), asked(err))
			if !failing {
				f.Logger.Warn("log cannot be followed; will go on trying", "log", f.name, "error", err, "next", wait.Round(time.Millisecond))
			}
			failing = true
		default:
			if failing {
				f.Logger.Info("log is followed again", "log", f.name, "position", f.position)
			}
			failing = false
			pause.Reset()
		}
		f.Reader.Pace.Trouble(err != nil)
		if err := f.assess(ctx, err); err != nil {
			return end(ctx, fmt.Errorf("log %s: %w", f.name, err))
		}
		msg := ""
		if err != nil {
			msg = ctwatch.Printable(err.Error(), 500)
		}
		if err := f.Recorder.SetError(ctx, f.id, msg); err != nil {
			return end(ctx, fmt.Errorf("log %s: %w", f.name, err))
		}
		if f.finished() {
			f.Logger.Info("log is final and was read to its end", "log", f.name, "size", f.verified.Size)
			<-ctx.Done()
			return nil
		}
		if !sleep(ctx, wait-f.Now().Sub(f.begun)) {
			return nil
		}
	}
}

// finished reports whether the log is frozen at its final tree head, as the log
// list has it, and all of it was read and proven: there will never be more.
func (f *Follower) finished() bool {
	l := f.log.Info()
	if l.FinalSize == 0 || f.verified.Size != l.FinalSize {
		return false
	}
	root, err := ctlog.Root(f.verified)
	return err == nil && root == l.FinalRoot
}

// pauses grow from the poll interval, and never far beyond it: a log that comes
// back is read again soon, and one that stays away is asked seldom.
func (f *Follower) pauses() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = f.Poll
	b.MaxInterval = max(4*f.Poll, 10*time.Second)
	return b
}

// step does all that can be done at once: it takes the log's current tree head,
// and reads and proves what that says there is.
func (f *Follower) step(ctx context.Context) error {
	headErr := f.nextHead(ctx)
	if headErr != nil && (f.head == nil || isRecorder(headErr)) {
		return headErr
	}
	// A head that is refused changes nothing about those accepted before: what
	// they promise is still to be read.
	if headErr == nil && f.OnHead != nil {
		f.OnHead(*f.head)
	}
	if !f.started {
		if err := f.begin(ctx, *f.head); err != nil {
			return err
		}
	}
	if err := f.readOn(ctx, *f.head); err != nil {
		return errors.Join(headErr, err)
	}
	if headErr == nil {
		f.Reader.Pace.Verdict(f.begun, nil) // whatever else is wrong, the log answers
	}
	if !f.intact && !f.Now().Before(f.nextRepair) {
		if err := f.reread(ctx, *f.head); err != nil {
			return err
		}
	}
	switch {
	case headErr != nil:
		return headErr
	case !f.intact:
		return fmt.Errorf("entries from %d on do not verify against the tree head of size %d", f.verified.Size, f.head.Size)
	case f.faulty && f.verified.Size == f.head.Size:
		// A log that lies every other time has not mended its ways.
		if f.honest++; f.honest < patience {
			return nil
		}
		f.faulty = false
		f.Logger.Info("log behaves again", "log", f.name, "verified", f.verified.Size)
		return record(f.Recorder.Behaved(ctx, f.id))
	}
	return nil
}

// readOn reads from the read position to the head, and proves each stride.
func (f *Follower) readOn(ctx context.Context, head ctwatch.Head) error {
	for f.position < head.Size {
		next := min(f.position+stride, head.Size)
		row, err := f.stride(ctx, f.position, next, head.Size, true)
		if err != nil {
			return f.salvage(ctx, head, row, err)
		}
		if f.intact {
			if f.tree, err = ctlog.Append(f.tree, next, row.Range()); err != nil {
				return err
			}
		}
		f.position = next
		if f.intact {
			if err := f.prove(ctx, head); err != nil {
				return err
			}
		}
		if err := f.assessSpeed(ctx); err != nil {
			return err
		}
	}
	// A proof that could not be had before may be had now.
	if f.intact && f.verified.Size < f.tree.Size {
		return f.prove(ctx, head)
	}
	return nil
}

// salvage keeps what a stride that failed has read in order, if that can be proven
// now. All the rest is to be read again: it may be different then, and must not
// be verified together with what it was before.
func (f *Follower) salvage(ctx context.Context, head ctwatch.Head, row *Row, cause error) error {
	if !f.intact || ctx.Err() != nil || isRecorder(cause) {
		return cause
	}
	if row.End() > f.position {
		tree, err := ctlog.Append(f.tree, row.End(), row.Range())
		if err != nil {
			return errors.Join(cause, err)
		}
		f.tree, f.position = tree, row.End()
		if err := f.Recorder.Record(ctx, ctwatch.Batch{Log: f.id, Start: row.End(), End: row.End()}, row.End()); err != nil {
			return record(err)
		}
		if err := f.prove(ctx, head); isRecorder(err) || !f.intact {
			return errors.Join(cause, err)
		}
	}
	f.tree, f.position = f.verified, f.verified.Size
	if err := f.Recorder.Reread(ctx, f.id); err != nil {
		return record(err)
	}
	return cause
}

// stride reads [start, end), records it, and returns it as a row, which after an
// error is not whole. The read position moves with what has been read without a
// hole, where it is to move at all.
func (f *Follower) stride(ctx context.Context, start, end, size uint64, move bool) (*Row, error) {
	position := f.position
	row := NewRow(start)
	last := f.Now()
	for b, err := range f.Reader.Read(ctx, start, end, size) {
		if err == nil {
			err = row.Add(b)
		}
		if err != nil {
			return row, err
		}
		if move {
			position = row.End()
		}
		// A match is told at once, even while entries before it are missing; a
		// position alone can wait for a second, or for the end of the stride.
		if len(b.Found) > 0 || len(b.Malformed) > 0 || row.End() == end || f.Now().Sub(last) >= time.Second {
			begun := time.Now()
			err := f.Recorder.Record(ctx, b, position)
			f.Reader.Hooks.took(StageRecord, begun)
			if err != nil {
				return row, record(err)
			}
			last = f.Now()
		}
	}
	return row, nil
}

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
	f.verified = f.tree
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

// scheduleRepair sets when to read again what did not verify: at first with the
// next poll, then ever more seldom.
func (f *Follower) scheduleRepair() {
	if f.repair == nil {
		f.repair = backoff.NewExponentialBackOff()
		f.repair.InitialInterval = f.Poll
		f.repair.MaxInterval = max(time.Hour, f.Poll)
	}
	f.nextRepair = f.Now().Add(f.repair.NextBackOff())
}

// A recorderError is an error of the Recorder, which ends the follower.
type recorderError struct{ err error }

func (e *recorderError) Error() string { return e.err.Error() }
func (e *recorderError) Unwrap() error { return e.err }

func record(err error) error {
	if err == nil {
		return nil
	}
	return &recorderError{err}
}

func isRecorder(err error) bool {
	var e *recorderError
	return errors.As(err, &e)
}

// end returns err, unless it only says that ctx has ended.
func end(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// sleep waits for d and reports whether ctx is still on.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
