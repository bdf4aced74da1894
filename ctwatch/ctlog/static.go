package ctlog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/transparency-dev/merkle/compact"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"ctwatch/ctwatch"
)

// staticLog reads a log through c2sp.org/static-ct-api.
type staticLog struct {
	info     ctwatch.Log
	get      *getter
	verifier *verifier
	logger   *slog.Logger
	warn     sync.Once // about the origin

	mu      sync.Mutex
	issuers map[ctwatch.Hash][]byte
}

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight

	// maxIssuers bounds the cache of issuers; there are some hundreds of them.
	maxIssuers = 4096
	// tileFetches bounds the hash tiles fetched at once for one proof.
	tileFetches = 4
)

func newStatic(l ctwatch.Log, g *getter, v *verifier, logger *slog.Logger) *staticLog {
	return &staticLog{info: l, get: g, verifier: v, logger: logger, issuers: make(map[ctwatch.Hash][]byte)}
}

func (l *staticLog) Info() ctwatch.Log { return l.info }

func (l *staticLog) Span() uint64 { return tileWidth }

// Head implements Log with the log's checkpoint.
func (l *staticLog) Head(ctx context.Context) (ctwatch.Head, error) {
	raw, err := l.get.get(ctx, "checkpoint", maxHead)
	if err != nil {
		return ctwatch.Head{}, fmt.Errorf("checkpoint: %w", err)
	}
	head, origin, err := parseCheckpoint(raw, l.info.ID, l.verifier)
	if err != nil {
		return ctwatch.Head{}, err
	}
	if want := schemaless(l.info.SubmissionURL); want != "" && origin != want {
		l.warn.Do(func() {
			l.logger.Warn("checkpoint's origin is not the log's submission prefix; its signature is good, so it is believed",
				"log", l.info.Name, "origin", ctwatch.Printable(origin, 200), "want", want)
		})
	}
	return head, nil
}

func schemaless(u string) string {
	_, rest, _ := strings.Cut(u, "://")
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
	c, err := parseTile(buf, first, start, end)
	if err != nil {
		buf.release()
		return nil, fmt.Errorf("data tile %d: %w", n, err)
	}
	return c, nil
}

// tile fetches a tile of the given width, into buf. A partial tile may be gone as soon as
// the full one exists, which begins with the same bytes.
func (l *staticLog) tile(ctx context.Context, prefix string, n, width uint64, limit int64, buf *buffer) error {
	full := prefix + tilePath(n)
	if width == tileWidth {
		return l.get.getInto(ctx, full, limit, buf)
	}
	err := l.get.getInto(ctx, fmt.Sprintf("%s.p/%d", full, width), limit, buf)
	if isStatus(err, http.StatusNotFound, http.StatusGone, http.StatusForbidden) {
		if l.get.getInto(ctx, full, limit, buf) == nil {
			return nil
		}
	}
	return err
}

// tilePath writes a tile's index as groups of three digits, all but the last
// beginning with an x (c2sp.org/tlog-tiles#parameters).
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
		if tr.err == nil { // every tile came, so it is what they say that is wrong
			err = &InconsistencyError{Size: n, Head: head, Err: err}
		}
		return ctwatch.Tree{}, fmt.Errorf("tree of the first %d entries: %w", n, err)
	}
	t := ctwatch.Tree{Size: n}
	for _, h := range hs {
		t.Range = append(t.Range, ctwatch.Hash(h))
	}
	return t, nil
}

// Extends implements Log: tiles that are authenticated against the head give the
// root that the smaller tree must have.
func (l *staticLog) Extends(ctx context.Context, head ctwatch.Head, size uint64, root ctwatch.Hash) error {
	if size > head.Size {
		return fmt.Errorf("a tree of size %d cannot extend one of size %d", head.Size, size)
	}
	want := head.Root
	if size == 0 {
		return nil
	} else if size < head.Size {
		t, err := l.Prefix(ctx, size, head)
		var ie *InconsistencyError
		if errors.As(err, &ie) {
			ie.Root = root
		}
		if err != nil {
			return err
		}
		if want, err = Root(t); err != nil {
			return err
		}
	}
	if root != want {
		return &InconsistencyError{Size: size, Root: root, Head: head, Err: fmt.Errorf("by the log's tiles its root is %v", want)}
	}
	return nil
}

// Issuer implements Log. What was fetched once is kept.
func (l *staticLog) Issuer(ctx context.Context, fingerprint ctwatch.Hash) ([]byte, error) {
	l.mu.Lock()
	b, ok := l.issuers[fingerprint]
	l.mu.Unlock()
	if ok {
		return b, nil
	}
	b, err := l.get.get(ctx, "issuer/"+hex.EncodeToString(fingerprint[:]), maxIssuer)
	if err != nil {
		return nil, fmt.Errorf("issuer %v: %w", fingerprint, err)
	}
	if sha256.Sum256(b) != fingerprint {
		return nil, fmt.Errorf("issuer %v: the log served another certificate, %x", fingerprint, sha256.Sum256(b))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.issuers) >= maxIssuers {
		clear(l.issuers)
	}
	l.issuers[fingerprint] = b
	return b, nil
}

// tileReader fetches the hash tiles that a tlog.TileHashReader asks for.
type tileReader struct {
	ctx context.Context
	log *staticLog
	err error // of the last ReadTiles: why a tile did not come
}

func (r *tileReader) Height() int { return tileHeight }

func (r *tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(tiles))
	g, ctx := errgroup.WithContext(r.ctx)
	g.SetLimit(tileFetches)
	for i, t := range tiles {
		g.Go(func() error {
			var buf buffer
			if err := r.log.tile(ctx, fmt.Sprintf("tile/%d/", t.L), uint64(t.N), uint64(t.W), maxHash, &buf); err != nil {
				return fmt.Errorf("hash tile %d/%d: %w", t.L, t.N, err)
			}
			want := t.W * tlog.HashSize
			if len(buf.body) < want {
				return fmt.Errorf("hash tile %d/%d has %d bytes: want %d", t.L, t.N, len(buf.body), want)
			}
			out[i] = buf.body[:want]
			return nil
		})
	}
	r.err = g.Wait()
	return out, r.err
}

// SaveTiles implements tlog.TileReader; proofs are too rare for a cache.
func (r *tileReader) SaveTiles([]tlog.Tile, [][]byte) {}
