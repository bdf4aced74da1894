// Package ctlogtest provides a Certificate Transparency log in process, of either kind: RFC
// 6962, or c2sp.org/static-ct-api. It is for logs what net/http/httptest is for web servers:
// real HTTP, real signatures, a real Merkle tree, no network.
//
// A Log issues SCTs and grows (AddPrecert, AddFinal, Fill, Publish), returns what a reader
// should find in it (Truth), counts requests (Requests), and misbehaves on request (SetFault)
// in each of the ways in which logs do. A CA issues the certificates.
//
// It shares no code with the packages that read logs, so that an error in one is not in both.
package ctlogtest

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"strings"
	"sync"
	"time"

	"ctwatch/ctwatch"
)

// Options configure a log. The zero value is an RFC 6962 log.
type Options struct {
	Name     string          // default "test <kind>"
	Operator string          // default "ctlogtest"
	Kind     ctwatch.LogKind // default ctwatch.KindRFC6962

	// Key signs SCTs and tree heads: ECDSA P-256, or RSA. Default: a new P-256 key.
	Key crypto.Signer
	// Now is the log's clock. Default time.Now.
	Now func() time.Time

	// URL is the prefix of the log's URLs if something other than Serve serves it. Default:
	// the address of Serve's listener.
	URL string
	// Origin is the first line of a static log's checkpoints. Default: the URL
	// without scheme and trailing slash.
	Origin string

	// MaxReply is the most entries in one get-entries reply. Default 256.
	MaxReply int
	// Align makes get-entries replies end at multiples of MaxReply, as some logs do.
	Align bool
	// Hybrid makes an RFC 6962 log serve tiles as well, though no checkpoint.
	Hybrid bool

	// Gzip makes a static log serve data tiles compressed, whether or not the client accepts
	// that.
	Gzip bool
	// DropPartials makes a static log delete a partial tile as soon as a published tree fills
	// it.
	DropPartials bool
	// Witnesses adds signature lines to a static log's checkpoints, as real ones have: one
	// too short to be read and one Ed25519, both under the log's name, and one under another
	// name. The log's own is then the third.
	Witnesses bool

	// AutoPublish signs a new tree head whenever something is added.
	AutoPublish bool
	// MaxAge makes a log sign its published tree again, with the present time, when an older
	// tree head is requested, as real logs do although nothing was added. 0: only Publish
	// signs.
	MaxAge time.Duration
	// FillNames returns the names of the filler at an index, the same for each call. Default:
	// names that no one watches.
	FillNames func(index uint64) []string
}

// A Log is a log. Its methods may be called concurrently.
type Log struct {
	opt  Options
	id   ctwatch.LogID
	spki []byte

	mu        sync.RWMutex
	url       string
	records   []record // by index
	tree      tree
	issuers   map[ctwatch.Hash][]byte // by fingerprint
	published ctwatch.Head            // without Raw
	sizes     []uint64                // of every signed tree head: which partial tiles exist
	filler    *CA                     // issues the fillers; nil before the first

	faults   faults
	requests requests
}

// New returns a log with a published tree head of size 0.
func New(opt Options) (*Log, error) {
	opt.Kind = cmp.Or(opt.Kind, ctwatch.KindRFC6962)
	if opt.Kind != ctwatch.KindRFC6962 && opt.Kind != ctwatch.KindStatic {
		return nil, fmt.Errorf("log kind %q: want %q or %q", opt.Kind, ctwatch.KindRFC6962, ctwatch.KindStatic)
	}
	opt.Name = cmp.Or(opt.Name, "test "+string(opt.Kind))
	opt.Operator = cmp.Or(opt.Operator, "ctlogtest")
	opt.MaxReply = cmp.Or(opt.MaxReply, 256)
	if opt.MaxReply < 0 {
		return nil, fmt.Errorf("log %q: a reply of at most %d entries", opt.Name, opt.MaxReply)
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Key == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("making the key of log %q: %w", opt.Name, err)
		}
		opt.Key = key
	}
	if opt.URL != "" && !strings.HasSuffix(opt.URL, "/") {
		opt.URL += "/"
	}
	spki, err := x509.MarshalPKIXPublicKey(opt.Key.Public())
	if err != nil {
		return nil, fmt.Errorf("the key of log %q: %w", opt.Name, err)
	}
	if _, err := signatureAlgorithm(opt.Key); err != nil {
		return nil, fmt.Errorf("log %q: %w", opt.Name, err)
	}
	l := &Log{
		opt: opt, id: ctwatch.LogIDOf(spki), spki: spki,
		url:     cmp.Or(opt.URL, "http://unserved.invalid/"),
		issuers: make(map[ctwatch.Hash][]byte),
	}
	_, err = l.Publish()
	return l, err
}

// now returns the log's time with the resolution of RFC 6962.
func (l *Log) now() time.Time {
	return l.opt.Now().UTC().Truncate(time.Millisecond)
}

// Publish signs a tree head at the present time over all that was added.
func (l *Log) Publish() (ctwatch.Head, error) {
	l.mu.Lock()
	err := l.publishLocked()
	l.mu.Unlock()
	if err != nil {
		return ctwatch.Head{}, err
	}
	return l.Head()
}

func (l *Log) publishLocked() error {
	root, err := l.tree.root(l.tree.size)
	if err != nil {
		return err
	}
	l.published = ctwatch.Head{Size: l.tree.size, Root: root, Timestamp: l.now()}
	l.signedLocked(l.tree.size)
	return nil
}

// freshen signs the published tree again if its tree head is older than MaxAge.
func (l *Log) freshen() {
	if l.opt.MaxAge <= 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := l.now(); now.Sub(l.published.Timestamp) > l.opt.MaxAge {
		l.published.Timestamp = now
	}
}

// Head returns the published tree head; Raw is the reply with it.
func (l *Log) Head() (ctwatch.Head, error) {
	v := l.view()
	raw, err := v.rawHead()
	v.Head.Raw = raw
	return v.Head, err
}

// Size returns the number of entries added, published or not.
func (l *Log) Size() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.tree.size
}

// Entry returns the entry at an index, published or not.
func (l *Log) Entry(index uint64) (Entry, error) {
	l.mu.RLock()
	if index >= l.tree.size {
		defer l.mu.RUnlock()
		return Entry{}, fmt.Errorf("entry %d: the log has %d", index, l.tree.size)
	}
	r := l.records[index]
	l.mu.RUnlock()
	return r.entry(index)
}

// Info returns what a log list would say about the log.
func (l *Log) Info() ctwatch.Log {
	info := ctwatch.Log{
		ID: l.id, Name: l.opt.Name, Operator: l.opt.Operator, Kind: l.opt.Kind, State: ctwatch.LogUsable,
		Key: l.spki, URL: l.URL(), MMD: 24 * time.Hour,
	}
	if l.opt.Kind == ctwatch.KindStatic {
		info.SubmissionURL, info.MMD = info.URL, time.Minute
	}
	return info
}

// origin returns the first line of checkpoints.
func (l *Log) origin() string {
	_, bare, _ := strings.Cut(l.URL(), "://")
	return cmp.Or(l.opt.Origin, strings.TrimSuffix(bare, "/"))
}
