package loglist

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// load loads and says what came: the names of the logs, and from where.
func load(t testing.TB, s *Source) string {
	t.Helper()
	list, origin, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(origin, names(list.Logs))
}

// Load fetches a list over HTTP and verifies its signature.
func TestLoadOverHTTP(t *testing.T) {
	p := newPublisher(t, oneLog(t, 1, "a"))
	s, _ := p.source(t, nil)
	if got := load(t, s); got != "fetched[a]" {
		t.Error(got)
	}
	if diff := cmp.Diff([]string{"/v3/log_list.json", "/v3/log_list.sig"}, p.asked()); diff != "" {
		t.Error(diff)
	}
	if p.agents[0] != "ctwatch-test" {
		t.Errorf("user agent %q", p.agents[0])
	}
}

// A list that has not changed is requested by its ETag, and kept.
func TestRefreshNotModified(t *testing.T) {
	first := oneLog(t, 1, "a")
	p := newPublisher(t, first)
	s, _ := p.source(t, nil)
	load(t, s)
	p.asked()
	if changed, err := s.refresh(t.Context()); changed || err != nil {
		t.Errorf("unchanged list: %v, %v", changed, err)
	}
	if diff := cmp.Diff([]string{"/v3/log_list.json " + etagOf(first)}, p.asked()); diff != "" {
		t.Error(diff)
	}
	p.publish(oneLog(t, 2, "b"))
	if changed, err := s.refresh(t.Context()); !changed || err != nil || names(s.current.list.Logs)[0] != "b" {
		t.Errorf("new list: %v, %v", changed, err)
	}
}

// A list with a new date but the same logs is no change.
func TestRefreshSameLogs(t *testing.T) {
	op := operator("Op", []object{rfc6962Log(t, "a")}, nil)
	p := newPublisher(t, listOf(t, 1, op))
	s, _ := p.source(t, nil)
	load(t, s)
	p.publish(listOf(t, 2, op))
	if changed, err := s.refresh(t.Context()); changed || err != nil || s.current.list.Version != "1.2" {
		t.Errorf("got %v, %v, version %s", changed, err, s.current.list.Version)
	}
}

