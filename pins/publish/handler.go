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
	retryAfter    = time.Minute      // for what is withheld
	sourceTimeout = 10 * time.Second // for the source to answer
	typeJSON      = "application/json"
	neverStored   = "no-store"
)

// Options configure a handler.
type Options struct {
	Source  Source
	Ring    *Ring
	Formats []format.Format  // nil means format.All()
	MaxAge  time.Duration    // of cached replies; 0 means 5 minutes
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
	kinds   map[string]string        // by the text after the dot

	rendered rendered
}

// NewHandler serves everything below /pins/ without authentication, by GET and HEAD:
//
//	/pins/{app}.{file}  the pins of an app. The file is jws, wultra, the name of a
//	                    format, or the extension of one: json (ours), xml (Android),
//	                    plist (iOS), kt (OkHttp) and so on. A jws is in the compact
//	                    serialization, signed by the active key, or, if the client
//	                    prefers application/jose+json, in the general JSON one, which
//	                    the next key also signs while there is one.
//	/pins/{app}/wultra  the static document, or the answer to the challenge in
//	                    HeaderChallenge
//	/pins/jwks.json     the public keys
//
// The name of an app is any text, escaped as a segment of a path. Of an app named
// "jwks", only the JSON form has no path.
//
// All other replies are {"error": TEXT}: 404 for an unknown app or form, 405 for another
// method, 400 for a bad challenge, 409 for a form that cannot express these pins (the
// text says why), 503 with {"reasons": []} and Retry-After for withheld pins (files as
// soon as one host is withheld, documents if all are), and 500, whose cause is only
// logged.
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
	for _, f := range o.Formats { // the first format with an extension gets it
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
		fail(w, http.StatusMethodNotAllowed, "Only GET and HEAD are allowed.")
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
	doc, ok := h.publication(w, r, t.app)
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
		w.Header().Set("Vary", HeaderChallenge) // so that caches do not answer challenges
		if challenges := r.Header.Values(HeaderChallenge); len(challenges) > 0 {
			h.challenge(w, r, doc, keys.Active, challenges)
			return
		}
	}
	page, err := h.page(doc, keys, kind)
	switch {
	case err != nil:
		h.internalError(w, r, t.app, err)
	case page.refused != nil:
		refuse(w, page.refused)
	default:
		h.serve(w, r, page, min(h.maxAge, doc.Expires.Sub(h.now())))
	}
}

// publication returns what the source has of an app, or answers the request with an error.
func (h *handler) publication(w http.ResponseWriter, r *http.Request, app string) (*Publication, bool) {
	ctx, cancel := context.WithTimeout(r.Context(), sourceTimeout)
	defer cancel()
	doc, err := h.source.Publication(ctx, app)
	if err == nil && !h.now().Before(doc.Expires) {
		err = &Withheld{[]string{"The last document has expired, and there is no newer one."}}
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
		h.internalError(w, r, app, err)
	}
	return nil, false
}

// challenge answers a challenge. The answer is only for this client and must not be cached.
func (h *handler) challenge(w http.ResponseWriter, r *http.Request, doc *Publication, key *Key, challenges []string) {
	err := CheckChallenge(challenges[0])
	if err == nil && len(challenges) > 1 {
		err = errors.New(HeaderChallenge + ": want only one")
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
		h.internalError(w, r, doc.App, err)
	default:
		w.Header().Del("Last-Modified") // the body is new
		w.Header().Set(HeaderSignature, signature)
		w.Header().Set("Cache-Control", neverStored)
		write(w, http.StatusOK, typeJSON, body)
	}
}

// serve sends a page, or 304 to a client that has it.
func (h *handler) serve(w http.ResponseWriter, r *http.Request, p *page, maxAge time.Duration) {
	w.Header().Set("Content-Type", p.mediaType)
	w.Header().Set("Cache-Control", "public, max-age="+seconds(maxAge))
	w.Header().Set("ETag", p.etag)
	// Without a time of modification, since only the ETag changes when new keys or
	// certificates change a page of the same document.
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
	}{"The pins of this app are withheld for now; keep the pins that you have.", append([]string{}, withheld.Reasons...)})
}

func refuse(w http.ResponseWriter, refused *format.RefusedError) {
	fail(w, http.StatusConflict, refused.Error())
}

// internalError logs an error and answers 500, unless the client is gone.
func (h *handler) internalError(w http.ResponseWriter, r *http.Request, app string, err error) {
	if r.Context().Err() != nil {
		return
	}
	h.log.Error("cannot serve the pins of an app", "app", strconv.QuoteToASCII(app), "error", err)
	fail(w, http.StatusInternalServerError, "Internal error. It has been logged.")
}

func fail(w http.ResponseWriter, status int, text string) {
	reply(w, status, struct {
		Error string `json:"error"`
	}{text})
}

// reply sends JSON that must not be cached.
func reply(w http.ResponseWriter, status int, v any) {
	body, err := writeJSON(v)
	if err != nil { // cannot happen: only texts are sent
		body = []byte(`{"error":"Internal error."}`)
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
