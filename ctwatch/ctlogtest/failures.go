package ctlogtest

import (
	"bytes"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/klauspost/compress/gzip"
)

// Faults in how a log answers: status, time, and bodies.

// Status answers with a status, and with Retry-After if that is not zero.
func Status(code int, retryAfter time.Duration) Fault {
	return Wrap("status "+strconv.Itoa(code), func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if retryAfter > 0 {
				w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter.Round(time.Second)/time.Second)))
			}
			http.Error(w, http.StatusText(code), code)
		})
	})
}

// Redirect redirects the reader.
func Redirect(url string) Fault {
	return Wrap("redirect", func(http.Handler) http.Handler {
		return http.RedirectHandler(url, http.StatusFound)
	})
}

// IssuerMissing answers 404 for issuers.
func IssuerMissing() Fault {
	f := Status(http.StatusNotFound, 0).On(Issuers)
	f.Name = "issuer missing"
	return f
}

// MissingTile answers 404 for a tile, full and partial, that the log should have: of a level
// of hash tiles, or of DataTile.
func MissingTile(level int, n int64) Fault {
	f := Status(http.StatusNotFound, 0).When(func(r *http.Request) bool {
		t, err := parseTile(r.URL.Path)
		return err == nil && t.L == level && t.N == n
	})
	f.Name = "missing tile"
	return f
}

// Hang does not answer until release is closed or the reader cancels. A nil release is never
// closed.
func Hang(release <-chan struct{}) Fault {
	return Wrap("hang", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
				next.ServeHTTP(w, r)
			case <-r.Context().Done():
				abort()
			}
		})
	})
}

// abort ends the connection: a handler that returns has answered 200. net/http recovers from
// this panic.
func abort() { panic(http.ErrAbortHandler) }

// SlowBy answers after a delay.
func SlowBy(d time.Duration) Fault {
	return Wrap("slow", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			t := time.NewTimer(d)
			defer t.Stop()
			select {
			case <-t.C:
				next.ServeHTTP(w, r)
			case <-r.Context().Done():
				abort()
			}
		})
	})
}

// LatencyEvery answers each nth request after a delay.
func LatencyEvery(n int, d time.Duration) Fault { return SlowBy(d).Every(n) }

// TruncatedBody ends the connection in the middle of the body.
func TruncatedBody() Fault {
	return body("truncated body", func(w http.ResponseWriter, _ *http.Request, b []byte) {
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		_, _ = w.Write(b[:len(b)/2])
	})
}

// HalfBody serves the first half of the body as if it were complete.
func HalfBody() Fault {
	return body("half body", func(w http.ResponseWriter, _ *http.Request, b []byte) {
		w.Header().Set("Content-Length", strconv.Itoa(len(b)/2))
		_, _ = w.Write(b[:len(b)/2])
	})
}

// EndlessBody serves the first half of the body and does not end.
func EndlessBody() Fault {
	return body("endless body", func(w http.ResponseWriter, r *http.Request, b []byte) {
		w.Header().Del("Content-Length")
		_, err := w.Write(b[:len(b)/2])
		for more := bytes.Repeat([]byte("A"), 32<<10); err == nil && r.Context().Err() == nil; {
			_, err = w.Write(more)
		}
	})
}

// GzipBomb serves an endless stream of zeros, compressed.
func GzipBomb() Fault {
	return body("gzip bomb", func(w http.ResponseWriter, r *http.Request, _ []byte) {
		w.Header().Del("Content-Length")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		var err error
		for zeros := make([]byte, 1<<20); err == nil && r.Context().Err() == nil; {
			_, err = z.Write(zeros)
		}
	})
}

// GarbageBody serves a page of HTML with status 200, as front ends do when the log is down.
func GarbageBody() Fault {
	const page = "<!DOCTYPE html>\n<html><head><title>We'll be right back</title></head><body>Maintenance.</body></html>\n"
	return body("garbage body", func(w http.ResponseWriter, _ *http.Request, _ []byte) {
		w.Header().Del("Content-Encoding")
		reply(w, "text/html; charset=utf-8", []byte(page))
	})
}

// body returns a fault that changes the body of replies with status 200.
func body(name string, spoil func(w http.ResponseWriter, r *http.Request, body []byte)) Fault {
	return Wrap(name, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := recorder{header: make(http.Header), code: http.StatusOK}
			next.ServeHTTP(&rec, r)
			maps.Copy(w.Header(), rec.header)
			if rec.code == http.StatusOK {
				spoil(w, r, rec.body.Bytes())
				return
			}
			w.WriteHeader(rec.code)
			_, _ = w.Write(rec.body.Bytes())
		})
	})
}

// A recorder stores a reply. (That of httptest would add a flag to every program that uses
// this package.)
type recorder struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(code int)        { r.code = code }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }
