package follow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
)

// An invalid reply, such as a data tile whose entries have other indexes, may be an accident
// of a cache, a front end or a disk. It is requested again. The log is reported when it
// served such a reply in suspectSteps steps, each with several attempts, over suspectPolls
// poll intervals, and no good one in between.
const (
	suspectSteps = 5
	suspectPolls = 30
)

// A suspicion counts how long a log has been doing something that it must not do.
type suspicion struct {
	what     string
	since    time.Time
	steps    int
	reported bool
	span     [2]uint64 // entries that cannot be trusted because of it
}

// repeat records that it happened in one more step. It returns true once, when that is enough
// to report the log.
func (s *suspicion) repeat(what string, begun, now time.Time, poll time.Duration) bool {
	if what != s.what {
		*s = suspicion{what: what, since: begun, reported: s.reported} // one report is enough
	}
	s.steps++
	if s.reported || s.steps < suspectSteps || now.Sub(s.since) < suspectPolls*poll {
		return false
	}
	s.reported = true
	return true
}

// checkReplies checks the outcome of a step for an invalid reply, and reports the log if the
// reply persists. From then on reading skips that reply, or accepts it.
func (f *Follower) checkReplies(ctx context.Context, err error) error {
	what, fault := f.invalidReply(err)
	if what == "" {
		if err == nil {
			f.reply = suspicion{}
		}
		return err
	}
	report := f.reply.repeat(what, f.begun, f.Now(), f.Poll)
	var ce *ctlog.ContentError
	if errors.As(err, &ce) {
		f.reply.span = [2]uint64{ce.Start, ce.End}
	}
	if report {
		f.Reader.Lenient = true
		return f.reportFault(ctx, fault, err)
	}
	if f.reply.reported {
		f.goodSteps = 0
	}
	return err
}

// invalidReply returns the invalid reply because of which a step failed; what is "" if there
// is none.
func (f *Follower) invalidReply(err error) (what string, fault ctwatch.Fault) {
	var ce *ctlog.ContentError
	var ie *ctlog.InconsistencyError
	switch {
	case errors.As(err, &ce):
		what = ce.Path
		fault = ctwatch.Fault{
			Cause:  ctwatch.CauseInvalidReply,
			Detail: fmt.Sprintf("%s, as it serves it repeatedly, is not %s: %v", ce.Path, ce.Want, ce.Err),
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

// checkOrigin reports a static log whose checkpoints have the origin of another log, if that
// persists. Reading continues, since the log's key signed them.
func (f *Follower) checkOrigin(ctx context.Context, h ctwatch.Head) error {
	want := ctlog.Origin(f.log.Info())
	if h.Origin == "" || want == "" || h.Origin == want {
		f.origin = suspicion{}
		return nil
	}
	if f.origin.repeat(h.Origin, f.begun, f.Now(), f.Poll) {
		return f.reportFault(ctx, ctwatch.Fault{
			Cause:    ctwatch.CauseWrongOrigin,
			Detail:   fmt.Sprintf("its key signs checkpoints of %q, and the log is %q", ctwatch.Printable(h.Origin, 100), want),
			Evidence: ctwatch.Evidence{Heads: []ctwatch.EvidenceHead{h.Evidence()}},
		}, nil)
	}
	if f.origin.reported {
		f.goodSteps = 0
	}
	return nil
}

// maxHoles bounds the holes in one stride: if nothing of a log can be read, its entries are
// not requested individually.
const maxHoles = 16

// readAround reads the entries from the read position to end that can be read, so that none
// is missed because of another. They cannot be verified then, and are read again later, like
// all that does not verify.
func (f *Follower) readAround(ctx context.Context, end uint64, head ctwatch.Head) error {
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
			upTo = ce.Start // first read what is before the hole
			continue
		}
		holes++
		f.Logger.Warn("entries cannot be read, and are skipped for now", "log", f.name, "start", ce.Start, "end", ce.End, "error", err)
		f.position, upTo = min(ce.End, end), end
		if err := f.recordPosition(ctx); err != nil {
			return err
		}
	}
	return nil
}
