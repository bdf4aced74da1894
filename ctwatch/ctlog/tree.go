package ctlog

import (
	"crypto/sha256"
	"fmt"
	"math/bits"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"ctwatch/ctwatch"
)

// ranges makes compact ranges of RFC 6962 trees.
func ranges() *compact.RangeFactory {
	return &compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
}

// Root returns the root hash of a tree (RFC 6962 §2.1), from its compact range. The range of
// a tree of size n has as many hashes as n has bits set; another number is an error.
func Root(t ctwatch.Tree) (ctwatch.Hash, error) {
	if t.Size == 0 {
		return ctwatch.Hash(rfc6962.DefaultHasher.EmptyRoot()), nil
	}
	r, err := ranges().NewRange(0, t.Size, asSlices(t.Range))
	if err != nil {
		return ctwatch.Hash{}, fmt.Errorf("tree of size %d: %w", t.Size, err)
	}
	root, err := r.GetRootHash(nil)
	if err != nil {
		return ctwatch.Hash{}, fmt.Errorf("tree of size %d: %w", t.Size, err)
	}
	return ctwatch.Hash(root), nil
}

// Append adds the entries [t.Size, end), given as their compact range, to a tree.
func Append(t ctwatch.Tree, end uint64, hashes []ctwatch.Hash) (ctwatch.Tree, error) {
	merged, err := Merge(0, t.Size, t.Range, end, hashes)
	return ctwatch.Tree{Size: end, Range: merged}, err
}

// Merge joins the compact ranges over [start, mid) and [mid, end) into one.
func Merge(start, mid uint64, left []ctwatch.Hash, end uint64, right []ctwatch.Hash) ([]ctwatch.Hash, error) {
	f := ranges()
	l, err := f.NewRange(start, mid, asSlices(left))
	if err != nil {
		return nil, fmt.Errorf("range [%d, %d): %w", start, mid, err)
	}
	r, err := f.NewRange(mid, end, asSlices(right))
	if err != nil {
		return nil, fmt.Errorf("range [%d, %d): %w", mid, end, err)
	}
	if err := l.AppendRange(r, nil); err != nil {
		return nil, fmt.Errorf("joining [%d, %d) and [%d, %d): %w", start, mid, mid, end, err)
	}
	return asHashes(l.Hashes()), nil
}

// RangeOf returns the compact range of entries from index start on, by their leaf hashes. It
// overwrites leaves, to save copies.
func RangeOf(start uint64, leaves []ctwatch.Hash) []ctwatch.Hash {
	var out []ctwatch.Hash
	for len(leaves) > 0 {
		// The largest perfect subtree that begins here, by alignment and by what is left.
		n := uint64(1) << (bits.Len64(uint64(len(leaves))) - 1)
		if start != 0 {
			n = min(n, start&-start)
		}
		out = append(out, fold(leaves[:n]))
		leaves, start = leaves[n:], start+n
	}
	return out
}

// fold returns the root over a power of two of leaf hashes. It overwrites them.
func fold(h []ctwatch.Hash) ctwatch.Hash {
	var buf [1 + 2*sha256.Size]byte
	buf[0] = rfc6962.RFC6962NodeHashPrefix
	for ; len(h) > 1; h = h[:len(h)/2] {
		for i := range len(h) / 2 {
			copy(buf[1:], h[2*i][:])
			copy(buf[1+sha256.Size:], h[2*i+1][:])
			h[i] = sha256.Sum256(buf[:])
		}
	}
	return h[0]
}

func asSlices(h []ctwatch.Hash) [][]byte {
	out := make([][]byte, len(h))
	for i := range h {
		out[i] = h[i][:]
	}
	return out
}

func asHashes(b [][]byte) []ctwatch.Hash {
	out := make([]ctwatch.Hash, len(b))
	for i := range b {
		out[i] = ctwatch.Hash(b[i])
	}
	return out
}