// After a bad list the last good one is kept, and that is logged.
func TestBadListKeepsLastGoodOne(t *testing.T) {
	good := oneLog(t, 5, "good")
	reply := func(status int, body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			w.Write(body)
		}
	}
	signed := func(list []byte) func(*publisher) {
		return func(p *publisher) { p.publish(list) }
	}
	handled := func(h http.HandlerFunc) func(*publisher) {
		return func(p *publisher) { p.set(h) }
	}
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)

	for name, test := range map[string]struct {
		spoil func(*publisher)
		want  string
		is    error
	}{
		"forged": {func(p *publisher) {
			p.mu.Lock()
			p.list = bytes.Replace(p.list, []byte("ct.example.org"), []byte("ct.example.net"), 1)
			p.mu.Unlock()
		}, "does not verify", ErrForged},
		"signature missing": {handled(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, ".sig") {
				http.NotFound(w, r)
				return
			}
			w.Write(good)
		}), "status 404", nil},
		"huge signature": {handled(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, ".sig") {
				w.Write(make([]byte, maxSignature+1))
				return
			}
			w.Write(good)
		}), "more than the 16384 bytes", nil},
		"older":        {signed(oneLog(t, 4, "old")), "older than the one in use", ErrRollback},
		"without date": {signed([]byte(`{"operators":[{"logs":[` + firstLog(t, good) + `]}]}`)), "older", ErrRollback},
		"without logs": {signed(listOf(t, 6, operator("Op", nil, nil))), "has no logs", nil},
		"all logs bad": {signed(listOf(t, 6, operator("Op", []object{{"description": "x"}}, nil))), "none of its logs", nil},
		"signed HTML":  {signed([]byte("<html>")), "<html>", nil},
		"truncated":    {signed(good[:len(good)/2]), "not JSON", nil},
		"HTML":         {handled(reply(200, []byte("<html>"))), "does not verify", ErrForged},
		"500":          {handled(reply(500, nil)), "status 500", nil},
		"empty 204":    {handled(reply(204, nil)), "status 204", nil},
		"interrupted": {handled(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "99")
			w.Write([]byte("{"))
		}), "unexpected EOF", nil},
		"huge":          {handled(huge), "more than the 16777216 bytes", nil},
		"slow":          {handled(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), "deadline exceeded", nil},
		"no server":     {func(p *publisher) { p.Listener.Close() }, "refused", nil},
		"other host":    {handled(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) }), "another host", nil},
		"redirect loop": {handled(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }), "redirects", nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPublisher(t, good)
			dir := t.TempDir()
			s, logs := p.source(t, func(c *Config) {
				c.CacheDir = dir
				c.Location += "?token=secret"
				if name == "slow" {
					c.Timeout = 200 * time.Millisecond
				}
			})
			load(t, s)
			test.spoil(p)
			p.CloseClientConnections()
			changed, err := s.refresh(t.Context())
			if changed || err == nil || !strings.Contains(err.Error(), test.want) || (test.is != nil && !errors.Is(err, test.is)) {
				t.Errorf("got %v, error %v; want one with %q", changed, err, test.want)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error contains a secret: %v", err)
			}
			if got := names(s.current.list.Logs)[0]; got != "good" {
				t.Errorf("the list in use is now %s", got)
			}

			// The same at a start: the cache has the last good list.
			c, again := s.config, new(logBuffer)
			c.Logger = loggerTo(again)
			if got := load(t, newSource(t, c)); got != "cache[good]" {
				t.Errorf("after a restart: %s", got)
			}
			for _, want := range []string{"origin=cache", "published=2026-01-05", `age="55 days"`, "using an earlier one"} {
				if !strings.Contains(again.String(), want) {
					t.Errorf("the log does not say %s:\n%s", want, again)
				}
			}
			if all := logs.String() + again.String(); strings.Contains(all, "secret") {
				t.Errorf("the log contains a secret:\n%s", all)
			}
		})
	}
}

func huge(w http.ResponseWriter, r *http.Request) {
	io.CopyN(w, zeros{}, MaxSize+2)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A list whose signature is from another version is fetched again at once.
func TestListBetweenVersionsIsFetchedAgain(t *testing.T) {
	p := newPublisher(t, oneLog(t, 1, "old"))
	next := oneLog(t, 2, "new")
	// The list changes after it was sent and before its signature is.
	p.onSig = func() {
		p.mu.Lock()
		p.onSig = nil
		p.mu.Unlock()
		p.publish(next)
	}
	s, _ := p.source(t, nil)
	if got := load(t, s); got != "fetched[new]" {
		t.Error(got)
	}
	if got := p.asked(); len(got) != 4 {
		t.Errorf("asked %q", got)
	}
}

// Redirects on the same host are followed.
func TestRedirects(t *testing.T) {
	list := oneLog(t, 1, "a")
	p := newPublisher(t, list)
	p.set(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/v3/"):
			http.Redirect(w, r, "/v4"+strings.TrimPrefix(r.URL.Path, "/v3"), http.StatusMovedPermanently)
		case strings.HasSuffix(r.URL.Path, ".sig"):
			w.Write(p.sig)
		default:
			w.Write(list)
		}
	})
	s, _ := p.source(t, nil)
	if got := load(t, s); got != "fetched[a]" {
		t.Error(got)
	}
}

// After a restart the ETag of the cache saves the transfer.
func TestCacheSavesTransferAfterRestart(t *testing.T) {
	list := oneLog(t, 1, "a")
	p := newPublisher(t, list)
	dir := t.TempDir()
	s, _ := p.source(t, func(c *Config) { c.CacheDir = dir })
	load(t, s)
	p.asked()
	s = newSource(t, s.config)
	if got := load(t, s); got != "fetched[a]" {
		t.Error(got)
	}
	if diff := cmp.Diff([]string{"/v3/log_list.json " + etagOf(list)}, p.asked()); diff != "" {
		t.Error(diff)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("in the cache: %v, %v", files, err)
	}
}

