package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"
)

// Health answers 200: the process is alive.
func Health() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		text(w, http.StatusOK, "ok\n")
	})
}

// Ready answers 200, or 503 with the reasons why the daemon is not ready, one on each line. Alarms
// are listed in both cases; optional.
func Ready(reasons func(context.Context) []string, alarms func() []string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, body := http.StatusOK, "ready\n"
		if why := reasons(r.Context()); len(why) > 0 {
			status, body = http.StatusServiceUnavailable, "not ready: "+strings.Join(why, "\nnot ready: ")+"\n"
		}
		if alarms != nil {
			for _, a := range alarms() {
				body += "alarm: " + a + "\n"
			}
		}
		text(w, status, body)
	})
}

func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// Files serves the files of a directory, but no list of them, by the path value "file" of the
// pattern for Handle. They are read once.
func Files(folder fs.FS, contentType string) (http.Handler, error) {
	type file struct {
		body []byte
		etag string
	}
	files := make(map[string]file)
	entries, err := fs.ReadDir(folder, ".")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		body, err := fs.ReadFile(folder, e.Name())
		if err != nil {
			return nil, err
		}
		files[e.Name()] = file{body, fmt.Sprintf(`"%x"`, sha256.Sum256(body))}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, ok := files[r.PathValue("file")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Cache-Control", "public, max-age=3600")
		h.Set("ETag", f.etag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body))
	}), nil
}
