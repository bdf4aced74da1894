package follow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
)

// searchTime bounds the search for the bad entry: the alarm must not wait long for its
// details.
const searchTime = time.Minute

// reportMismatch reports that the tree rebuilt from the log's entries is not part of the
// tree it signed, and which entry is bad, if that can be found.
func (f *Follower) reportMismatch(ctx context.Context, head ctwatch.Head, tree ctwatch.Tree, root ctwatch.Hash, cause error) error {
	fault := ctwatch.Fault{
		Cause:  ctwatch.CauseRootMismatch,
		Detail: fmt.Sprintf("entries %d to %d do not hash to the root it signed for size %d", f.verified.Size, tree.Size-1, head.Size),
		Evidence: ctwatch.Evidence{
			Heads:    []ctwatch.EvidenceHead{head.Evidence()},
			Computed: &ctwatch.EvidenceRoot{Size: tree.Size, Root: root},
		},
	}
	// The search requests everything again, so it is done once: a fault that persists is
	// not reported again.
	var entry *ctwatch.EvidenceEntry
	var err error
	if !f.searched {
		sctx, cancel := context.WithTimeout(ctx, searchTime)
		entry, err = f.findBadEntry(sctx, head, tree.Size)
		cancel()
		f.searched = err == nil
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		f.Logger.Warn("the bad entry was not found", "log", f.name, "error", err)
	case entry != nil:
		fault.Evidence.Entry = entry
		fault.Detail = fmt.Sprintf("entry %d is not what it signed for size %d", entry.Index, head.Size)
	}
	if err := f.reportFault(ctx, fault, cause); isRecorder(err) {
		return err
	}
	return nil
}

// findBadEntry reads the entries from the verified position to end again and finds the
// first that is not in head's tree, by bisection: a prefix of the tree that the log can
// prove has no such entry. It returns nil if there is none: the second reading verifies, or
// the head does not even extend the verified tree.
func (f *Follower) findBadEntry(ctx context.Context, head ctwatch.Head, end uint64) (*ctwatch.EvidenceEntry, error) {
	good := f.verified
	var leaves []ctwatch.Hash
	for at := good.Size; at < end; {
		c, err := f.log.Fetch(ctx, at, end, head.Size)
		if err != nil {
			return nil, err
		}
		c.Lenient = true
		var e ctlog.Entry
		for c.Next(&e) {
			leaves = append(leaves, e.LeafHash())
			at++
		}
		err = c.Err()
		c.Close()
		if err != nil {
			return nil, err
		}
	}
	// proven reports whether the tree of the first size entries is part of head's.
	proven := func(size uint64) (bool, error) {
		hashes := append([]ctwatch.Hash(nil), leaves[:size-good.Size]...)
		t, err := ctlog.Append(good, size, ctlog.RangeOf(good.Size, hashes))
		if err != nil {
			return false, err
		}
		root, err := ctlog.Root(t)
		if err != nil {
			return false, err
		}
		err = f.log.Extends(ctx, head, size, root)
		var ie *ctlog.InconsistencyError
		if errors.As(err, &ie) || isContent(err) {
			return false, nil
		}
		return err == nil, err
	}
	if ok, err := proven(end); ok || err != nil {
		return nil, err
	}
	if good.Size > 0 {
		if ok, err := proven(good.Size); !ok || err != nil {
			return nil, err
		}
	}
	// All before lo is proven; something before hi is not.
	lo, hi := good.Size, end
	for hi-lo > 1 {
		mid := lo + (hi-lo)/2
		ok, err := proven(mid)
		if err != nil {
			return nil, err
		}
		if ok {
			lo = mid
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		// No entry is proven: the head may be wrong instead.
		return nil, nil
	}
	c, err := f.log.Fetch(ctx, lo, lo+1, head.Size)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.Lenient = true
	var e ctlog.Entry
	if !c.Next(&e) {
		return nil, c.Err()
	}
	return &ctwatch.EvidenceEntry{Index: lo, LeafHash: e.LeafHash(), Leaf: e.MerkleLeaf()}, nil
}
