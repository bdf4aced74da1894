package follow

import (
	"context"
	"errors"
	"math"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
)

// readOn reads from the read position to the head, and proves each stride.
func (f *Follower) readOn(ctx context.Context, head ctwatch.Head) error {
	var wrong error // an invalid reply, despite which reading continues
	reported := false
	for f.position < head.Size {
		limit, from, begun := f.Reader.Pace.Observe(), f.position, f.Now()
		next := min(f.position+stride, head.Size)
		joined, err := f.stride(ctx, f.position, next, head.Size, true)
		if err != nil && f.Reader.Lenient && isContent(err) {
			wrong = err
			if err := f.readAround(ctx, next, head); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return f.salvage(ctx, head, joined, err)
		}
		if f.intact {
			if f.tree, err = ctlog.Append(f.tree, next, joined.Range()); err != nil {
				return err
			}
		}
		f.position = next
		if f.intact {
			if err := f.proveOrKeep(ctx, head); isContent(err) {
				wrong = err
			} else if err != nil {
				return err
			}
		}
		if err := f.checkSpeed(ctx); err != nil {
			return err
		}
		if now := f.Now(); !reported && now.Sub(f.begun) > minCatchUp {
			reported = f.reportLimit(limit(), head.Size-f.position, float64(f.position-from)/now.Sub(begun).Seconds())
		}
	}
	// The log may now have a proof that it did not have before.
	if f.intact && f.verified.Size < f.tree.Size && wrong == nil {
		return f.proveOrKeep(ctx, head)
	}
	return wrong
}

// minCatchUp is how long a step takes before its speed matters.
const minCatchUp = 5 * time.Second

// reportLimit logs what limits catching up, unless little is left, and what can be done about
// it. It returns whether it did. The speed is in entries per second.
func (f *Follower) reportLimit(limit ctlog.PaceLimit, left uint64, speed float64) bool {
	if limit == ctlog.NotLimited || left < stride || speed <= 0 {
		return false
	}
	pace := f.Reader.Pace
	about := []any{
		"log", f.name, "entries_left", left, "entries_per_second", math.Round(speed),
		"time_left", time.Duration(float64(left) / speed * float64(time.Second)).Round(time.Second),
	}
	if limit == ctlog.LimitedByMax {
		f.Logger.Info("catching up is limited by logs.max_rate; if the log's operator allows more requests, raise it", append(about, "max_rate", pace.Max())...)
	} else {
		f.Logger.Info("catching up is limited by the log, which refused or delayed requests", append(about, "requests_per_second", math.Round(pace.Rate()*10)/10)...)
	}
	return true
}

func isContent(err error) bool {
	var ce *ctlog.ContentError
	return errors.As(err, &ce)
}

// proveOrKeep is prove. If the log has no proof now, it keeps the tree, so that it need not
// be read again.
func (f *Follower) proveOrKeep(ctx context.Context, head ctwatch.Head) error {
	err := f.prove(ctx, head)
	if err == nil || ctx.Err() != nil || isRecorder(err) || f.tree.Size == f.kept.Size {
		return err
	}
	if err := f.Recorder.Keep(ctx, f.id, f.position, ctwatch.Kept{Tree: f.tree}); err != nil {
		return record(err)
	}
	f.kept = f.tree
	return err
}

// salvage keeps what a failed stride has read in order. All the rest is read again: it may
// be different then, and must not be verified together with what it was before.
func (f *Follower) salvage(ctx context.Context, head ctwatch.Head, joined *Joiner, cause error) error {
	if !f.intact || ctx.Err() != nil || isRecorder(cause) {
		return cause
	}
	if joined.End() > f.position {
		tree, err := ctlog.Append(f.tree, joined.End(), joined.Range())
		if err != nil {
			return errors.Join(cause, err)
		}
		f.tree, f.position = tree, joined.End()
		if err := f.recordPosition(ctx); err != nil {
			return err
		}
		if err := f.proveOrKeep(ctx, head); isRecorder(err) || !f.intact {
			return errors.Join(cause, err)
		}
	}
	f.tree = f.verified
	if f.kept.Size > f.verified.Size {
		f.tree = f.kept
	}
	f.position = f.tree.Size
	if err := f.Recorder.Rewind(ctx, f.id); err != nil {
		return record(err)
	}
	return cause
}

// recordPosition records the read position.
func (f *Follower) recordPosition(ctx context.Context) error {
	return record(f.Recorder.Record(ctx, ctwatch.Batch{Log: f.id, Start: f.position, End: f.position}, f.position))
}

// stride reads [start, end) and records it. It returns the batches joined, in part after an
// error. With move, the recorded read position follows what was read without a hole.
func (f *Follower) stride(ctx context.Context, start, end, size uint64, move bool) (*Joiner, error) {
	position := f.position
	joined := NewJoiner(start)
	last := f.Now()
	for b, err := range f.Reader.Read(ctx, start, end, size) {
		if err == nil {
			err = joined.Add(b)
		}
		if err != nil {
			return joined, err
		}
		if move {
			position = joined.End()
		}
		// A match is recorded at once, even while entries before it are missing; a position
		// alone can wait for a second, or for the end of the stride.
		if len(b.Found) > 0 || len(b.Malformed) > 0 || joined.End() == end || f.Now().Sub(last) >= time.Second {
			begun := time.Now()
			err := f.Recorder.Record(ctx, b, position)
			f.Reader.Hooks.took(StageRecord, begun)
			if err != nil {
				return joined, record(err)
			}
			last = f.Now()
		}
	}
	return joined, nil
}

// A Joiner joins batches that arrive in any order, and computes the compact range over those
// before the first hole.
type Joiner struct {
	start, end uint64
	hashes     []ctwatch.Hash           // over [start, end)
	early      map[uint64]ctwatch.Batch // by Start: after a hole
}

// NewJoiner returns a Joiner for batches from an index on.
func NewJoiner(start uint64) *Joiner {
	return &Joiner{start: start, end: start, early: make(map[uint64]ctwatch.Batch)}
}

// Add adds a batch. An error means that its range is invalid.
func (r *Joiner) Add(b ctwatch.Batch) error {
	r.early[b.Start] = ctwatch.Batch{Start: b.Start, End: b.End, Range: b.Range}
	for {
		next, ok := r.early[r.end]
		if !ok {
			return nil
		}
		hashes, err := ctlog.Merge(r.start, r.end, r.hashes, next.End, next.Range)
		if err != nil {
			return err
		}
		delete(r.early, r.end)
		r.hashes, r.end = hashes, next.End
	}
}

// End is the index of the first hole.
func (r *Joiner) End() uint64 { return r.end }

// Range is the compact range from the start to End.
func (r *Joiner) Range() []ctwatch.Hash { return r.hashes }
