package ctlogtest

import (
	"sync"

	"ctwatch/ctwatch"
)

// This file holds the faults of what a log says: its tree heads and its entries.

// WrongRoot signs every tree head over a root that no tree has.
func WrongRoot() Fault {
	return Alter("wrong root", func(v *View) error {
		v.Head.Root[0] ^= 1
		return nil
	}).On(Heads)
}

// BadSignature spoils the log's signature of every tree head.
func BadSignature() Fault {
	return Alter("bad signature", func(v *View) error {
		v.BadSignature = true
		return nil
	}).On(Heads)
}

// Rollback signs tree heads of a smaller size, at the present time. Entries beyond
// are served all the same.
func Rollback(size uint64) Fault {
	return Alter("rollback", func(v *View) (err error) {
		v.Head.Size, v.Head.Timestamp = size, v.log.now()
		v.Head.Root, err = v.Root(size)
		return err
	}).On(Heads)
}

// StaleHead serves an old tree head again and again, with its old time.
func StaleHead(h ctwatch.Head) Fault {
	return Alter("stale head", func(v *View) error {
		v.Head = h
		return nil
	}).On(Heads)
}

// WrongOrigin changes the first line of checkpoints, and the name under which
// they are signed.
func WrongOrigin(origin string) Fault {
	return Alter("wrong origin", func(v *View) error {
		v.Origin = origin
		return nil
	}).On(Heads)
}

// Fork shows another tree, in which the entry at an index differs: tree heads,
// entries, proofs and tiles agree with each other, and are validly signed, but are
// not what the log showed before. The tree grows as the log does. A nil change
// makes the entry's timestamp another.
func Fork(index uint64, change func(*Entry)) Fault {
	f := &fork{index: index, change: orTimestamp(change)}
	return Alter("fork", f.alter)
}

type fork struct {
	index  uint64
	change func(*Entry)

	mu   sync.Mutex
	tree tree
}

func (f *fork) alter(v *View) error {
	if f.index >= v.size {
		return nil // up to here the two trees are one
	}
	v.Rewrite(f.index, f.change)
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.tree.size < v.size {
		leaf := v.tree.leaf(f.tree.size)
		if f.tree.size == f.index {
			e, err := v.entry(f.index)
			if err != nil {
				return err
			}
			leaf = leafHash(e)
		}
		if err := f.tree.append(leaf); err != nil {
			return err
		}
	}
	t := f.tree
	v.tree = &t
	var err error
	v.Head.Root, err = v.Root(v.Head.Size)
	return err
}

// AlterEntry serves an entry that is not the one in the tree; tree heads, proofs
// and hash tiles stay honest. A nil change flips one bit, in the timestamp.
func AlterEntry(index uint64, change func(*Entry)) Fault {
	return Alter("altered entry", func(v *View) error {
		v.Rewrite(index, orTimestamp(change))
		return nil
	}).On(Entries | Proofs)
}

// WrongLeafIndex serves an entry of a static log with the index of another in it.
// Its hash is thereby wrong too; AddRaw makes an entry that is wrong in the tree.
func WrongLeafIndex(index uint64) Fault {
	f := AlterEntry(index, func(e *Entry) {
		if n := len(e.Leaf); n > 0 {
			e.Leaf[n-1] ^= 1 // the extensions end in the index
		}
	})
	f.Name = "wrong leaf index"
	return f
}

// orTimestamp is change, or what flips the last bit of the timestamp.
func orTimestamp(change func(*Entry)) func(*Entry) {
	if change != nil {
		return change
	}
	return func(e *Entry) {
		if len(e.Leaf) >= 8 {
			e.Leaf[7] ^= 1
		}
	}
}

// ShortReplies gives at most n entries in a reply. RFC 6962 allows it in
// get-entries; a data tile is broken by it.
func ShortReplies(n int) Fault {
	return Alter("short replies", func(v *View) error {
		v.MaxReply, v.MaxTile = min(n, v.MaxReply), min(n, v.MaxTile)
		return nil
	}).On(Entries)
}

// EmptyReplies gives no entries at all, with status 200.
func EmptyReplies() Fault {
	f := ShortReplies(0)
	f.Name = "empty replies"
	return f
}

// TooManyEntries gives one entry more than asked for.
func TooManyEntries() Fault {
	return Alter("too many entries", func(v *View) error {
		v.Surplus = 1
		return nil
	}).On(Entries)
}

// EntriesNotYet does not give the entries from size on, though tree heads cover
// them: status 400 from an RFC 6962 log, 404 from a static one.
func EntriesNotYet(size uint64) Fault {
	return Alter("entries not yet", func(v *View) error {
		v.Readable = min(size, v.Readable)
		return nil
	}).On(Entries | Proofs)
}

// PartialGone makes partial tiles disappear as soon as the full one exists, as
// Options.DropPartials does.
func PartialGone() Fault {
	return Alter("partial tile gone", func(v *View) error {
		v.DropPartials = true
		return nil
	})
}

// NotGzip says that data tiles are compressed; they are not.
func NotGzip() Fault { return gzips("not gzip", 0, true) }

// DoubleGzip compresses data tiles twice and admits to one.
func DoubleGzip() Fault { return gzips("double gzip", 2, true) }

// UnsaidGzip compresses data tiles and does not say so.
func UnsaidGzip() Fault { return gzips("unsaid gzip", 1, false) }

func gzips(name string, times int, says bool) Fault {
	return Alter(name, func(v *View) error {
		v.Gzips, v.SaysGzip = times, says
		return nil
	}).On(Entries)
}
