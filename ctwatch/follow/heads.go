package follow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
)

// patience is how many tree heads in a row decide. So many that are smaller than one seen
// before are a rollback: a stale cache serves an old tree head now and then, while a log
// that serves nothing else has removed entries. And so many without a fault end a fault.
const patience = 10

// nextHead fetches the log's tree head, judges it by all that the log signed before, and
// makes it f.head if reading continues by it. A tree head that breaks the log's promises
// is reported, and is an error.
func (f *Follower) nextHead(ctx context.Context) error {
	h, err := f.log.Head(ctx)
	var se *ctlog.SignatureError
	if errors.As(err, &se) {
		return f.reportFault(ctx, ctwatch.Fault{
			Cause:    ctwatch.CauseBadSignature,
			Detail:   "it served a tree head that its key did not sign",
			Evidence: ctwatch.Evidence{Heads: []ctwatch.EvidenceHead{{Raw: se.Raw}}},
		}, err)
	}
	if err != nil {
		return err
	}
	if f.Clock != nil {
		f.Clock.Observe(f.log.Info(), h)
	}
	if err := f.checkOrigin(ctx, h); err != nil {
		return err
	}
	if f.tailCanWait(h) {
		return nil
	}
	adopt, judgment := f.judge(ctx, h)
	if isRecorder(judgment) {
		return judgment
	}
	if err := f.checkDate(h); err != nil {
		f.Reader.Hooks.refused(h)
		if judgment != nil {
			return judgment
		}
		return err
	}
	if judgment == nil || adopt {
		if err := f.Recorder.AddHead(ctx, f.id, h); err != nil {
			return record(err)
		}
	}
	if adopt {
		f.head, f.tail = &h, time.Time{}
		if f.position > h.Size { // the log removed the entries past it
			f.position, f.intact = h.Size, false
			if err := f.scheduleRepair(ctx); err != nil {
				return err
			}
		}
	}
	return judgment
}

// checkDate refuses a tree head of the future: it would never be stale, and never older than
// another. The tolerance is MaxClockOffset, as for the local clock. If that is behind, the
// time of the logs counts, if there are enough of them: otherwise all tree heads would be
// refused.
func (f *Follower) checkDate(h ctwatch.Head) error {
	now := f.Now()
	if f.Clock != nil {
		now = f.Clock.Latest()
	}
	ahead := h.Timestamp.Sub(now)
	if ahead <= MaxClockOffset {
		return nil
	}
	return fmt.Errorf("its tree head of size %d is dated %s, which is %s in the future, and was refused; if this happens with other logs, correct the clock of this machine",
		h.Size, h.Timestamp.UTC().Format(time.RFC3339), ahead.Round(time.Second))
}

// tailCanWait reports whether a tree head of a static log only makes the last, partial tile
// longer, and has not done so for TailWait.
func (f *Follower) tailCanWait(h ctwatch.Head) bool {
	if f.TailWait <= 0 || f.log.Info().Kind != ctwatch.KindStatic || f.head == nil || !f.intact {
		return false
	}
	full := f.position - f.position%f.log.Span() // where the partial tile begins
	if f.position < f.head.Size || h.Size <= f.position || h.Size >= full+f.log.Span() {
		return false
	}
	if f.tail.IsZero() {
		f.tail = f.Now()
	}
	return f.Now().Sub(f.tail) < f.TailWait
}

// judge returns an error if a tree head, whose signature is good, contradicts those before
// it, and decides whether to adopt it: to continue reading by it.
//
// A contradiction is always reported. Which of the two heads to adopt is another question,
// since a log that signed nonsense once must still be watched: what counts is the verified
// tree. A head that contradicts it is never adopted; of two heads that extend it, the newer
// one is.
func (f *Follower) judge(ctx context.Context, h ctwatch.Head) (adopt bool, err error) {
	if f.head == nil {
		return true, nil
	}
	old := *f.head
	switch {
	case h.Size < old.Size:
		return f.judgeSmaller(ctx, h, old)
	case h.Size == old.Size && h.Root != old.Root:
		err = f.reportFault(ctx, fork(old, h), fmt.Errorf("fork at size %d", h.Size))
	case h.Size > old.Size && f.verified.Size < old.Size:
		// The tree was not rebuilt at the size of the older head, and never will be: the
		// log must prove that the new head extends it.
		err = f.judgeExtends(ctx, h, old)
	}
	f.smallerHeads = 0
	if err != nil {
		// A log that was reported for wrong hash tiles cannot prove anything: reading
		// continues anyway.
		blind := f.reply.reported && isContent(err) && h.Size > old.Size
		return blind || f.extendsVerified(ctx, h), err
	}
	return h.Size > old.Size || h.Timestamp.After(old.Timestamp) || f.checkDate(old) != nil, nil
}

