package ctlogtest

import (
	"crypto"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"ctwatch/ctwatch"
)

// A View is what one request is answered from: the log when the request arrived, changed by its
// faults. A fault made with Alter changes its fields.
type View struct {
	// Head is the tree head to serve. It is signed as it is, true or not.
	Head         ctwatch.Head
	Signer       crypto.Signer // signs Head
	BadSignature bool          // damage the signature
	Origin       string        // first line and key name of a checkpoint

	// Readable is the size of the tree below which entries are served.
	Readable uint64
	// MaxReply is the most entries in a get-entries reply, MaxTile in a data tile; a tile with
	// fewer than its width is invalid.
	MaxReply, MaxTile int
	// Surplus is the number of entries served beyond those requested.
	Surplus int
	// Gzips is how many times a data tile is compressed, DeclareGzip whether its
	// Content-Encoding declares it.
	Gzips       int
	DeclareGzip bool
	// DropPartials deletes partial tiles when the full one exists.
	DropPartials bool

	log     *Log
	size    uint64 // of the published tree
	records []record
	tree    *tree
	sizes   []uint64
	rewrite map[uint64]func(*Entry)
}

// view returns the current view without faults.
func (l *Log) view() *View {
	origin := l.origin()
	l.mu.RLock()
	defer l.mu.RUnlock()
	t := l.tree
	v := &View{
		Head: l.published, Signer: l.opt.Key, Origin: origin,
		Readable: l.published.Size, MaxReply: l.opt.MaxReply, MaxTile: tileWidth, DropPartials: l.opt.DropPartials,
		log: l, size: l.published.Size, records: l.records, tree: &t, sizes: l.sizes,
	}
	if l.opt.Gzip {
		v.Gzips, v.DeclareGzip = 1, true
	}
	return v
}

// signedLocked records that a tree head of some size was signed. Views share the slice: it may be
// appended to, but must be copied for anything else.
func (l *Log) signedLocked(size uint64) {
	i, found := slices.BinarySearch(l.sizes, size)
	switch {
	case found:
	case i == len(l.sizes):
		l.sizes = append(l.sizes, size)
	default:
		l.sizes = slices.Insert(slices.Clone(l.sizes), i, size)
	}
}

// Root returns the root of the first size entries of the view's tree.
func (v *View) Root(size uint64) (ctwatch.Hash, error) { return v.tree.root(size) }

// Rewrite changes how the entry at an index is served. Its hash in the tree stays.
func (v *View) Rewrite(index uint64, change func(*Entry)) {
	if v.rewrite == nil {
		v.rewrite = make(map[uint64]func(*Entry))
	}
	first := v.rewrite[index]
	v.rewrite[index] = func(e *Entry) {
		if first != nil {
			first(e)
		}
		change(e)
	}
}

// entry returns the entry at an index as it is served.
func (v *View) entry(index uint64) (Entry, error) {
	e, err := v.records[index].entry(index)
	if change := v.rewrite[index]; change != nil && err == nil {
		e.Leaf = slices.Clone(e.Leaf) // the record's is the truth
		change(&e)
	}
	return e, err
}

// entries returns the entries [start, end) for one reply, at most so many, with faults. It
// requires end <= v.size.
func (v *View) entries(start, end uint64, most int) ([]Entry, error) {
	end = min(end, start+uint64(max(0, most)))
	out := make([]Entry, 0, int(end-start)+v.Surplus)
	for i := start; i < end; i++ {
		e, err := v.entry(i)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
		out = append(out, e)
	}
	for i := range uint64(max(0, v.Surplus)) {
		e, err := v.entry(min(end+i, v.size-1))
		if err != nil {
			return nil, fmt.Errorf("surplus entry: %w", err)
		}
		out = append(out, e)
	}
	return out, nil
}

// signature returns the signature of the view's head, damaged if BadSignature is set.
func (v *View) signature() ([]byte, error) {
	s, err := signHead(v.Signer, v.Head)
	if v.BadSignature && err == nil {
		s[len(s)-1] ^= 1
	}
	return s, err
}

// rawHead encodes the view's head as the log's API serves it.
func (v *View) rawHead() ([]byte, error) {
	signature, err := v.signature()
	if err != nil {
		return nil, err
	}
	if v.log.opt.Kind == ctwatch.KindStatic {
		return signedNote(v.Origin, v.log.id, v.Head, signature, v.log.opt.Witnesses)
	}
	return encodeSTH(v.Head, signature)
}

// serveHead answers get-sth and checkpoint.
func (v *View) serveHead(w http.ResponseWriter, _ *http.Request) {
	raw, err := v.rawHead()
	if err != nil {
		serverError(w, err)
		return
	}
	v.log.mu.Lock()
	v.log.signedLocked(v.Head.Size)
	v.log.mu.Unlock()
	contentType := "application/json"
	if v.log.opt.Kind == ctwatch.KindStatic {
		contentType = "text/plain; charset=utf-8"
	}
	w.Header().Set("Cache-Control", "no-store")
	reply(w, contentType, raw)
}

func reply(w http.ResponseWriter, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the reader may be gone
}

// badRequest answers 400: an error of the reader.
func badRequest(w http.ResponseWriter, format string, args ...any) {
	http.Error(w, fmt.Sprintf(format, args...), http.StatusBadRequest)
}

// serverError answers 500: an error in this package or in a fault.
func serverError(w http.ResponseWriter, err error) {
	http.Error(w, err.Error(), http.StatusInternalServerError)
}
