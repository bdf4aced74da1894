package ctlog

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"ctwatch/ctwatch"
)

// A SignatureError means that a tree head is not signed by the log's key.
type SignatureError struct {
	Raw []byte // the reply
	Err error
}

func (e *SignatureError) Error() string { return "tree head: " + e.Err.Error() }
func (e *SignatureError) Unwrap() error { return e.Err }

// An InconsistencyError means that the log does not prove that a tree head extends a smaller
// tree.
type InconsistencyError struct {
	Size uint64       // of the smaller tree
	Root ctwatch.Hash // of the smaller tree, as known here
	Head ctwatch.Head
	Err  error
}

func (e *InconsistencyError) Error() string {
	return fmt.Sprintf("the tree of size %d with root %v is not a prefix of the tree head of size %d: %v", e.Size, e.Root, e.Head.Size, e.Err)
}
func (e *InconsistencyError) Unwrap() error { return e.Err }

// A StatusError means that a reply has another HTTP status than 200.
type StatusError struct {
	URL        string
	Code       int
	RetryAfter time.Duration // 0 if the log asks for none
	Body       string        // the beginning of the reply, printable
}

func (e *StatusError) Error() string {
	s := fmt.Sprintf("%s: status %d", e.URL, e.Code)
	if e.Body != "" {
		s += ": " + e.Body
	}
	return s
}

// isStatus reports whether err is a reply with one of the statuses.
func isStatus(err error, codes ...int) bool {
	var se *StatusError
	if !errors.As(err, &se) {
		return false
	}
	for _, c := range codes {
		if se.Code == c {
			return true
		}
	}
	return false
}

// A ContentError means that a complete reply is invalid: its entries cannot be delimited or
// have other indexes, or its hashes are not those of the signed tree. One may be an accident
// on the way. A log that serves nothing else misbehaves.
type ContentError struct {
	Path string       // of the reply, below the log's URL
	Hash ctwatch.Hash // SHA-256 of the reply, after decompression
	Want string       // what it must be
	// Start and End are the entries that cannot be read because of it; equal if it is not
	// about entries.
	Start, End uint64
	Err        error
}

func (e *ContentError) Error() string { return fmt.Sprintf("%s: %v", e.Path, e.Err) }
func (e *ContentError) Unwrap() error { return e.Err }

// A source describes a reply, for a ContentError.
type source struct {
	path, want string
	body       []byte
	end        uint64 // of the entries that cannot be read if one cannot; 0: only that entry
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
