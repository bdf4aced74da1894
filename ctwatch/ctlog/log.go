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
	"fmt"
	"log/slog"
	"net/http"

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

// Options are what a log is read with.
type Options struct {
	Client *http.Client // required
	Logger *slog.Logger // required
	// UserAgent is sent with each request, so that operators know whom to ask;
	// the default is "ctwatch".
	UserAgent string
	// Pace is how fast the log may be asked; nil sets no limits.
	Pace *LogPace
	// Budget bounds the memory that replies take; nil sets no bounds.
	Budget *Budget
	// Issuers are shared with other logs; nil keeps those of this one by itself.
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
