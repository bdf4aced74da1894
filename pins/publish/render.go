package publish

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"ctwatch/pins/format"
)

// The kinds of signed documents. The other kinds are the names of formats.
const (
	kindJWS     = "jws"
	kindGeneral = "jws, JSON" // not a file name: selected by Accept
	kindWultra  = "wultra"
)

// maxRendered bounds the cache of pages, in bytes.
const maxRendered = 32 << 20

// A page is a document as served, or the reason why a format refuses it.
type page struct {
	body      []byte
	etag      string // strong: of the body
	mediaType string
	refused   *format.RefusedError
}

// rendered caches the latest page of each app and kind, so that an unchanged page is
// signed once. Requests do not wait for one another: at worst two make the same page.
type rendered struct {
	mu    sync.Mutex
	pages map[[2]string]*kept
	size  int
}

type kept struct {
	of   [sha256.Size]byte // hash of everything in the page
	page *page
}

// page returns the page of an app and kind, which it makes with made if it is not cached.
func (r *rendered) page(app, kind string, of [sha256.Size]byte, made func() (*page, error)) (*page, error) {
	name := [2]string{app, kind}
	r.mu.Lock()
	k := r.pages[name]
	r.mu.Unlock()
	if k != nil && k.of == of {
		return k.page, nil
	}
	p, err := made()
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(name)
	if size := pageSize(p); size <= maxRendered {
		for other := range r.pages { // any: making one again costs little
			if r.size+size <= maxRendered {
				break
			}
			r.forget(other)
		}
		r.pages[name] = &kept{of, p}
		r.size += size
	}
	return p, nil
}

func (r *rendered) forget(name [2]string) {
	if k := r.pages[name]; k != nil {
		r.size -= pageSize(k.page)
		delete(r.pages, name)
	}
}

// pageSize returns the size of a page in memory, roughly.
func pageSize(p *page) int { return len(p.body) + 1<<10 }

// page returns a document in a kind.
func (h *handler) page(doc *Publication, keys *Keys, kind string) (*page, error) {
	of, err := contentHash(doc, keys, kind)
	if err != nil {
		return nil, err
	}
	return h.rendered.page(doc.App, kind, of, func() (*page, error) {
		body, mediaType, err := h.write(doc, keys, kind)
		var refused *format.RefusedError
		switch {
		case errors.As(err, &refused):
			return &page{refused: refused}, nil
		case err != nil:
			return nil, err
		}
		return newPage(body, mediaType), nil
	})
}

func newPage(body []byte, mediaType string) *page {
	digest := sha256.Sum256(body)
	return &page{body: body, etag: fmt.Sprintf(`"%x"`, digest[:16]), mediaType: mediaType}
}

// contentHash hashes everything in a document of a kind.
func contentHash(doc *Publication, keys *Keys, kind string) (of [sha256.Size]byte, err error) {
	var made any = doc.Set
	switch kind {
	case kindJWS, kindGeneral:
		made = []any{doc.Payload, keys.generation}
	case kindWultra:
		made = []any{doc.Leaves, keys.generation}
	}
	hash := sha256.New()
	err = json.NewEncoder(hash).Encode(made)
	return [sha256.Size]byte(hash.Sum(nil)), err
}

func (h *handler) write(doc *Publication, keys *Keys, kind string) (body []byte, mediaType string, err error) {
	switch kind {
	case kindJWS:
		body, err = Compact(doc.Payload, keys.Active)
		return body, TypeCompact, err
	case kindGeneral:
		body, err = General(doc.Payload, keys.Signing()...)
		return body, TypeGeneral, err
	case kindWultra:
		body, err = Wultra(doc.Leaves, keys.Active)
		return body, typeJSON, err
	}
	f := h.formats[kind]
	body, err = f.Encode(doc.Set)
	return body, f.MediaType, err
}