// judgeSmaller is judge for a tree head that is smaller than the current one.
func (f *Follower) judgeSmaller(ctx context.Context, h, old ctwatch.Head) (adopt bool, err error) {
	newer := h.Timestamp.After(old.Timestamp)
	if err := f.judgeExtends(ctx, old, h); err != nil {
		return newer && f.extendsVerified(ctx, h), err
	}
	f.smallerHeads++
	if !newer && f.smallerHeads < patience {
		f.Logger.Debug("the log served an older tree head", "log", f.name, "size", h.Size, "known", old.Size)
		return false, nil
	}
	detail := fmt.Sprintf("its newer tree head is of size %d, after one of size %d", h.Size, old.Size)
	if !newer {
		detail = fmt.Sprintf("its last %d tree heads are smaller than one of size %d that it signed", f.smallerHeads, old.Size)
	}
	err = f.reportFault(ctx, ctwatch.Fault{
		Cause: ctwatch.CauseRollback, Detail: detail,
		Evidence: ctwatch.Evidence{Heads: []ctwatch.EvidenceHead{old.Evidence(), h.Evidence()}},
	}, fmt.Errorf("rollback from size %d to %d", old.Size, h.Size))
	return newer && f.extendsVerified(ctx, h), err
}

// judgeExtends asks the log to prove that the tree of large extends that of small.
func (f *Follower) judgeExtends(ctx context.Context, large, small ctwatch.Head) error {
	err := f.log.Extends(ctx, large, small.Size, small.Root)
	var ie *ctlog.InconsistencyError
	if !errors.As(err, &ie) {
		return err
	}
	// Two signed roots of one size prove a fork on their own.
	kept, herr := f.Recorder.HeadsOfSize(ctx, f.id, small.Size)
	if herr != nil {
		return record(herr)
	}
	for _, k := range kept {
		if k.Root != small.Root {
			return f.reportFault(ctx, fork(k, small), fmt.Errorf("fork at size %d", small.Size))
		}
	}
	return f.reportFault(ctx, ctwatch.Fault{
		Cause:    ctwatch.CauseInconsistent,
		Detail:   fmt.Sprintf("its tree head of size %d does not extend the one of size %d", large.Size, small.Size),
		Evidence: ctwatch.Evidence{Heads: []ctwatch.EvidenceHead{small.Evidence(), large.Evidence()}},
	}, err)
}

// extendsVerified reports whether the log proves that h extends the verified tree.
func (f *Follower) extendsVerified(ctx context.Context, h ctwatch.Head) bool {
	root, err := ctlog.Root(f.verified)
	return err == nil && h.Size >= f.verified.Size && f.log.Extends(ctx, h, f.verified.Size, root) == nil
}

func fork(a, b ctwatch.Head) ctwatch.Fault {
	return ctwatch.Fault{
		Cause:    ctwatch.CauseFork,
		Detail:   fmt.Sprintf("it signed two different roots for its tree of size %d", a.Size),
		Evidence: ctwatch.Evidence{Heads: []ctwatch.EvidenceHead{a.Evidence(), b.Evidence()}},
	}
}

// reportFault reports a fault, and returns err unless the recorder fails.
func (f *Follower) reportFault(ctx context.Context, fault ctwatch.Fault, err error) error {
	fault.Evidence.Cause = fault.Cause
	if !f.faulty {
		f.Logger.Error("log misbehaved", "log", f.name, "cause", fault.Cause, "detail", fault.Detail)
	}
	f.faulty, f.goodSteps = true, 0
	if err := f.Recorder.AddFault(ctx, f.id, fault); err != nil {
		return record(err)
	}
	return err
}
