package follow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
)

// A Recorder stores what following a log yields. Each call is one transaction. An error
// means that the store is broken, and ends the follower.
type Recorder interface {
	// Follow registers the log and returns how far it was read. What was not verified is
	// to be read again, except what Keep kept.
	Follow(context.Context, ctwatch.Log) (ctwatch.Progress, error)
	// Start sets the starting point. A gap other than "" is the reason why nothing before
	// it is read.
	Start(ctx context.Context, id ctwatch.LogID, at ctwatch.Tree, head ctwatch.Head, gap string) error
	// AddHead stores a tree head, and HeadsOfSize returns those of one size. One that differs
	// from the largest only by its time may be stored later, or never after a crash.
	AddHead(context.Context, ctwatch.LogID, ctwatch.Head) error
	HeadsOfSize(ctx context.Context, id ctwatch.LogID, size uint64) ([]ctwatch.Head, error)
	// Record stores a batch with all that follows from it, and moves the read position.
	Record(ctx context.Context, b ctwatch.Batch, position uint64) error
	// Keep stores, for the next Follow and Rewind, what is known of the entries after the
	// verified position, and sets the read position.
	Keep(ctx context.Context, id ctwatch.LogID, position uint64, k ctwatch.Kept) error
	// EntriesToReread lists entries that are worth reading again now: those whose issuer
	// is not proven, or whose chain the log did not serve whole. RereadLater records that
	// one is read again, and when to do so next.
	EntriesToReread(ctx context.Context, id ctwatch.LogID, limit int) ([]ctwatch.EntryRef, error)
	RereadLater(ctx context.Context, id ctwatch.LogID, e ctwatch.EntryRef, next time.Time) error
	// AddProof stores what reading a recorded entry again has proven. It moves no position
	// and verifies no sighting.
	AddProof(context.Context, ctwatch.LogID, ctwatch.Found) error
	// Advance moves the verified position. Sightings below it are verified if they were
	// recorded since the last Follow or Rewind, or are in a tree that was kept then.
	Advance(ctx context.Context, id ctwatch.LogID, t ctwatch.Tree, h ctwatch.Head) error
	Rewind(context.Context, ctwatch.LogID) error
	// AddFault reports a fault, once while it lasts; ClearFaults ends it.
	AddFault(context.Context, ctwatch.LogID, ctwatch.Fault) error
	ClearFaults(context.Context, ctwatch.LogID) error
	// SetUnhealthy reports why a log cannot be followed as it should be, once until
	// SetHealthy.
	SetUnhealthy(ctx context.Context, id ctwatch.LogID, reason string) error
	SetHealthy(context.Context, ctwatch.LogID) error
	// SetError stores why the last step failed; "" if it did not.
	SetError(ctx context.Context, id ctwatch.LogID, msg string) error
}

// Options configure a Follower. A field is required unless its comment says otherwise.
type Options struct {
	Reader   *Reader
	Recorder Recorder
	Logger   *slog.Logger
	Now      func() time.Time

	Poll time.Duration // between two tree heads
	// TailWait is how long entries of a static log that do not fill a tile may wait; see the
	// package comment. The default is 0.
	TailWait time.Duration
	Start    ctwatch.Start // in a log that was never read before
	// Limit is the most entries to read of such a log from its beginning. A longer log
	// is read from its tree head on, and the gap is recorded. 0 is no limit.
	Limit uint64

	// Clock observes each tree head with a good signature, and overrules a local clock that
	// is behind most logs. Optional: without it Now counts.
	Clock *Clock

	// Outages logs when the log cannot be followed, and can be followed again. Followers
	// share one. By default a line about this log alone is written at once.
	Outages *Outages

	// OnHead is called with each accepted tree head. Optional.
	OnHead func(ctwatch.Head)
}

// stride is how many entries are read between two proofs: few enough to read again when they
// do not verify or after a crash.
const stride = 1 << 16

// A Follower follows one log. Make it with New.
type Follower struct {
	Options
	log  ctlog.Log
	id   ctwatch.LogID
	name string

	head     *ctwatch.Head // the largest tree head accepted
	tail     time.Time     // since when entries after head wait; zero if none do
	started  bool          // a starting point was chosen
	position uint64        // entries read
	verified ctwatch.Tree  // entries proven
	// tree is rebuilt from all that was read. Its size is position while it is intact: while
	// every stride has verified.
	tree   ctwatch.Tree
	intact bool
	kept   ctwatch.Tree // the part of tree that the recorder keeps; zero if none

	begun        time.Time // the current step
	outcome      *string   // of the last step, as recorded; nil before the first
	health       health
	faulty       bool      // a fault was reported and has not ended
	searched     bool      // for the bad entry, since the verified position moved last
	goodSteps    int       // steps in a row without a fault, after one
	smallerHeads int       // tree heads in a row smaller than head
	reply        suspicion // of invalid replies
	origin       suspicion // of checkpoints with another origin
	repair       *backoff.ExponentialBackOff
	nextRepair   time.Time
}

// New returns a follower of the reader's log.
func New(o Options) *Follower {
	l := o.Reader.Log.Info()
	if o.Outages == nil {
		o.Outages = &Outages{Logger: o.Logger, closed: true}
	}
	return &Follower{Options: o, log: o.Reader.Log, id: l.ID, name: l.Name}
}

