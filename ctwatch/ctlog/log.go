// Package ctlog reads one Certificate Transparency log: its tree heads, its
// entries, and the proofs that tie the two together. It knows the two APIs that
// logs speak, RFC 6962 §4 (rfc6962.go) and c2sp.org/static-ct-api (static.go),
// and hides them behind Log.
//
// What a log serves is hostile until proven: every reply is bounded in size and
// time, a tree head is returned only when its signature verifies under the log's
// key, and proofs are checked here. Entries are not: whoever reads them rebuilds
// the tree (tree.go) and compares its root with a tree head's.
//
// A call makes one attempt. When to try again, and how many calls run at once, is
// the caller's to decide; a *StatusError says what the log asked for.
package ctlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ctwatch/ctwatch"
)

// A Log is one log. Its methods may be called concurrently.
type Log interface {
	// Info returns the facts the log was opened with.
	Info() ctwatch.Log

	// Head fetches the current tree head and verifies its signature. A tree head
	// whose signature is wrong is a *SignatureError.
	Head(ctx context.Context) (ctwatch.Head, error)

	// Fetch reads entries from start on: at least one, and at most end-start. The
	// size is that of a verified tree head, with start < end <= size: entries
	// past it are never asked for. Few entries are no sign of the end, only of
	// what the log likes to give at once.
	Fetch(ctx context.Context, start, end, size uint64) (*Chunk, error)

	// Prefix returns the tree of the log's first n entries, proven to be a part of
	// head: what is needed to start reading at n. It requires n <= head.Size.
	Prefix(ctx context.Context, n uint64, head ctwatch.Head) (ctwatch.Tree, error)

	// Extends proves that head's tree begins with the size entries whose root is
	// root. Where the log's own proof shows otherwise, or the log offers one that
	// proves nothing, the error is an *InconsistencyError. It requires
	// size <= head.Size.
	Extends(ctx context.Context, head ctwatch.Head, size uint64, root ctwatch.Hash) error

	// Issuer returns the DER certificate with a SHA-256 fingerprint that an entry
	// of the log named in its chain. Only static logs name chains so; for others
	// it is an error.
	Issuer(ctx context.Context, fingerprint ctwatch.Hash) ([]byte, error)

	// Span returns the number of entries to ask for at once, and to which starts
	// of spans are best aligned: the most that one reply holds.
	Span() uint64
}

// A SignatureError is a tree head that is not signed by the log's key.
type SignatureError struct {
	Raw []byte // the reply
	Err error
}

func (e *SignatureError) Error() string { return "tree head: " + e.Err.Error() }
func (e *SignatureError) Unwrap() error { return e.Err }

// An InconsistencyError is a proof that fails: the log does not extend what it
// signed, or will not show that it does.
type InconsistencyError struct {
	Size uint64       // of the smaller tree
	Root ctwatch.Hash // of the smaller tree, as known here
	Head ctwatch.Head
	Err  error
}

func (e *InconsistencyError) Error() string {
	return fmt.Sprintf("tree of size %d with root %v is no prefix of the tree head of size %d: %v", e.Size, e.Root, e.Head.Size, e.Err)
}
func (e *InconsistencyError) Unwrap() error { return e.Err }

// A StatusError is an HTTP status other than 200.
type StatusError struct {
	URL        string
	Code       int
	RetryAfter time.Duration // what the log asked for; 0 when it did not
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
