package publish

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ctwatch/pins/format"
)

const (
	defaultMaxAge = 5 * time.Minute
	retryAfter    = time.Minute      // after which what is withheld may be asked for again
	sourceTimeout = 10 * time.Second // for the source to answer
	typeJSON      = "application/json"
	neverStored   = "no-store"
)

// Options are what a handler is made of.
type Options struct {
	Source  Source
	Ring    *Ring
	Formats []format.Format  // nil means format.All()
	MaxAge  time.Duration    // for which caches may keep what they have; 0 means 5 minutes
	Now     func() time.Time // nil means time.Now
	Logger  *slog.Logger
}

type handler struct {
	source  Source
	ring    *Ring
	maxAge  time.Duration
	now     func() time.Time
	log     *slog.Logger
	formats map[string]format.Format // by name
	kinds   map[string]string        // by what stands after the dot

	rendered rendered
}

// NewHandler serves everything below /pins/ to everybody, by GET and HEAD:
//
//	/pins/{app}.{file}  the pins of an app. The file is jws, wultra, the name of a
//	                    format, or the extension of one: json (ours), xml (Android),
//	                    plist (iOS), kt (OkHttp) and so on. A jws is in the compact
//	                    serialization, signed by the active key, or, if the client
//	                    would rather have application/jose+json, in the general JSON
//	                    one, signed by the next key too while there is one.
//	/pins/{app}/wultra  the static document, or what answers a challenge if there is
//	                    one in HeaderChallenge
//	/pins/jwks.json     the public keys
//
// The name of an app is any text, escaped as a segment of a path. Of an app that is
// called "jwks" the JSON form alone has no path of its own; its others have.
//
// A reply that is no document is {"error": TEXT}: 404 for no such app or form, 405
// for another method, 400 for a bad challenge, 409 for a form that cannot express
// these pins (the text says why; it may with others), 503 with {"reasons": []} and
// Retry-After for pins that are withheld (files as soon as one host is, documents if
// all are), and 500, whose cause is only logged.
func NewHandler(o Options) http.Handler {
	h := &handler{
		source: o.Source, ring: o.Ring, maxAge: cmp.Or(o.MaxAge, defaultMaxAge), now: o.Now, log: o.Logger,
		formats:  make(map[string]format.Format),
		kinds:    map[string]string{kindJWS: kindJWS, kindWultra: kindWultra},
		rendered: rendered{pages: make(map[[2]string]*kept)},
	}
	if h.now == nil {
		h.now = time.Now
	}
	if o.Formats == nil {
		o.Formats = format.All()
	}
	for _, f := range o.Formats {
		h.formats[f.Name] = f
		h.kinds[f.Name] = f.Name
	}
	for _, f := range o.Formats { // the first of an extension has it
		if ext := strings.TrimPrefix(f.Extension, "."); h.kinds[ext] == "" {
			h.kinds[ext] = f.Name
		}
	}
	return h
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		fail(w, http.StatusMethodNotAllowed, "This can be read, and nothing else.")
		return
	}
	t, ok := parsePath(r.URL.EscapedPath())
	if t.jwks {
		h.serve(w, r, newPage(h.ring.Keys().JWKS(), TypeJWKS), h.maxAge)
		return
	}
	kind := h.kinds[t.file]
	if !ok || kind == "" {
		notFound(w)
		return
	}
	doc, ok := h.document(w, r, t.app)
	if !ok {
		return
	}
	if _, file := h.formats[kind]; doc.NoFiles != nil && (file || kind == kindWultra && len(doc.Leaves) == 0) {
		withhold(w, doc.NoFiles)
		return
	}
	w.Header().Set("Last-Modified", doc.Issued.UTC().Format(http.TimeFormat))
	keys := h.ring.Keys()
	switch kind {
	case kindJWS:
		w.Header().Set("Vary", "Accept")
		if prefers(strings.Join(r.Header.Values("Accept"), ","), TypeGeneral, TypeCompact) {
			kind = kindGeneral
		}
	case kindWultra:
		w.Header().Set("Vary", HeaderChallenge) // or caches would answer challenges
		if challenges := r.Header.Values(HeaderChallenge); len(challenges) > 0 {
			h.challenge(w, r, doc, keys.Active, challenges)
			return
		}
	}
	page, err := h.page(doc, keys, kind)
	switch {
	case err != nil:
		h.broken(w, r, t.app, err)
	case page.refused != nil:
		refuse(w, page.refused)
	default:
		h.serve(w, r, page, min(h.maxAge, doc.Expires.Sub(h.now())))
	}
}