// Run follows the log until ctx ends, and then returns nil. An error means that the recorder
// failed: nothing that the log does ends Run.
func (f *Follower) Run(ctx context.Context) error {
	p, err := f.Recorder.Follow(ctx, f.log.Info())
	if err != nil {
		return unlessEnded(ctx, fmt.Errorf("log %s: %w", f.name, err))
	}
	f.head, f.started, f.faulty, f.health.unhealthy = p.Head, p.Started, p.Fault != "", p.Unhealthy != ""
	f.resume(p)
	if f.head != nil && f.head.Size == f.verified.Size && f.started {
		if root, err := ctlog.Root(f.verified); err != nil || root != f.head.Root {
			f.head = nil // of two heads that the log signed for this size, not the verified one
		}
	}

	pause := f.pauses()
	failing := false
	for {
		f.begun = f.Now()
		wait := f.Poll
		err := f.step(ctx)
		var broken *recorderError
		var unproven *unprovenError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &broken):
			return fmt.Errorf("log %s: %w", f.name, broken.err)
		case err != nil:
			f.Reader.Hooks.failed(err)
			// A log that answers, but whose entries do not verify, may have new ones.
			if !errors.As(err, &unproven) {
				wait = max(pause.NextBackOff(), retryAfter(err))
			}
			if !failing {
				f.Outages.start(f.name, err)
			}
			failing = true
		default:
			if failing {
				f.Outages.end(f.name)
			}
			failing = false
			pause.Reset()
		}
		f.Reader.Pace.Trouble(err != nil && unproven == nil)
		if err := f.updateHealth(ctx, err); err != nil {
			return unlessEnded(ctx, fmt.Errorf("log %s: %w", f.name, err))
		}
		msg := ""
		if err != nil {
			msg = ctwatch.Printable(err.Error(), 500)
		}
		if f.outcome == nil || *f.outcome != msg {
			if err := f.Recorder.SetError(ctx, f.id, msg); err != nil {
				return unlessEnded(ctx, fmt.Errorf("log %s: %w", f.name, err))
			}
			f.outcome = &msg
		}
		if f.finished() {
			f.Logger.Info("log is final and was read to its end", "log", f.name, "size", f.verified.Size)
			return f.settle(ctx)
		}
		if !sleep(ctx, wait-f.Now().Sub(f.begun)) {
			return nil
		}
	}
}

// An unprovenError means that entries were read and do not verify.
type unprovenError struct {
	from, size uint64 // the first of them, and the size of the tree head
}

func (e *unprovenError) Error() string {
	return fmt.Sprintf("entries from %d on do not verify against the tree head of size %d", e.from, e.size)
}

// finished reports whether the log is frozen, by the log list, and verified up to its final
// tree head.
func (f *Follower) finished() bool {
	l := f.log.Info()
	if l.FinalSize == 0 || f.verified.Size != l.FinalSize {
		return false
	}
	root, err := ctlog.Root(f.verified)
	return err == nil && root == l.FinalRoot
}

// pauses returns pauses that grow from the poll interval, but not far beyond it, so that a
// log is read soon after it is back.
func (f *Follower) pauses() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = f.Poll
	b.MaxInterval = max(4*f.Poll, 10*time.Second)
	return b
}

// resume continues where an earlier follower ended. What it read after the verified position
// is read again, except what was kept.
func (f *Follower) resume(p ctwatch.Progress) {
	f.position, f.verified, f.tree, f.intact = p.Verified.Size, p.Verified, p.Verified, true
	reported := strings.Fields(p.Fault)
	f.reply.reported = slices.Contains(reported, ctwatch.CauseInvalidReply)
	f.origin.reported = slices.Contains(reported, ctwatch.CauseWrongOrigin)
	f.Reader.Lenient = f.reply.reported
	switch k := p.Kept; {
	case k.Unverified:
		f.position, f.intact = p.Position, false
		f.searched = f.faulty
		f.repair = f.repairs(k.Pause)
		f.nextRepair = k.Repair
		if latest := f.Now().Add(2 * k.Pause); latest.Before(f.nextRepair) {
			f.nextRepair = latest // the clock was set back
		}
	case k.Tree.Size > p.Verified.Size:
		f.position, f.tree, f.kept = k.Tree.Size, k.Tree, k.Tree
	}
}

// settle reads entries of a final log again that are not settled, until ctx ends.
func (f *Follower) settle(ctx context.Context) error {
	for sleep(ctx, f.Poll) {
		if err := f.retryUnsettled(ctx); err != nil {
			return unlessEnded(ctx, fmt.Errorf("log %s: %w", f.name, err))
		}
	}
	return nil
}

// step fetches the log's tree head, and reads and verifies the entries up to it.
func (f *Follower) step(ctx context.Context) error {
	err := f.work(ctx)
	if ctx.Err() != nil || isRecorder(err) {
		return err
	}
	// Unsettled entries are read again even if new ones cannot be read, unless the log gives
	// no useful reply at all.
	if f.started && (err == nil || !f.Reader.Pace.Broken()) {
		if err := f.retryUnsettled(ctx); err != nil {
			return err
		}
	}
	return f.checkReplies(ctx, err)
}

func (f *Follower) work(ctx context.Context) error {
	headErr := f.nextHead(ctx)
	if headErr != nil && (f.head == nil || isRecorder(headErr)) {
		return headErr
	}
	// If a head is refused, what the heads before it promise is still read.
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
		return &unprovenError{from: f.verified.Size, size: f.head.Size}
	case f.faulty && f.verified.Size == f.head.Size:
		// A log that lies every other time is still at fault.
		if f.goodSteps++; f.goodSteps < patience {
			return nil
		}
		f.faulty, f.Reader.Lenient = false, false
		f.Logger.Info("log behaves again", "log", f.name, "verified", f.verified.Size)
		return record(f.Recorder.ClearFaults(ctx, f.id))
	}
	return nil
}

// A recorderError is an error of the Recorder. It ends the follower.
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

// unlessEnded returns err, or nil if ctx has ended.
func unlessEnded(ctx context.Context, err error) error {
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
