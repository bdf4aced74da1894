package ctlogtest

import (
	"sync"

	"ctwatch/ctwatch"
)

// Faults in what a log serves: its tree heads and its entries.

// WrongRoot signs every tree head over a root that no tree has.
func WrongRoot() Fault {
	return Alter("wrong root", func(v *View) error {
		v.Head.Root[0] ^= 1
		return nil
	}).On(Heads)
}

// BadSignature damages the log's signature of every tree head.
func BadSignature() Fault {
	return Alter("bad signature", func(v *View) error {
		v.BadSignature = true
		return nil
	}).On(Heads)
}

// Rollback signs tree heads of a smaller size, at the present time. Entries beyond it are
// served anyway.
func Rollback(size uint64) Fault {
	return Alter("rollback", func(v *View) (err error) {
		v.Head.Size, v.Head.Timestamp = size, v.log.now()
		v.Head.Root, err = v.Root(size)
		return err
	}).On(Heads)
}

// StaleHead serves an old tree head, with its old time.
func StaleHead(h ctwatch.Head) Fault {
	return Alter("stale head", func(v *View) error {
		v.Head = h
		return nil
	}).On(Heads)
}

// WrongOrigin changes the first line of checkpoints, and the name of their signatures.
func WrongOrigin(origin string) Fault {
	return Alter("wrong origin", func(v *View) error {
		v.Origin = origin
		return nil
	}).On(Heads)
}

// Fork serves another tree, in which the entry at an index differs: tree heads, entries, proofs
// and tiles are consistent and validly signed, but not what the log served before. The tree
// grows with the log. A nil change alters the entry's timestamp.
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
		return nil // up to here the trees are the same
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

// AlterEntry serves an entry that differs from the one in the tree; tree heads, proofs and hash
// tiles stay correct. A nil change flips one bit of the timestamp.
func AlterEntry(index uint64, change func(*Entry)) Fault {
	return Alter("altered entry", func(v *View) error {
		v.Rewrite(index, orTimestamp(change))
		return nil
	}).On(Entries | Proofs)
}

// WrongLeafIndex serves an entry of a static log with the index of another. Its hash is wrong,
// too; AddRaw makes an entry that is also wrong in the tree.
func WrongLeafIndex(index uint64) Fault {
	f := AlterEntry(index, func(e *Entry) {
		if n := len(e.Leaf); n > 0 {
			e.Leaf[n-1] ^= 1 // the extensions end in the index
		}
	})
	f.Name = "wrong leaf index"
	return f
}

// orTimestamp returns change, or by default a function that flips the last bit of the
// timestamp.
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

// ShortReplies serves at most n entries in a reply. RFC 6962 allows it in get-entries; a data
// tile becomes invalid.
func ShortReplies(n int) Fault {
	return Alter("short replies", func(v *View) error {
		v.MaxReply, v.MaxTile = min(n, v.MaxReply), min(n, v.MaxTile)
		return nil
	}).On(Entries)
}

// EmptyReplies serves no entries, with status 200.
func EmptyReplies() Fault {
	f := ShortReplies(0)
	f.Name = "empty replies"
	return f
}

// TooManyEntries serves one entry more than requested.
func TooManyEntries() Fault {
	return Alter("too many entries", func(v *View) error {
		v.Surplus = 1
		return nil
	}).On(Entries)
}

// EntriesNotYet does not serve the entries from size on, although tree heads cover them: status
// 400 from an RFC 6962 log, 404 from a static one.
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

// NotGzip declares data tiles as compressed that are not.
func NotGzip() Fault { return compress("not gzip", 0, true) }

// DoubleGzip compresses data tiles twice and declares it once.
func DoubleGzip() Fault { return compress("double gzip", 2, true) }

// UnsaidGzip compresses data tiles without declaring it.
func UnsaidGzip() Fault { return compress("unsaid gzip", 1, false) }

func compress(name string, times int, declared bool) Fault {
	return Alter(name, func(v *View) error {
		v.Gzips, v.DeclareGzip = times, declared
		return nil
	}).On(Entries)
}
