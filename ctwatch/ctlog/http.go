package ctlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/retryafter"
	"ctwatch/files"
)

// Limits of one reply.
const (
	maxHead    = 1 << 20  // a tree head, a proof
	maxHash    = 256 * 32 // a hash tile
	maxIssuer  = 1 << 24  // a certificate: its length takes 24 bits
	maxEntries = 64 << 20 // entries, decompressed

	maxErrorBody = 200

	// Room for replies whose size is not known yet.
	firstReply   = 512
	firstEntries = 64 << 10
)

// getTimeout bounds one request. A log under load may take half a minute for a good reply.
const getTimeout = 90 * time.Second

// A getter fetches below one base URL, which ends in a slash.
type getter struct {
	base      string
	client    *http.Client
	userAgent string
	pace      *LogPace
	dir       string // for a file URL, its directory
	budget    *share
	usual     atomic.Int64 // size of the last reply with entries, as it came
}

func newGetter(base string, o Options) (*getter, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("log URL: %w", err)
	}
	g := &getter{base: strings.TrimSuffix(base, "/") + "/", userAgent: o.UserAgent, pace: o.Pace, budget: o.Budget.share()}
	switch u.Scheme {
	case "http", "https":
		if u.Host == "" {
			return nil, fmt.Errorf("log URL %q names no host", base)
		}
		c := *o.Client
		c.CheckRedirect = sameHost
		g.client = &c
	case "file":
		if u.Host != "" && u.Host != "localhost" {
			return nil, fmt.Errorf("log URL %q: a file URL has three slashes, as in file:///srv/log", base)
		}
		g.dir = filepath.FromSlash(u.Path)
	default:
		return nil, fmt.Errorf("log URL %q: want http, https or file", base)
	}
	return g, nil
}

// sameHost refuses redirects to other hosts: the log list says where a log is.
func sameHost(req *http.Request, via []*http.Request) error {
	if req.URL.Host != via[0].URL.Host || req.URL.Scheme != via[0].URL.Scheme {
		return fmt.Errorf("redirected to another host: %s", ctwatch.Printable(req.URL.Host, 100))
	}
	if len(via) > 3 {
		return errors.New("too many redirects")
	}
	return nil
}

// get fetches path, relative to the base, and returns the body, decompressed and at most
// limit bytes long. A status other than 200 is a *StatusError.
func (g *getter) get(ctx context.Context, path string, limit int64) ([]byte, error) {
	var buf buffer
	err := g.getInto(ctx, path, limit, &buf)
	return buf.body, err
}

// getInto is get into the body of buf, which is empty. It keeps the log's pace, and reports
// the outcome to it.
func (g *getter) getInto(ctx context.Context, path string, limit int64, buf *buffer) error {
	if g.dir != "" {
		return g.read(ctx, path, limit, buf)
	}
	if err := g.pace.Wait(ctx); err != nil {
		return err
	}
	begun := time.Now()
	err := g.request(ctx, path, limit, buf)
	if ctx.Err() == nil {
		g.pace.Done(begun.Add(buf.waited), limit == maxEntries, err)
	}
	return err
}

// request makes the one request of getInto.
func (g *getter) request(ctx context.Context, path string, limit int64, buf *buffer) error {
	timeout := getTimeout
	if limit == maxIssuer {
		timeout = issuerTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.base+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", g.userAgent)
	// With this header net/http does not decompress. It would do so only if it had
	// requested gzip itself, but static logs store and serve gzip in any case.
	req.Header.Set("Accept-Encoding", "gzip")
	resp, err := g.client.Do(req)
	if err != nil {
		return err // a *url.Error, with the URL
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
		return &StatusError{
			URL: g.base + path, Code: resp.StatusCode,
			RetryAfter: retryafter.Of(resp.Header, time.Now()),
			Body:       ctwatch.Printable(strings.TrimSpace(string(body)), maxErrorBody),
		}
	}
	if err := g.budget.take(ctx, buf); err != nil {
		return err
	}
	if err := g.receive(resp.Body, resp.ContentLength, limit, buf); err != nil {
		return fmt.Errorf("reading %s: %w", g.base+path, err)
	}
	return nil
}

// receive reads a reply of n bytes, or -1 if that is not known, into buf.
func (g *getter) receive(r io.Reader, n, limit int64, buf *buffer) error {
	if limit == maxEntries {
		n = max(n, g.usual.Load(), firstEntries)
	}
	buf.received = room(buf.received, max(n, firstReply))
	whole := int64(cap(buf.received))
	if err := buf.read(r, whole, limit); err != nil {
		return err
	}
	if limit == maxEntries {
		n := int64(len(buf.received))
		if n == whole { // there was more, or there may have been
			n *= 2
		}
		g.usual.Store(n)
	}
	return nil
}

// read is getInto for a log in files. A missing file is status 404.
func (g *getter) read(ctx context.Context, path string, limit int64, buf *buffer) error {
	name := filepath.Join(g.dir, filepath.FromSlash(path))
	f, err := files.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return &StatusError{URL: g.base + path, Code: http.StatusNotFound, Body: "no such file"}
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := g.budget.take(ctx, buf); err != nil {
		return err
	}
	if err := g.receive(f, -1, limit, buf); err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	return nil
}
