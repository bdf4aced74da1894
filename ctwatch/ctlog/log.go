// Package ctlog reads one Certificate Transparency log: its tree heads, its entries, and
// the proofs that connect them. Log hides the two APIs of logs: RFC 6962 §4 (rfc6962.go)
// and c2sp.org/static-ct-api (static.go).
//
// What a log serves is hostile until proven: every reply is bounded in size and time, a
// tree head is returned only if its signature verifies under the log's key, and proofs are
// checked here. Entries are not checked: the caller rebuilds the tree (tree.go) and compares
// its root with that of a tree head.
//
// A call makes one attempt. The caller decides when to try again, and how many calls run
// at once; a *StatusError has the log's Retry-After.
package ctlog

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"ctwatch/ctwatch"
)

// A Log is one log. Its methods may be called concurrently.
type Log interface {
	// Info returns the facts that the log was opened with.
	Info() ctwatch.Log

	// Head fetches the current tree head and verifies its signature. A tree head
	// whose signature is wrong is a *SignatureError.
	Head(ctx context.Context) (ctwatch.Head, error)

	// Fetch reads entries from start on: at least one, and at most end-start. The size is
	// that of a verified tree head, with start < end <= size: entries past it are never
	// requested. Fewer entries than requested do not mean that the log ends there, only that
	// it returns no more at once.
	Fetch(ctx context.Context, start, end, size uint64) (*Chunk, error)

	// Prefix returns the tree of the log's first n entries, proven to be part of head's, for
	// reading to start at n. It requires n <= head.Size.
	Prefix(ctx context.Context, n uint64, head ctwatch.Head) (ctwatch.Tree, error)

	// Extends proves that head's tree begins with the size entries whose root is root. If
	// the log's proof shows otherwise, or proves nothing, the error is an
	// *InconsistencyError. It requires size <= head.Size.
	Extends(ctx context.Context, head ctwatch.Head, size uint64, root ctwatch.Hash) error

	// Issuer returns the certificate, in DER, with a SHA-256 fingerprint from the chain of
	// an entry. Only static logs have such fingerprints; for others it is an error.
	Issuer(ctx context.Context, fingerprint ctwatch.Hash) ([]byte, error)

	// Span returns how many entries one reply holds at most: as many should be requested at
	// once, from multiples of it on.
	Span() uint64
}

// Options configure how a log is read.
type Options struct {
	Client *http.Client // required
	Logger *slog.Logger // required
	// UserAgent is sent with each request, so that operators know whom to contact. The
	// default is "ctwatch".
	UserAgent string
	// Pace limits the requests; nil sets no limits.
	Pace *LogPace
	// Budget bounds the memory of replies; nil sets no bounds.
	Budget *Budget
	// Issuers are shared with other logs; nil shares them with none.
	Issuers *Issuers
}

// Open returns a reader of the log that l describes. It makes no request. The
// key, the kind and the URL of l are required, and its ID must be the key's.
func Open(l ctwatch.Log, o Options) (Log, error) {
	if o.UserAgent == "" {
		o.UserAgent = "ctwatch"
	}
	if l.ID != ctwatch.LogIDOf(l.Key) {
		return nil, fmt.Errorf("log %q: its ID %v is not the hash of its key", l.Name, l.ID)
	}
	v, err := newVerifier(l.Key)
	if err != nil {
		return nil, fmt.Errorf("log %q: %w", l.Name, err)
	}
	g, err := newGetter(l.URL, o)
	if err != nil {
		return nil, fmt.Errorf("log %q: %w", l.Name, err)
	}
	switch l.Kind {
	case ctwatch.KindRFC6962:
		if g.dir != "" {
			return nil, fmt.Errorf("log %q: only a static log can be read from files", l.Name)
		}
		return newRFC6962(l, g, v), nil
	case ctwatch.KindStatic:
		return newStatic(l, g, v, o), nil
	}
	return nil, fmt.Errorf("log %q: kind %q is neither %q nor %q", l.Name, l.Kind, ctwatch.KindRFC6962, ctwatch.KindStatic)
}
