package ctlogtest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/mod/sumdb/tlog"

	"ctwatch/ctwatch"
)

// Tiles are subtrees of height 8 (c2sp.org/static-ct-api, Merkle Tree).
const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

// DataTile is the level of data tiles, as opposed to hash tiles.
const DataTile = -1

// parseTile parses a tile's path. tlog's paths also have the tile height.
func parseTile(path string) (tlog.Tile, error) {
	rest, ok := strings.CutPrefix(path, "/tile/")
	if !ok {
		return tlog.Tile{}, fmt.Errorf("%q is not the path of a tile", path)
	}
	return tlog.ParseTilePath(fmt.Sprintf("tile/%d/%s", tileHeight, rest))
}

// tilePath is the inverse of parseTile, without the leading slash.
func tilePath(t tlog.Tile) string {
	return "tile/" + strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", tileHeight))
}

// serveTile answers for hash tiles and data tiles, full and partial.
func (v *View) serveTile(w http.ResponseWriter, r *http.Request) {
	t, err := parseTile(r.URL.Path)
	if err != nil || !v.hasTile(t) {
		http.NotFound(w, r)
		return
	}
	var body []byte
	if t.L == DataTile {
		body, err = v.dataTile(t)
		for i := 0; i < v.Gzips && err == nil; i++ {
			body, err = compressed(body)
		}
		if v.DeclareGzip {
			w.Header().Set("Content-Encoding", "gzip")
		}
	} else {
		body, err = tlog.ReadTileData(t, v.tree)
	}
	if err != nil {
		serverError(w, err)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=604800, immutable")
	reply(w, "application/octet-stream", body)
}

// hasTile reports whether the log has a tile: a full one, or a partial one for the size of a
// signed tree head.
func (v *View) hasTile(t tlog.Tile) bool {
	shift := tileHeight * max(t.L, 0)
	if t.L > 5 || t.N > 1<<40 {
		return false
	}
	nodes := uint64(t.N)*tileWidth + uint64(t.W) // of the level, once the tile is so wide
	if nodes > v.size>>shift || t.L == DataTile && nodes > v.Readable {
		return false
	}
	if t.W == tileWidth {
		return true
	}
	full := nodes - uint64(t.W) + tileWidth
	if v.DropPartials && full <= v.size>>shift {
		return false
	}
	if v.Head.Size>>shift == nodes {
		return true
	}
	i, _ := slices.BinarySearch(v.sizes, nodes<<shift)
	return i < len(v.sizes) && v.sizes[i]>>shift == nodes
}

// dataTile encodes the TileLeaf sequence of a data tile.
func (v *View) dataTile(t tlog.Tile) ([]byte, error) {
	start := uint64(t.N) * tileWidth
	entries, err := v.entries(start, start+uint64(t.W), v.MaxTile)
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	for _, e := range entries {
		e.addTileLeaf(&b)
	}
	return b.Bytes()
}

// serveIssuer answers for certificates of issuers.
func (v *View) serveIssuer(w http.ResponseWriter, r *http.Request) {
	fingerprint, err := ctwatch.ParseHash(strings.TrimPrefix(r.URL.Path, "/issuer/"))
	v.log.mu.RLock()
	der := v.log.issuers[fingerprint]
	v.log.mu.RUnlock()
	if err != nil || der == nil || strings.ToLower(r.URL.Path) != r.URL.Path {
		http.NotFound(w, r)
		return
	}
	reply(w, "application/pkix-cert", der)
}

func compressed(b []byte) ([]byte, error) {
	var buf bytes.Buffer
	z, err := gzip.NewWriterLevel(&buf, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(b); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// WriteTree writes the published tree as the files of a static log: checkpoint, tile/ and
// issuer/, uncompressed. A tree that was written before grows. The checkpoint is replaced
// last, so that a reader finds all that it covers.
func (l *Log) WriteTree(dir string) error {
	if l.opt.Kind != ctwatch.KindStatic {
		return fmt.Errorf("log %q is not a static log: it has no files", l.opt.Name)
	}
	v := l.view()
	hashTiles := tlog.NewTiles(tileHeight, 0, int64(v.size))
	for _, t := range hashTiles {
		body, err := tlog.ReadTileData(t, v.tree)
		if err == nil {
			err = writeFile(dir, tilePath(t), body)
		}
		if err == nil && t.L == 0 {
			t.L = DataTile
			if body, err = v.dataTile(t); err == nil {
				err = writeFile(dir, tilePath(t), body)
			}
		}
		if err != nil {
			return fmt.Errorf("writing %s: %w", tilePath(t), err)
		}
	}
	l.mu.RLock()
	issuers := make([][]byte, 0, len(l.issuers))
	for _, der := range l.issuers {
		issuers = append(issuers, der)
	}
	l.mu.RUnlock()
	for _, der := range issuers {
		name := "issuer/" + ctwatch.Hash(sha256.Sum256(der)).String()
		if err := writeFile(dir, name, der); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	checkpoint, err := v.rawHead()
	if err != nil {
		return err
	}
	if err := writeFile(dir, "checkpoint", checkpoint); err != nil {
		return fmt.Errorf("writing checkpoint: %w", err)
	}
	return nil
}

// writeFile replaces a file as a whole.
func writeFile(dir, name string, body []byte) error {
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", body, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
