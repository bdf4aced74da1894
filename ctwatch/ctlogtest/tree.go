package ctlogtest

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"ctwatch/ctwatch"
)

// A tree is an append-only Merkle tree (RFC 6962 §2.1). A copy of it is a snapshot: appending
// to the original does not change it.
type tree struct {
	size   uint64
	stored []tlog.Hash // in the order of tlog.StoredHashIndex
}

// leafHash is the hash of a MerkleTreeLeaf.
func leafHash(e Entry) ctwatch.Hash {
	return ctwatch.Hash(tlog.RecordHash(e.MerkleLeaf()))
}

// append adds a leaf.
func (t *tree) append(leaf ctwatch.Hash) error {
	hashes, err := tlog.StoredHashesForRecordHash(int64(t.size), tlog.Hash(leaf), t)
	if err != nil {
		return fmt.Errorf("adding leaf %d to the tree: %w", t.size, err)
	}
	t.stored = append(t.stored, hashes...)
	t.size++
	return nil
}

// leaf returns the hash of the leaf with an index below the size.
func (t *tree) leaf(index uint64) ctwatch.Hash {
	return ctwatch.Hash(t.stored[tlog.StoredHashIndex(0, int64(index))])
}

// root returns the root of the first size leaves.
func (t *tree) root(size uint64) (ctwatch.Hash, error) {
	if size > t.size {
		return ctwatch.Hash{}, fmt.Errorf("root of %d leaves: the tree has %d", size, t.size)
	}
	h, err := tlog.TreeHash(int64(size), t)
	return ctwatch.Hash(h), err
}

// ReadHashes implements tlog.HashReader.
func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		if x < 0 || x >= int64(len(t.stored)) {
			return nil, fmt.Errorf("stored hash %d: the tree has %d", x, len(t.stored))
		}
		out[i] = t.stored[x]
	}
	return out, nil
}
