package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
)

// A wire serves logs and their list, and notes what clients call themselves.
type wire struct {
	mu     sync.Mutex
	agents map[string][]string // by the first element of the path
}

func (w *wire) note(r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	what := strings.Split(r.URL.Path, "/")[1]
	if ua := r.Header.Get("User-Agent"); !slices.Contains(w.agents[what], ua) {
		w.agents[what] = append(w.agents[what], ua)
	}
}

func (w *wire) seen(what string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.agents[what])
}

// TestUserAgentOnTheWire: every request to a log of either kind, and for the list, says
// who asks; by the daemon as by scan.
func TestUserAgentOnTheWire(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	w := &wire{agents: make(map[string][]string)}
	mux := http.NewServeMux()
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.note(r)
		mux.ServeHTTP(rw, r)
	}))
	t.Cleanup(srv.Close)
	s.logs = nil
	var infos []ctwatch.Log
	for _, kind := range []ctwatch.LogKind{ctwatch.KindStatic, ctwatch.KindRFC6962} {
		l, err := ctlogtest.New(ctlogtest.Options{Name: string(kind), Kind: kind, URL: srv.URL + "/" + string(kind) + "/", MaxAge: 10 * time.Second})
		s.check(err)
		mux.Handle("/"+string(kind)+"/", http.StripPrefix("/"+string(kind), l))
		s.logs, infos = append(s.logs, l), append(infos, l.Info())
	}
	s.fill(300)
	s.publish()
	list, err := ctlogtest.ListJSON(time.Now(), infos...)
	s.check(err)
	mux.HandleFunc("/list.json", func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(list) })

	d := s.start(s.config(fmt.Sprintf(`logs: {list: %q, list_key: "", start: beginning, poll: 100ms, max_rate: 10000, contact: ct@watchers.io}
`, srv.URL+"/list.json")))
	s.untilVerified()
	d.stop()
	for _, what := range []string{"list.json", string(ctwatch.KindStatic), string(ctwatch.KindRFC6962)} {
		ua := w.seen(what)
		if len(ua) != 1 || !strings.HasPrefix(ua[0], "ctwatch/") || !strings.HasSuffix(ua[0], " (ct@watchers.io)") || strings.Count(ua[0], "(") != 1 {
			t.Errorf("%s was asked by %q", what, ua)
		}
	}

	dir := t.TempDir()
	for contact, suffix := range map[string]string{"https://watchers.io/ct": " (https://watchers.io/ct)", "": ""} {
		clear(w.agents)
		args := []string{"scan", "--data", dir, "--log", srv.URL + "/static/", "--key", base64.StdEncoding.EncodeToString(infos[0].Key), "--watch", "example.com"}
		if contact != "" {
			args = append(args, "--contact", contact)
		}
		var errs strings.Builder
		if code := run(context.Background(), environment{Args: args, Stdout: io.Discard, Stderr: &errs, LookupEnv: func(string) (string, bool) { return "", false }}); code != exitDone {
			t.Fatalf("scan ended with %d: %s", code, &errs)
		}
		if ua := w.seen("static"); len(ua) != 1 || !strings.HasSuffix(ua[0], suffix) || strings.Contains(ua[0], "(") != (suffix != "") {
			t.Errorf("scan --contact %q asked as %q", contact, ua)
		}
	}
}
