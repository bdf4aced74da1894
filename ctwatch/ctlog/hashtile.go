package ctlog

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"ctwatch/ctwatch"
)

// tileReader fetches the hash tiles that a tlog.TileHashReader asks for.
type tileReader struct {
	ctx context.Context
	log *staticLog

	tiles []tlog.Tile // of the last ReadTiles, and their contents
	data  [][]byte
	err   error // why one of them could not be fetched
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
	r.tiles, r.data, r.err = tiles, out, g.Wait()
	return out, r.err
}

// SaveTiles implements tlog.TileReader. Proofs are too rare for a cache.
func (r *tileReader) SaveTiles([]tlog.Tile, [][]byte) {}

var errTile = errors.New("the hash tile does not hash to the signed root")

// wrong returns which of the tiles is bad if they do not hash to a head's root: one whose
// root is not what the tile above has, or else the topmost tile of the right edge.
func (r *tileReader) wrong(head ctwatch.Head) error {
	type place struct {
		level int
		n     int64
	}
	at := make(map[place]int)
	top := 0
	for i, t := range r.tiles {
		at[place{t.L, t.N}] = i
		if t.L > r.tiles[top].L {
			top = i
		}
	}
	blame := func(i int, want string) error {
		t := r.tiles[i]
		return &ContentError{
			Path: tileName(fmt.Sprintf("tile/%d/", t.L), uint64(t.N), uint64(t.W)),
			Hash: sha256.Sum256(r.data[i]), Want: want, Err: errTile,
		}
	}
	for i, t := range r.tiles {
		parent, ok := at[place{t.L + 1, t.N / tileWidth}]
		if !ok || t.W < tileWidth {
			continue
		}
		offset := int(t.N%tileWidth) * tlog.HashSize
		if above := r.data[parent]; offset+tlog.HashSize <= len(above) {
			want := ctwatch.Hash(above[offset : offset+tlog.HashSize])
			if rootOf(r.data[i]) != want {
				return blame(i, fmt.Sprintf("hashes with the root %v, as the tile above says", want))
			}
		}
	}
	if len(r.tiles) == 0 {
		return errTile
	}
	return blame(top, fmt.Sprintf("hashes that, with those of the tiles below it at the right edge, lead to the root %v, which it signed for size %d", head.Root, head.Size))
}

// rootOf returns the root of a full tile.
func rootOf(tile []byte) ctwatch.Hash {
	hashes := make([]ctwatch.Hash, 0, tileWidth)
	for ; len(tile) > 0; tile = tile[tlog.HashSize:] {
		hashes = append(hashes, ctwatch.Hash(tile))
	}
	return fold(hashes)
}
