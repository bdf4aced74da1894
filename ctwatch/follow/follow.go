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

// A Recorder keeps what following a log yields. Each call is one transaction. An
// error means that the store is broken, and ends the follower.
type Recorder interface {
	// Follow registers the log and returns where its reading stands. What was
	// read but not verified before is to be read again, but for what Keep kept.
	Follow(context.Context, ctwatch.Log) (ctwatch.Progress, error)
	// Start chooses the starting point. A gap that is not "" says why nothing
	// before it is read.
	Start(ctx context.Context, id ctwatch.LogID, at ctwatch.Tree, head ctwatch.Head, gap string) error
	// AddHead keeps a tree head, and HeadsOfSize returns those kept of one size.
	AddHead(context.Context, ctwatch.LogID, ctwatch.Head) error
	HeadsOfSize(ctx context.Context, id ctwatch.LogID, size uint64) ([]ctwatch.Head, error)
	// Record keeps a batch with all that follows from it, and moves the read position.
	Record(ctx context.Context, b ctwatch.Batch, position uint64) error
	// Keep keeps, for the next Follow and Rewind, what is known of the entries after
	// the verified position, and sets the read position.
	Keep(ctx context.Context, id ctwatch.LogID, position uint64, k ctwatch.Kept) error
	// EntriesToReread lists entries that are worth reading again now: those whose issuer
	// is not proven, or whose chain the log did not serve whole. RereadLater notes that
	// one is, and when to do so next.
	EntriesToReread(ctx context.Context, id ctwatch.LogID, limit int) ([]ctwatch.EntryRef, error)
	RereadLater(ctx context.Context, id ctwatch.LogID, e ctwatch.EntryRef, next time.Time) error
	// AddProof notes what reading a recorded entry again has proven. It moves no
	// position and verifies no sighting.
	AddProof(context.Context, ctwatch.LogID, ctwatch.Found) error
	// Advance moves the verified position; sightings below it are verified now,
	// if they were met since the last Follow or Rewind, or before the end of a tree
	// that was kept then.
	Advance(ctx context.Context, id ctwatch.LogID, t ctwatch.Tree, h ctwatch.Head) error
	Rewind(context.Context, ctwatch.LogID) error
	// AddFault tells of a fault, once while it lasts; ClearFaults ends it.
	AddFault(context.Context, ctwatch.LogID, ctwatch.Fault) error
	ClearFaults(context.Context, ctwatch.LogID) error
	// SetUnhealthy tells why a log cannot be followed as it should be, once until
	// SetHealthy.
	SetUnhealthy(ctx context.Context, id ctwatch.LogID, reason string) error
	SetHealthy(context.Context, ctwatch.LogID) error
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
	Start    ctwatch.Start // where to begin in a log never read before
	// Limit is the most entries to read of such a log from its beginning. A longer log
	// is read from its tree head on, and the gap is recorded. 0 is no limit.
	Limit uint64

	// Clock learns of each tree head whose signature is good, and says what time it is
	// by most logs, should the local clock be behind. Optional: without it Now counts.
	Clock *Clock

	// Outages logs when the log cannot be followed, and can be again. Followers share
	// one; the default tells of this log alone, and at once.
	Outages *Outages

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
	kept   ctwatch.Tree // what the recorder keeps of tree; the zero Tree if that is nothing

	begun      time.Time // the current step
	health     health
	faulty     bool      // a fault was told and has not ended
	searched   bool      // for the entry to blame, since the verified position last moved
	honest     int       // steps in a row without a fault, after one
	stale      int       // tree heads in a row smaller than head
	reply      suspicion // of replies that it must not give
	origin     suspicion // of checkpoints under another name
	repair     *backoff.ExponentialBackOff
	nextRepair time.Time
}

// New returns a follower of the reader's log.
func New(o Options) *Follower {
	l := o.Reader.Log.Info()
	if o.Outages == nil {
		o.Outages = &Outages{Logger: o.Logger, closed: true}
	}
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
	f.resume(p)
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
		var unproven *unprovenError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &broken):
			return fmt.Errorf("log %s: %w", f.name, broken.err)
		case err != nil:
			f.Reader.Hooks.failed(err)
			// A log that answers, and whose entries do not verify, may yet have news.
			if !errors.As(err, &unproven) {
				wait = max(pause.NextBackOff(), asked(err))
			}
			if !failing {
				f.Outages.began(f.name, err)
			}
			failing = true
		default:
			if failing {
				f.Outages.ended(f.name)
			}
			failing = false
			pause.Reset()
		}
		f.Reader.Pace.Trouble(err != nil && unproven == nil)
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
			return f.settle(ctx)
		}
		if !sleep(ctx, wait-f.Now().Sub(f.begun)) {
			return nil
		}
	}
}

// An unprovenError says that entries were read, and do not verify.
type unprovenError struct {
	from, size uint64 // the first of them, and the size of the tree head
}

func (e *unprovenError) Error() string {
	return fmt.Sprintf("entries from %d on do not verify against the tree head of size %d", e.from, e.size)
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

// resume takes up where an earlier follower ended. What it had read after the verified
// position was told but not proven; of that, what was kept is not read again.
func (f *Follower) resume(p ctwatch.Progress) {
	f.position, f.verified, f.tree, f.intact = p.Verified.Size, p.Verified, p.Verified, true
	told := strings.Fields(p.Fault)
	f.reply.told = slices.Contains(told, ctwatch.CauseInvalidReply)
	f.origin.told = slices.Contains(told, ctwatch.CauseWrongOrigin)
	f.Reader.Lenient = f.reply.told
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

// settle reads entries of a final log again for as long as there are any.
func (f *Follower) settle(ctx context.Context) error {
	for sleep(ctx, f.Poll) {
		if err := f.askAgain(ctx); err != nil {
			return end(ctx, fmt.Errorf("log %s: %w", f.name, err))
		}
	}
	return nil
}

// step does all that can be done at once: it takes the log's current tree head,
// and reads and proves what that says there is.
func (f *Follower) step(ctx context.Context) error {
	err := f.work(ctx)
	if ctx.Err() != nil || isRecorder(err) {
		return err
	}
	// That reading on fails is no reason not to read again. A log that gives nothing of
	// use is left alone.
	if f.started && (err == nil || !f.Reader.Pace.Broken()) {
		if err := f.askAgain(ctx); err != nil {
			return err
		}
	}
	return f.suspect(ctx, err)
}

func (f *Follower) work(ctx context.Context) error {
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
		return &unprovenError{from: f.verified.Size, size: f.head.Size}
	case f.faulty && f.verified.Size == f.head.Size:
		// A log that lies every other time has not mended its ways.
		if f.honest++; f.honest < patience {
			return nil
		}
		f.faulty, f.Reader.Lenient = false, false
		f.Logger.Info("log behaves again", "log", f.name, "verified", f.verified.Size)
		return record(f.Recorder.ClearFaults(ctx, f.id))
	}
	return nil
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