// A cache that is damaged, forged or for another list is not used.
func TestUntrustedCache(t *testing.T) {
	list := oneLog(t, 1, "a")
	for name, change := range map[string]func(t *testing.T, path string, c *Config){
		"altered": func(t *testing.T, path string, c *Config) {
			forged := bytes.Replace(list, []byte("ct.example.org"), []byte("ct.example.net"), 1)
			p := published{data: forged, sig: sign(t, list)}
			if err := newSource(t, *c).writeCache(p); err != nil {
				t.Fatal(err)
			}
		},
		"garbage":       func(t *testing.T, path string, c *Config) { write(t, path, []byte("{")) },
		"other list":    func(t *testing.T, path string, c *Config) { c.Location += "x" },
		"unreadable":    func(t *testing.T, path string, c *Config) { os.Remove(path); os.Mkdir(path, 0o700) },
		"another key":   func(t *testing.T, path string, c *Config) { c.Key, _ = LoadKey("google") },
		"no such cache": func(t *testing.T, path string, c *Config) { c.CacheDir += "/none" },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPublisher(t, list)
			dir := t.TempDir()
			s, _ := p.source(t, func(c *Config) { c.CacheDir = dir })
			load(t, s)
			p.set(http.NotFound)
			c := s.config
			c.Snapshot = oneLog(t, 1, "snapshot")
			change(t, filepath.Join(dir, cacheName), &c)
			if got := load(t, newSource(t, c)); got != "snapshot[snapshot]" {
				t.Error(got)
			}
		})
	}
}

// If the cache cannot be written, the list is used anyway.
func TestCacheWriteError(t *testing.T) {
	p := newPublisher(t, oneLog(t, 1, "a"))
	s, logs := p.source(t, func(c *Config) { c.CacheDir = filepath.Join(t.TempDir(), "none") })
	if got := load(t, s); got != "fetched[a]" {
		t.Error(got)
	}
	if !strings.Contains(logs.String(), "could not be cached") {
		t.Errorf("the log says:\n%s", logs)
	}
}

// The snapshot is used if there is no other list, and replaced by any good one.
func TestSnapshotIsLastResort(t *testing.T) {
	p := newPublisher(t, oneLog(t, 9, "newer than the snapshot"))
	p.set(http.NotFound)
	s, logs := p.source(t, func(c *Config) { c.Snapshot = oneLog(t, 8, "snapshot") })
	if got := load(t, s); got != "snapshot[snapshot]" {
		t.Error(got)
	}
	if !strings.Contains(logs.String(), "origin=snapshot") || !strings.Contains(logs.String(), "status 404") {
		t.Errorf("the log says:\n%s", logs)
	}
	p.set(nil)
	if changed, err := s.refresh(t.Context()); !changed || err != nil {
		t.Errorf("got %v, %v", changed, err)
	}
}

// Load returns an error if there is no list at all.
func TestLoadWithoutAnyList(t *testing.T) {
	for name, snapshot := range map[string][]byte{"none": nil, "bad": []byte("{")} {
		t.Run(name, func(t *testing.T) {
			s := newSource(t, Config{Location: filepath.Join(t.TempDir(), "list.json"), Snapshot: snapshot})
			if list, origin, err := s.Load(t.Context()); list != nil || origin != "" || !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "built-in copy") {
				t.Errorf("got %v, %q, %v", list, origin, err)
			}
		})
	}
}

// A list with a date in the future does not block later ones.
func TestFutureListIsReplaced(t *testing.T) {
	p := newPublisher(t, oneLog(t, 31, "future"))
	s, _ := p.source(t, func(c *Config) {
		c.Now = func() time.Time { return time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC) }
	})
	load(t, s)
	p.publish(oneLog(t, 3, "next"))
	if changed, err := s.refresh(t.Context()); !changed || err != nil {
		t.Errorf("got %v, %v", changed, err)
	}
}

// Lists in files are read with and without signatures.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "list.json")
	write(t, path, oneLog(t, 5, "a"))
	unsigned := newSource(t, Config{Location: path})
	if got := load(t, unsigned); got != "fetched[a]" {
		t.Error(got)
	}
	signed := Config{Location: "file://" + path, Key: signer().Public()}
	if _, _, err := newSource(t, signed).Load(t.Context()); err == nil || !strings.Contains(err.Error(), "list.sig") {
		t.Errorf("without a signature: %v", err)
	}
	write(t, filepath.Join(dir, "list.sig"), sign(t, oneLog(t, 5, "b")))
	if _, _, err := newSource(t, signed).Load(t.Context()); !errors.Is(err, ErrForged) {
		t.Errorf("with a wrong signature: %v", err)
	}
	// Its owner may set an unsigned file back.
	write(t, path, oneLog(t, 4, "b"))
	if changed, err := unsigned.refresh(t.Context()); !changed || err != nil {
		t.Errorf("an older file: %v, %v", changed, err)
	}
}

// NewSource refuses locations that cannot be read.
func TestNewSourceErrors(t *testing.T) {
	for _, location := range []string{"", "ftp://example.org/list.json", "https:///list.json", "https://%/"} {
		if _, err := NewSource(Config{Location: location}); err == nil {
			t.Errorf("%q is accepted", location)
		}
	}
}

// Pauses vary by a tenth, and are shorter after failures.
func TestPause(t *testing.T) {
	for _, test := range []struct {
		refresh  time.Duration
		failures int
		low, top time.Duration
	}{
		{time.Hour, 0, 54 * time.Minute, 66 * time.Minute},
		{time.Hour, 1, time.Minute, 66 * time.Second},
		{time.Hour, 2, 2 * time.Minute, 132 * time.Second},
		{time.Hour, 6, 32 * time.Minute, 32*time.Minute + 192*time.Second},
		{time.Hour, 7, time.Hour, 66 * time.Minute},
		{time.Hour, 1 << 40, time.Hour, 66 * time.Minute},
		{10 * time.Second, 3, 10 * time.Second, 11 * time.Second},
	} {
		s := newSource(t, Config{Location: "list.json", Refresh: test.refresh})
		s.failures = test.failures
		for random, want := range map[float64]time.Duration{0: test.low, 1: test.top} {
			if got := s.pause(random); got.Round(time.Millisecond) != want {
				t.Errorf("every %s after %d failures: %s, want %s", test.refresh, test.failures, got, want)
			}
		}
	}
}

// Run calls onChange for each change, and continues after failures. A file is read, so
// that the time of the synctest bubble passes at once.
func TestRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list.json")
	synctest.Test(t, func(t *testing.T) {
		logs := new(logBuffer)
		s := newSource(t, Config{Location: path, Logger: loggerTo(logs)})
		if _, _, err := s.Load(t.Context()); err == nil {
			t.Fatal("there was no list to load")
		}
		ctx, cancel := context.WithCancel(t.Context())
		changes := make(chan string, 10)
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.Run(ctx, func(l *List) { changes <- strings.Join(names(l.Logs), " ") })
		}()
		within := func(d time.Duration, want string) {
			t.Helper()
			start := time.Now()
			select {
			case got := <-changes:
				if got != want {
					t.Errorf("got list %q, want %q", got, want)
				}
			case <-time.After(d):
				t.Errorf("no list after %s, want %q", time.Since(start), want)
			}
		}

		time.Sleep(67 * time.Second) // the first try after a failure
		write(t, path, oneLog(t, 1, "a"))
		within(133*time.Second, "a")
		write(t, path, oneLog(t, 2, "b"))
		within(67*time.Minute, "b")

		write(t, path, []byte("<html>"))
		time.Sleep(24 * time.Hour)
		write(t, path, oneLog(t, 3, "c"))
		within(67*time.Minute, "c")

		same, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour)
		write(t, path, append(same, '\n'))
		time.Sleep(24 * time.Hour)
		select {
		case got := <-changes:
			t.Errorf("the same logs again: %q", got)
		default:
		}
		for _, want := range []string{"waiting for a log list", "keeping the last good one", "log list changed"} {
			if !strings.Contains(logs.String(), want) {
				t.Errorf("the log does not say %q:\n%s", want, logs)
			}
		}
		cancel()
		<-done
	})
}
