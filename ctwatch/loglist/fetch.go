package loglist

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"ctwatch/files"
)

// published is a list as it was published, with its validators (RFC 9110 §8.8).
type published struct {
	data, sig          []byte
	etag, lastModified string
}

func (p published) same(q published) bool {
	return string(p.data) == string(q.data) && string(p.sig) == string(q.sig) &&
		p.etag == q.etag && p.lastModified == q.lastModified
}

// A fetcher reads a list, and its signature if there is a key.
type fetcher interface {
	// fetch returns errNotModified if the list is the one we have.
	fetch(ctx context.Context, have published) (published, error)
	// name returns the location without secrets.
	name() string
}

var errNotModified = errors.New("not modified")

// maxSignature bounds a signature, in bytes; an RSA one of 4096 bits has 512.
const maxSignature = 16 << 10

func newFetcher(c Config) (fetcher, error) {
	scheme, _, isURL := strings.Cut(c.Location, "://")
	switch {
	case c.Location == "":
		return nil, errors.New("log list: want a URL or a file")
	case !isURL:
		return fileFetcher{c.Location, c.Key != nil}, nil
	case scheme == "file":
		return fileFetcher{strings.TrimPrefix(c.Location, "file://"), c.Key != nil}, nil
	case scheme != "http" && scheme != "https":
		return nil, fmt.Errorf("log list: cannot be read by %q, want http, https or a file", scheme)
	}
	u, err := url.Parse(c.Location)
	if err != nil || u.Host == "" {
		return nil, errors.New("log list: its URL cannot be parsed")
	}
	client := *c.Client
	client.CheckRedirect = sameHost
	return &httpFetcher{u, c.Key != nil, &client, c.UserAgent}, nil
}

// signaturePath returns the path of the signature, as Google has it: .sig next to .json.
func signaturePath(path string) string { return strings.TrimSuffix(path, ".json") + ".sig" }

type fileFetcher struct {
	path   string
	signed bool
}

func (f fileFetcher) name() string { return f.path }

func (f fileFetcher) fetch(context.Context, published) (p published, err error) {
	if p.data, err = files.Read(f.path, MaxSize); err != nil {
		return published{}, fmt.Errorf("reading the log list: %w", err)
	}
	if f.signed {
		if p.sig, err = files.Read(signaturePath(f.path), maxSignature); err != nil {
			return published{}, fmt.Errorf("reading the signature of the log list: %w", err)
		}
	}
	return p, nil
}

type httpFetcher struct {
	url       *url.URL
	signed    bool
	client    *http.Client
	userAgent string
}

func (f *httpFetcher) name() string { return nameOf(f.url) }

// nameOf returns a URL without the user and the query, which may be secrets.
func nameOf(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}

func (f *httpFetcher) fetch(ctx context.Context, have published) (published, error) {
	p, err := f.get(ctx, f.url, have, MaxSize)
	if err != nil || !f.signed {
		return p, err
	}
	u := *f.url
	u.Path, u.RawPath = signaturePath(u.Path), ""
	sig, err := f.get(ctx, &u, published{}, maxSignature)
	if err != nil {
		return published{}, fmt.Errorf("the signature of the log list: %w", err)
	}
	p.sig = sig.data
	return p, nil
}

func (f *httpFetcher) get(ctx context.Context, u *url.URL, have published, limit int64) (published, error) {
	fail := func(err error) (published, error) {
		return published{}, fmt.Errorf("fetching %s: %w", nameOf(u), err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fail(errors.New("the URL is not valid"))
	}
	if f.userAgent != "" {
		req.Header.Set("User-Agent", f.userAgent)
	}
	conditional := have.etag != "" || have.lastModified != ""
	if have.etag != "" {
		req.Header.Set("If-None-Match", have.etag)
	}
	if have.lastModified != "" {
		req.Header.Set("If-Modified-Since", have.lastModified)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		// The client's error repeats the URL with its query.
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return fail(err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotModified && conditional:
		return published{}, errNotModified
	case resp.StatusCode != http.StatusOK:
		return fail(fmt.Errorf("status %d, want 200", resp.StatusCode))
	}
	data, err := readAll(resp.Body, limit)
	if err != nil {
		return fail(err)
	}
	return published{
		data: data, etag: bounded(resp.Header.Get("ETag")), lastModified: bounded(resp.Header.Get("Last-Modified")),
	}, nil
}

// bounded drops a validator that is too long to store and send back.
func bounded(validator string) string {
	if len(validator) > 1000 {
		return ""
	}
	return validator
}

// sameHost refuses redirects to another host or from https to http: the configuration says
// where a list is.
func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	switch {
	case len(via) > 5:
		return errors.New("more than 5 redirects")
	case req.URL.Host != first.Host:
		return fmt.Errorf("refused a redirect to another host, %q", req.URL.Host)
	case req.URL.Scheme != first.Scheme && req.URL.Scheme != "https":
		return fmt.Errorf("refused a redirect from %s to %s", first.Scheme, req.URL.Scheme)
	}
	return nil
}

// readAll reads at most limit bytes; more is an error.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("more than the %d bytes allowed", limit)
	}
	return data, nil
}
