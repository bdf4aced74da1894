package follow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
)

// A reply that a log must not give, such as a data tile whose entries say that they are
// others, may be a mishap: of a cache, a front end, a disk that is about to be replaced. It
// is asked for again. A log is accused when it gave such a reply in suspectSteps steps,
// each with several tries, over suspectPolls poll intervals, and no good one in between.
const (
	suspectSteps = 5
	suspectPolls = 30
)

// A suspicion is something that a log must not do, for as long as it goes on.
type suspicion struct {
	what  string
	since time.Time
	steps int
	told  bool
	span  [2]uint64 // entries that cannot be trusted for it
}

// again notes that it happened in one more step, and reports whether that is enough to
// accuse the log, once.
func (s *suspicion) again(what string, begun, now time.Time, poll time.Duration) bool {
	if what != s.what {
		*s = suspicion{what: what, since: begun, told: s.told} // one accusation will do
	}
	s.steps++
	if s.told || s.steps < suspectSteps || now.Sub(s.since) < suspectPolls*poll {
		return false
	}
	s.told = true
	return true
}

// suspect takes the outcome of a step into account, and accuses the log when a reply that
// it must not give persists. From then on it is read around, or in spite of, that reply.
func (f *Follower) suspect(ctx context.Context, err error) error {
	what, fault := f.wrongReply(err)
	if what == "" {
		if err == nil {
			f.reply = suspicion{}
		}
		return err
	}
	accuse := f.reply.again(what, f.begun, f.Now(), f.Poll)
	var ce *ctlog.ContentError
	if errors.As(err, &ce) {
		f.reply.span = [2]uint64{ce.Start, ce.End}
	}
	if accuse {
		f.Reader.Lenient = true
		return f.misbehaved(ctx, fault, err)
	}
	if f.reply.told {
		f.honest = 0
	}
	return err
}

// wrongReply says by which reply that the log must not give a step has failed; what is ""
// if it failed by none.
func (f *Follower) wrongReply(err error) (what string, fault ctwatch.Fault) {
	var ce *ctlog.ContentError
	var ie *ctlog.InconsistencyError
	switch {
	case errors.As(err, &ce):
		what = ce.Path
		fault = ctwatch.Fault{
			Cause:  ctwatch.CauseInvalidReply,
			Detail: fmt.Sprintf("%s, as it serves it again and again, is not %s: %v", ce.Path, ce.Want, ce.Err),
			Evidence: ctwatch.Evidence{
				Reply: &ctwatch.EvidenceReply{Path: ce.Path, SHA256: ce.Hash, Want: ce.Want},
			},
		}
		if f.head != nil {
			fault.Evidence.Heads = []ctwatch.EvidenceHead{f.head.Evidence()}
		}
	case errors.As(err, &ie) && !f.started: // later it is reported where it is found
		what = fmt.Sprintf("proof for size %d", ie.Size)
		fault = ctwatch.Fault{
			Cause:  ctwatch.CauseInconsistent,
			Detail: fmt.Sprintf("its proofs that the tree of size %d is part of the one of size %d do not verify", ie.Size, ie.Head.Size),
			Evidence: ctwatch.Evidence{
				Heads:    []ctwatch.EvidenceHead{ie.Head.Evidence()},
				Computed: &ctwatch.EvidenceRoot{Size: ie.Size, Root: ie.Root},
			},
		}
	}
	return what, fault
}

// checkOrigin accuses a static log that names its checkpoints after another, when that
// persists. They are believed, since its key signed them.
func (f *Follower) checkOrigin(ctx context.Context, h ctwatch.Head) error {
	want := ctlog.Origin(f.log.Info())
	if h.Origin == "" || want == "" || h.Origin == want {
		f.origin = suspicion{}
		return nil
	}
	if f.origin.again(h.Origin, f.begun, f.Now(), f.Poll) {
		return f.misbehaved(ctx, ctwatch.Fault{
			Cause:    ctwatch.CauseWrongOrigin,
			Detail:   fmt.Sprintf("its key signs checkpoints of %q, and the log is %q", ctwatch.Printable(h.Origin, 100), want),
			Evidence: ctwatch.Evidence{Heads: []ctwatch.EvidenceHead{h.Evidence()}},
		}, nil)
	}
	if f.origin.told {
		f.honest = 0
	}
	return nil
}

// maxHoles bounds the holes that one stride is read around: a log of which nothing can be
// read is not asked for each entry.
const maxHoles = 16

// around reads from the read position to end what can be read, and leaves out what cannot:
// no entry is missed because of another. None of it can be proven then; it is read again
// later, like all that does not verify.
func (f *Follower) around(ctx context.Context, end uint64, head ctwatch.Head) error {
	f.intact = false
	if err := f.scheduleRepair(ctx); err != nil {
		return err
	}
	upTo := end
	for holes := 0; f.position < end; {
		_, err := f.stride(ctx, f.position, upTo, head.Size, true)
		if err == nil {
			f.position, upTo = upTo, end
			continue
		}
		var ce *ctlog.ContentError
		if !errors.As(err, &ce) || ce.Start < f.position || ce.End <= ce.Start || holes == maxHoles {
			return err
		}
		if ce.Start > f.position {
			upTo = ce.Start // first what is before the hole
			continue
		}
		holes++
		f.Logger.Warn("entries cannot be read, and are left out for now", "log", f.name, "start", ce.Start, "end", ce.End, "error", err)
		f.position, upTo = min(ce.End, end), end
		none := ctwatch.Batch{Log: f.id, Start: f.position, End: f.position}
		if err := f.Recorder.Record(ctx, none, f.position); err != nil {
			return record(err)
		}
	}
	return nil
}