// document asks the source, and answers the request if there is no document.
func (h *handler) document(w http.ResponseWriter, r *http.Request, app string) (*Publication, bool) {
	ctx, cancel := context.WithTimeout(r.Context(), sourceTimeout)
	defer cancel()
	doc, err := h.source.Publication(ctx, app)
	if err == nil && !h.now().Before(doc.Expires) {
		err = &Withheld{[]string{"The last document has expired, and there is no other."}}
	}
	var withheld *Withheld
	switch {
	case err == nil:
		return doc, true
	case errors.Is(err, ErrNoApp):
		notFound(w)
	case errors.As(err, &withheld):
		withhold(w, withheld)
	default:
		h.broken(w, r, app, err)
	}
	return nil, false
}

// challenge answers one challenge. The answer is for this client and this moment.
func (h *handler) challenge(w http.ResponseWriter, r *http.Request, doc *Publication, key *Key, challenges []string) {
	err := CheckChallenge(challenges[0])
	if err == nil && len(challenges) > 1 {
		err = errors.New(HeaderChallenge + ": want one only")
	}
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	body, signature, err := WultraChallenge(doc.Leaves, key, challenges[0], h.now())
	var refused *format.RefusedError
	switch {
	case errors.As(err, &refused):
		refuse(w, refused)
	case err != nil:
		h.broken(w, r, doc.App, err)
	default:
		w.Header().Del("Last-Modified") // it is made now
		w.Header().Set(HeaderSignature, signature)
		w.Header().Set("Cache-Control", neverStored)
		write(w, http.StatusOK, typeJSON, body)
	}
}

// serve sends a page, or 304 to those who have it.
func (h *handler) serve(w http.ResponseWriter, r *http.Request, p *page, maxAge time.Duration) {
	w.Header().Set("Content-Type", p.mediaType)
	w.Header().Set("Cache-Control", "public, max-age="+seconds(maxAge))
	w.Header().Set("ETag", p.etag)
	// Without a time of modification, which would let it answer 304 by that alone:
	// new keys and certificates change a page of the same document.
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(p.body))
}

func notFound(w http.ResponseWriter) {
	fail(w, http.StatusNotFound, "There is no such app, or no such form of its pins.")
}

func withhold(w http.ResponseWriter, withheld *Withheld) {
	w.Header().Set("Retry-After", seconds(retryAfter))
	reply(w, http.StatusServiceUnavailable, struct {
		Error   string   `json:"error"`
		Reasons []string `json:"reasons"`
	}{"The pins of this app are withheld for now: keep those that you have.", append([]string{}, withheld.Reasons...)})
}

func refuse(w http.ResponseWriter, refused *format.RefusedError) {
	fail(w, http.StatusConflict, refused.Error())
}

// broken answers that something is wrong here, and logs what. Nothing is said to a
// client that has gone.
func (h *handler) broken(w http.ResponseWriter, r *http.Request, app string, err error) {
	if r.Context().Err() != nil {
		return
	}
	h.log.Error("cannot serve the pins of an app", "app", strconv.QuoteToASCII(app), "error", err)
	fail(w, http.StatusInternalServerError, "Something is wrong here. It has been logged.")
}

func fail(w http.ResponseWriter, status int, text string) {
	reply(w, status, struct {
		Error string `json:"error"`
	}{text})
}

// reply sends what is no document. It is not to be kept.
func reply(w http.ResponseWriter, status int, v any) {
	body, err := writeJSON(v)
	if err != nil { // only texts are sent
		body = []byte(`{"error":"Something is wrong here."}`)
	}
	w.Header().Del("Last-Modified")
	w.Header().Set("Cache-Control", neverStored)
	write(w, status, typeJSON, append(body, '\n'))
}

func write(w http.ResponseWriter, status int, mediaType string, body []byte) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }
