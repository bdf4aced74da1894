package ctlog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/transparency-dev/merkle/compact"
	"golang.org/x/mod/sumdb/tlog"

	"ctwatch/ctwatch"
)

// staticLog reads a log through c2sp.org/static-ct-api.
type staticLog struct {
	info     ctwatch.Log
	get      *getter
	verifier *verifier
	logger   *slog.Logger
	warn     sync.Once // about the origin
	last     lastHead

	issuers *Issuers
	mu      sync.Mutex
	failed  map[ctwatch.Hash]failedIssuer
}

// A failedIssuer is an issuer that the log did not serve at the last request.
type failedIssuer struct {
	at  time.Time
	err error
}

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight

	// tileFetches bounds the hash tiles fetched at once for one proof.
	tileFetches = 4
)

func newStatic(l ctwatch.Log, g *getter, v *verifier, o Options) *staticLog {
	issuers := o.Issuers
	if issuers == nil {
		issuers = &Issuers{}
	}
	return &staticLog{info: l, get: g, verifier: v, logger: o.Logger, issuers: issuers, failed: make(map[ctwatch.Hash]failedIssuer)}
}

func (l *staticLog) Info() ctwatch.Log { return l.info }

func (l *staticLog) Span() uint64 { return tileWidth }

// Head implements Log with the log's checkpoint.
func (l *staticLog) Head(ctx context.Context) (ctwatch.Head, error) {
	raw, err := l.get.get(ctx, "checkpoint", maxHead)
	if err != nil {
		return ctwatch.Head{}, fmt.Errorf("checkpoint: %w", err)
	}
	head, err := l.last.or(raw, func() (ctwatch.Head, error) {
		head, origin, err := parseCheckpoint(raw, l.info.ID, l.verifier)
		head.Origin = origin
		return head, err
	})
	if err != nil {
		return ctwatch.Head{}, err
	}
	origin := head.Origin
	if want := Origin(l.info); want != "" && origin != want {
		l.warn.Do(func() {
			l.logger.Warn("checkpoint's origin is not the log's submission prefix; it is accepted, since its signature is good",
				"log", l.info.Name, "origin", ctwatch.Printable(origin, 200), "want", want)
		})
	}
	return head, nil
}

// Origin returns the first line of a static log's checkpoints
// (c2sp.org/static-ct-api#checkpoints), by its submission prefix; "" if that is unknown.
func Origin(l ctwatch.Log) string {
	_, rest, _ := strings.Cut(l.SubmissionURL, "://")
	return strings.TrimSuffix(rest, "/")
}

// Fetch implements Log with one data tile.
func (l *staticLog) Fetch(ctx context.Context, start, end, size uint64) (*Chunk, error) {
	if start >= end || end > size {
		return nil, fmt.Errorf("entries [%d, %d) of a tree of size %d: no such range", start, end, size)
	}
	n := start / tileWidth
	first := n * tileWidth
	end = min(end, first+tileWidth)
	width := min(size-first, tileWidth)
	buf := &buffer{free: l.get.budget.free}
	if err := l.tile(ctx, "tile/data/", n, width, maxEntries, buf); err != nil {
		buf.release()
		return nil, fmt.Errorf("data tile %d: %w", n, err)
	}
	c, err := parseTile(buf, tileName("tile/data/", n, width), first, start, end)
	if err != nil {
		buf.release()
		return nil, err
	}
	return c, nil
}

// tileName returns the path of a tile.
func tileName(prefix string, n, width uint64) string {
	if width == tileWidth {
		return prefix + tilePath(n)
	}
	return fmt.Sprintf("%s%s.p/%d", prefix, tilePath(n), width)
}

// tile fetches a tile of the given width into buf. A log may delete a partial tile once the
// full one exists, which begins with the same bytes.
func (l *staticLog) tile(ctx context.Context, prefix string, n, width uint64, limit int64, buf *buffer) error {
	err := l.get.getInto(ctx, tileName(prefix, n, width), limit, buf)
	if width < tileWidth && isStatus(err, http.StatusNotFound, http.StatusGone, http.StatusForbidden) {
		if l.get.getInto(ctx, tileName(prefix, n, tileWidth), limit, buf) == nil {
			return nil
		}
	}
	return err
}

