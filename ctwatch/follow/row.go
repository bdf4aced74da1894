package follow

import (
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
)

// A Row puts batches, which arrive in any order, into a row, and computes the
// compact range over the part of it that has no hole.
type Row struct {
	start, end uint64
	hashes     []ctwatch.Hash           // over [start, end)
	early      map[uint64]ctwatch.Batch // by Start: read, but not yet in the row
}

// NewRow returns an empty row that begins at an index.
func NewRow(start uint64) *Row {
	return &Row{start: start, end: start, early: make(map[uint64]ctwatch.Batch)}
}

// Add adds a batch. An error means that the batch's range is none.
func (r *Row) Add(b ctwatch.Batch) error {
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

// End is the index after the last entry of the row.
func (r *Row) End() uint64 { return r.end }

// Range is the compact range over the row.
func (r *Row) Range() []ctwatch.Hash { return r.hashes }
