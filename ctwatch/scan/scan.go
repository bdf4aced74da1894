// Package scan is the hot path: it turns a chunk of a log's entries into a batch of leaf hashes and
// matches. It is the only place that sees every entry of every log, so what only a match needs is
// done after the match.
//
// For each entry it computes the leaf hash (RFC 6962 §2.1) from the bytes as they were served, and
// compares the names and addresses of the certificate with the watch list. What cannot be parsed is
// never skipped: it is reported as malformed, and matches by what could be read. What a log serves
// with an entry but does not hash into its tree is kept only if it agrees with the entry.
package scan

import (
	"fmt"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
	"ctwatch/ctwatch/entry"
	"ctwatch/ctwatch/watchlist"
)

// A Scanner scans the chunks of one log. It may be used concurrently.
type Scanner struct {
	Log  ctwatch.Log
	List watchlist.Source // called once for each chunk
}

// Scan reads c to its end and closes it. If the entries cannot be delimited, Scan returns an error
// and the chunk must be fetched again; of a lenient chunk it returns the entries before the first
// that cannot be delimited, if there are any.
func (s *Scanner) Scan(c *ctlog.Chunk) (ctwatch.Batch, error) {
	defer c.Close()
	b := ctwatch.Batch{Log: s.Log.ID, Start: c.Start, Bytes: c.Bytes}
	leaves := make([]ctwatch.Hash, 0, 256)
	h := ctlog.NewHasher()

	matched := false
	list := s.List.Current()
	visit := entry.Visitor{Name: func(name []byte) { matched = matched || list.MatchName(name) }}
	if list.WatchesAddresses() {
		visit.IP = func(ip []byte) { matched = matched || list.MatchIP(ip) }
	}

	var e ctlog.Entry
	for c.Next(&e) {
		leaf := h.Leaf(&e)
		leaves = append(leaves, leaf)

		tbs, err := e.DER, e.Err
		if !e.Precert && len(tbs) > 0 {
			var tbsErr error
			if tbs, tbsErr = entry.TBS(e.DER); err == nil {
				err = tbsErr
			}
		}
		matched = false
		if namesErr := visit.Visit(tbs); err == nil {
			err = namesErr
		}
		if err != nil {
			b.Malformed = append(b.Malformed, ctwatch.Malformed{Index: e.Index, LeafHash: leaf, Reason: err.Error()})
		}
		if matched {
			if f, ok := s.found(list, &e, tbs, leaf); ok {
				b.Found = append(b.Found, f)
			}
		}
	}
	if err := c.Err(); err != nil && !(c.Lenient && len(leaves) > 0) {
		return ctwatch.Batch{}, fmt.Errorf("%s: %w", s.Log.Name, err)
	}
	b.End = b.Start + uint64(len(leaves))
	b.Range = ctlog.RangeOf(b.Start, leaves)
	return b, nil
}