// tilePath returns a tile's index as groups of three digits, all but the last with a leading
// x (c2sp.org/tlog-tiles#parameters).
func tilePath(n uint64) string {
	s := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		s = fmt.Sprintf("x%03d/%s", n%1000, s)
	}
	return s
}

// Prefix implements Log with hash tiles, each authenticated against the head.
func (l *staticLog) Prefix(ctx context.Context, n uint64, head ctwatch.Head) (ctwatch.Tree, error) {
	if n == 0 {
		return ctwatch.Tree{}, nil
	}
	if n > head.Size {
		return ctwatch.Tree{}, fmt.Errorf("tree of the first %d entries: the log has %d", n, head.Size)
	}
	var indexes []int64
	for _, id := range compact.RangeNodes(0, n, nil) {
		indexes = append(indexes, tlog.StoredHashIndex(int(id.Level), int64(id.Index)))
	}
	tr := &tileReader{ctx: ctx, log: l}
	hs, err := tlog.TileHashReader(tlog.Tree{N: int64(head.Size), Hash: tlog.Hash(head.Root)}, tr).ReadHashes(indexes)
	if err != nil {
		if tr.err == nil { // all tiles were fetched, so their content is wrong
			err = tr.wrong(head)
		}
		return ctwatch.Tree{}, fmt.Errorf("tree of the first %d entries: %w", n, err)
	}
	t := ctwatch.Tree{Size: n}
	for _, h := range hs {
		t.Range = append(t.Range, ctwatch.Hash(h))
	}
	return t, nil
}

// Extends implements Log with hash tiles, authenticated against the head: they give the root
// that the smaller tree must have.
func (l *staticLog) Extends(ctx context.Context, head ctwatch.Head, size uint64, root ctwatch.Hash) error {
	if size > head.Size {
		return fmt.Errorf("a tree of size %d cannot extend one of size %d", head.Size, size)
	}
	want := head.Root
	if size == 0 {
		return nil
	} else if size < head.Size {
		t, err := l.Prefix(ctx, size, head)
		if err != nil {
			return err
		}
		if want, err = Root(t); err != nil {
			return err
		}
	}
	if root != want {
		return &InconsistencyError{Size: size, Root: root, Head: head, Err: fmt.Errorf("the log's tiles give the root %v", want)}
	}
	return nil
}

// Issuer implements Log. It does not request a certificate that is known from any log, and
// waits before it requests again what the log failed to serve.
func (l *staticLog) Issuer(ctx context.Context, fingerprint ctwatch.Hash) ([]byte, error) {
	der, err := l.issuers.Get(ctx, fingerprint)
	if err != nil || der != nil {
		return der, err
	}
	l.mu.Lock()
	f, ok := l.failed[fingerprint]
	l.mu.Unlock()
	if ok && time.Since(f.at) < issuerPause {
		return nil, f.err
	}
	der, err = l.fetchIssuer(ctx, fingerprint)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		if len(l.failed) >= maxIssuers {
			clear(l.failed)
		}
		l.failed[fingerprint] = failedIssuer{time.Now(), err}
		return nil, err
	}
	delete(l.failed, fingerprint)
	l.issuers.put(fingerprint, der)
	return der, nil
}

func (l *staticLog) fetchIssuer(ctx context.Context, fingerprint ctwatch.Hash) ([]byte, error) {
	b, err := l.get.get(ctx, "issuer/"+hex.EncodeToString(fingerprint[:]), maxIssuer)
	if err != nil {
		return nil, fmt.Errorf("issuer %v: %w", fingerprint, err)
	}
	if sha256.Sum256(b) != fingerprint {
		return nil, fmt.Errorf("issuer %v: the log served another certificate, %x", fingerprint, sha256.Sum256(b))
	}
	return b, nil
}
