package ctlog

import (
	"crypto/sha256"
	"fmt"

	"ctwatch/ctwatch"
)

// A ContentError is a reply that came whole, in the form that such replies have, and says
// what it must not: entries that cannot be told apart, or that say they are others; hashes
// that are not those of the signed tree. One may be a mishap on the way. A log that serves
// nothing else breaks its promises.
type ContentError struct {
	Path string       // of the reply, below the log's URL
	Hash ctwatch.Hash // SHA-256 of the reply, after decompression
	Want string       // what it has to be
	// Start and End are the entries that cannot be read for it; equal where it is not
	// about entries.
	Start, End uint64
	Err        error
}

func (e *ContentError) Error() string { return fmt.Sprintf("%s: %v", e.Path, e.Err) }
func (e *ContentError) Unwrap() error { return e.Err }

// A source is what was read, for a ContentError.
type source struct {
	path, want string
	body       []byte
	end        uint64 // of the entries that cannot be read if one cannot; 0: only that one
}

func (s *source) wrong(index uint64, err error) error {
	end := s.end
	if end == 0 {
		end = index + 1
	}
	return &ContentError{Path: s.path, Hash: sha256.Sum256(s.body), Want: s.want, Start: index, End: end, Err: fmt.Errorf("entry %d: %w", index, err)}
}

func (s *source) wrongProof(err error) error {
	return &ContentError{Path: s.path, Hash: sha256.Sum256(s.body), Want: s.want, Err: err}
}
