package ctlog

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"ctwatch/ctwatch"
)

// staticExtra is what follows the TimestampedEntry in a TileLeaf.
type staticExtra struct {
	precert []byte
	chain   []byte // fingerprints of the chain, 32 bytes each
}

func (x staticExtra) decode() Extra {
	e := Extra{Precert: x.precert}
	for rest := x.chain; len(rest) > 0 && len(e.ChainFingerprints) < ctwatch.MaxChain; rest = rest[len(ctwatch.Hash{}):] {
		e.ChainFingerprints = append(e.ChainFingerprints, ctwatch.Hash(rest))
	}
	return e
}

// parseTile parses the data tile (c2sp.org/static-ct-api#log-entries) in buf, whose first
// entry has index first, and returns its entries [start, end). A tile is a sequence of
//
//	TimestampedEntry timestamped_entry;
//	precert: opaque pre_certificate<1..2^24-1>;
//	Fingerprint certificate_chain<0..2^16-1>;
//
// and cannot be read after the first entry that cannot be delimited.
func parseTile(buf *buffer, path string, first, start, end uint64) (*Chunk, error) {
	src := source{path: path, want: fmt.Sprintf("the entries from %d on, each with its own index", first), body: buf.body, end: end}
	if utf8.Valid(buf.body[:min(len(buf.body), 1<<10)]) { // no entry is
		return nil, fmt.Errorf("%s is text, not a data tile: a front end may have answered instead of the log", path)
	}
	rest := buf.body
	index := first
	for ; index < start; index++ {
		e := Entry{Index: index}
		var err error
		if rest, err = e.parseTileLeaf(rest); err != nil {
			return nil, src.wrong(start, fmt.Errorf("entry %d before it: %w", index, err))
		}
	}
	decode := func(e *Entry) (bool, error) {
		if index == end {
			if end%tileWidth == 0 && len(rest) > 0 {
				return false, fmt.Errorf("%d bytes after the last entry of the tile", len(rest))
			}
			return false, nil
		}
		var err error
		if rest, err = e.parseTileLeaf(rest); err != nil {
			return false, err
		}
		index++
		return true, nil
	}
	return &Chunk{Start: start, Bytes: int64(len(buf.body)), source: src, buf: buf, decode: decode}, nil
}

// parseTileLeaf parses the TileLeaf at the start of b into e, whose index is set, and returns
// what follows it.
func (e *Entry) parseTileLeaf(b []byte) (rest []byte, err error) {
	extensions, rest, err := e.parseTimestamped(b)
	if err != nil {
		return nil, err
	}
	e.Leaf = b[:len(b)-len(rest)]
	e.misplaced = checkLeafIndex(extensions, e.Index)
	ok := true
	if e.Precert {
		if e.static.precert, rest, ok = vector(rest, 3); !ok {
			return nil, errShort
		}
	}
	if e.static.chain, rest, ok = vector(rest, 2); !ok {
		return nil, errShort
	}
	if len(e.static.chain)%len(ctwatch.Hash{}) != 0 {
		return nil, fmt.Errorf("chain of %d bytes is not a list of fingerprints", len(e.static.chain))
	}
	return rest, nil
}

// extensionLeafIndex is the type of the leaf_index extension, a uint40.
const extensionLeafIndex = 0

// checkLeafIndex compares the index in an entry's extensions with that of its place. Entries
// archived from RFC 6962 logs have none.
//
//	struct { ExtensionType type; opaque data<0..2^16-1>; } Extension
func checkLeafIndex(extensions []byte, index uint64) error {
	for len(extensions) > 0 {
		kind := extensions[0]
		data, rest, ok := vector(extensions[1:], 2)
		if !ok {
			return fmt.Errorf("extensions: %w", errShort)
		}
		extensions = rest
		if kind != extensionLeafIndex {
			continue
		}
		if len(data) != 5 {
			return errors.New("the leaf_index extension does not have 5 bytes")
		}
		var got uint64
		for _, c := range data {
			got = got<<8 | uint64(c)
		}
		if got != index {
			return fmt.Errorf("the entry has index %d", got)
		}
	}
	return nil
}
