package ctlog_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
	"ctwatch/ctwatch/ctlogtest"
)

// start serves a log with n fillers and opens it.
func start(t *testing.T, o ctlogtest.Options, n int) (*ctlogtest.Log, ctlog.Log) {
	t.Helper()
	l, err := ctlogtest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	stop, err := l.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	if err := l.Fill(n); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Publish(); err != nil {
		t.Fatal(err)
	}
	return l, open(t, l.Info())
}

func open(t *testing.T, info ctwatch.Log) ctlog.Log {
	t.Helper()
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	log, err := ctlog.Open(info, ctlog.Options{Client: &http.Client{Transport: tr}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// kinds runs a test against a log of each kind, with n fillers.
func kinds(t *testing.T, n int, f func(t *testing.T, l *ctlogtest.Log, log ctlog.Log)) {
	for name, o := range map[string]ctlogtest.Options{
		"rfc6962":         {Kind: ctwatch.KindRFC6962},
		"rfc6962 aligned": {Kind: ctwatch.KindRFC6962, Align: true, MaxReply: 64},
		"static":          {Kind: ctwatch.KindStatic},
		"static as real":  {Kind: ctwatch.KindStatic, Gzip: true, DropPartials: true, Witnesses: true},
	} {
		t.Run(name, func(t *testing.T) {
			l, log := start(t, o, n)
			f(t, l, log)
		})
	}
}

// leaves reads the leaf hashes of [start, end).
func leaves(t *testing.T, log ctlog.Log, start, end, size uint64) []ctwatch.Hash {
	t.Helper()
	var out []ctwatch.Hash
	for at := start; at < end; {
		c, err := log.Fetch(t.Context(), at, end, size)
		if err != nil {
			t.Fatal(err)
		}
		var e ctlog.Entry
		for c.Next(&e) {
			if e.Err != nil || e.Index != at {
				t.Fatalf("entry %d came as %d: %v", at, e.Index, e.Err)
			}
			out = append(out, e.LeafHash())
			at++
		}
		if err := c.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// The entries of either kind of log hash to the signed root.
func TestEntriesHashToSignedRoot(t *testing.T) {
	kinds(t, 1300, func(t *testing.T, l *ctlogtest.Log, log ctlog.Log) {
		head, err := log.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want, err := l.Head()
		if err != nil {
			t.Fatal(err)
		}
		if head.Size != 1300 || head.Root != want.Root || !head.Timestamp.Equal(want.Timestamp) {
			t.Fatalf("tree head %d %v at %v, want %d %v at %v", head.Size, head.Root, head.Timestamp, want.Size, want.Root, want.Timestamp)
		}
		all := leaves(t, log, 0, 1300, 1300)
		// Whatever spans the tree is put together from, its root is the same.
		for _, cut := range []uint64{0, 1, 2, 255, 256, 257, 700, 1024, 1299, 1300} {
			tree, err := ctlog.Append(ctwatch.Tree{}, cut, ctlog.RangeOf(0, append([]ctwatch.Hash(nil), all[:cut]...)))
			if err != nil {
				t.Fatal(err)
			}
			tree, err = ctlog.Append(tree, 1300, ctlog.RangeOf(cut, append([]ctwatch.Hash(nil), all[cut:]...)))
			if err != nil {
				t.Fatal(err)
			}
			if root, err := ctlog.Root(tree); err != nil || root != head.Root {
				t.Errorf("cut at %d: root %v (%v), signed is %v", cut, root, err, head.Root)
			}
		}
	})
}

// Prefix returns the tree at any size, and proves it.
func TestPrefix(t *testing.T) {
	kinds(t, 1300, func(t *testing.T, l *ctlogtest.Log, log ctlog.Log) {
		head, err := log.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all := leaves(t, log, 0, 1300, 1300)
		for _, n := range []uint64{0, 1, 2, 3, 255, 256, 257, 512, 1000, 1299, 1300} {
			tree, err := log.Prefix(t.Context(), n, head)
			if err != nil {
				t.Fatalf("prefix of %d: %v", n, err)
			}
			tree, err = ctlog.Append(tree, 1300, ctlog.RangeOf(n, append([]ctwatch.Hash(nil), all[n:]...)))
			if err != nil {
				t.Fatal(err)
			}
			if root, err := ctlog.Root(tree); err != nil || root != head.Root {
				t.Errorf("from %d: root %v (%v), signed is %v", n, root, err, head.Root)
			}
		}
	})
}

// Extends proves true prefixes, and only those.
func TestExtends(t *testing.T) {
	kinds(t, 700, func(t *testing.T, l *ctlogtest.Log, log ctlog.Log) {
		old, err := log.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Fill(600); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Publish(); err != nil {
			t.Fatal(err)
		}
		head, err := log.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := log.Extends(t.Context(), head, old.Size, old.Root); err != nil {
			t.Error(err)
		}
		if err := log.Extends(t.Context(), head, head.Size, head.Root); err != nil {
			t.Error(err)
		}
		if err := log.Extends(t.Context(), head, 0, ctwatch.Hash{}); err != nil {
			t.Error(err)
		}
		for _, size := range []uint64{1, old.Size, head.Size} {
			var ie *ctlog.InconsistencyError
			if err := log.Extends(t.Context(), head, size, ctwatch.Hash{1}); !errors.As(err, &ie) {
				t.Errorf("a root that size %d never had: %v, want an *InconsistencyError", size, err)
			}
		}
		var ie *ctlog.InconsistencyError
		if err := log.Extends(t.Context(), old, head.Size, head.Root); err == nil || errors.As(err, &ie) {
			t.Errorf("a larger tree: %v, want an error that is no misbehavior", err)
		}
	})
}

// A tree head that is malformed or not signed by the log's key is an error.
func TestInvalidHeads(t *testing.T) {
	kinds(t, 10, func(t *testing.T, l *ctlogtest.Log, log ctlog.Log) {
		for _, f := range []ctlogtest.Fault{
			ctlogtest.BadSignature(), ctlogtest.GarbageBody(), ctlogtest.HalfBody(), ctlogtest.TruncatedBody(), ctlogtest.Status(503, time.Minute),
			ctlogtest.Redirect("http://localhost:1/"),
		} {
			remove := l.SetFault(f)
			h, err := log.Head(t.Context())
			if err == nil {
				t.Errorf("%s: accepted as a tree head of size %d", f.Name, h.Size)
			}
			var se *ctlog.SignatureError
			if signature := f.Name == ctlogtest.BadSignature().Name; errors.As(err, &se) != signature {
				t.Errorf("%s: %v; only a bad signature is a *SignatureError", f.Name, err)
			}
			var st *ctlog.StatusError
			if errors.As(err, &st) && (st.Code != 503 || st.RetryAfter != time.Minute) {
				t.Errorf("%s: %+v", f.Name, st)
			}
			remove()
		}
		if _, err := log.Head(t.Context()); err != nil {
			t.Errorf("honest again: %v", err)
		}
	})
}

// Replies whose entries cannot be delimited, or have other indexes, are errors.
func TestInvalidEntries(t *testing.T) {
	kinds(t, 600, func(t *testing.T, l *ctlogtest.Log, log ctlog.Log) {
		for _, f := range []ctlogtest.Fault{
			ctlogtest.GarbageBody(), ctlogtest.HalfBody(), ctlogtest.TruncatedBody(), ctlogtest.Status(429, time.Second),
			ctlogtest.EntriesNotYet(100), ctlogtest.EmptyReplies(), ctlogtest.TooManyEntries(),
		} {
			remove := l.SetFault(f.On(ctlogtest.Entries))
			c, err := log.Fetch(t.Context(), 256, 512, 600)
			var e ctlog.Entry
			n := 0
			for err == nil && c.Next(&e) {
				n++
			}
			if err == nil {
				err = c.Err()
			}
			if err == nil && n > 256 {
				t.Errorf("%s: gave %d entries without an error", f.Name, n)
			}
			if err == nil && f.Name != ctlogtest.TooManyEntries().Name {
				t.Errorf("%s: no error", f.Name)
			}
			remove()
		}
		if got := leaves(t, log, 256, 300, 600); len(got) != 44 {
			t.Errorf("honest again: %d entries", len(got))
		}
	})
}

// Fetch requests no entries past the tree.
func TestFetchRequestsNothingPastTree(t *testing.T) {
	kinds(t, 10, func(t *testing.T, l *ctlogtest.Log, log ctlog.Log) {
		before := l.Requests(ctlogtest.Entries)
		for _, r := range [][3]uint64{{10, 11, 10}, {5, 12, 10}, {5, 5, 10}, {6, 5, 10}} {
			if _, err := log.Fetch(t.Context(), r[0], r[1], r[2]); err == nil {
				t.Errorf("entries [%d, %d) of %d: no error", r[0], r[1], r[2])
			}
		}
		if n := l.Requests(ctlogtest.Entries) - before; n != 0 {
			t.Errorf("%d requests were made", n)
		}
	})
}

// If a log has deleted a partial tile because the full one exists, the full one is read.
func TestPartialTileGone(t *testing.T) {
	l, log := start(t, ctlogtest.Options{Kind: ctwatch.KindStatic, DropPartials: true}, 300)
	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Fill(300); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Publish(); err != nil {
		t.Fatal(err)
	}
	if got := leaves(t, log, 256, 300, 300); len(got) != 44 {
		t.Errorf("%d entries", len(got))
	}
	if _, err := log.Prefix(t.Context(), 299, head); err != nil {
		t.Errorf("hash tiles: %v", err)
	}
}

// Replies in gzip are read whether or not a header declares it.
func TestUndeclaredGzip(t *testing.T) {
	l, log := start(t, ctlogtest.Options{Kind: ctwatch.KindStatic}, 300)
	l.SetFault(ctlogtest.UnsaidGzip())
	if got := leaves(t, log, 0, 300, 300); len(got) != 300 {
		t.Errorf("%d entries", len(got))
	}
}

// Replies that are too long are errors.
func TestRepliesAreBounded(t *testing.T) {
	l, log := start(t, ctlogtest.Options{Kind: ctwatch.KindStatic}, 300)
	l.SetFault(ctlogtest.GzipBomb())
	if _, err := log.Fetch(t.Context(), 0, 256, 300); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a reply without end: %v", err)
	}
}

// Signatures of logs with RSA keys are verified.
func TestRSALog(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	l, log := start(t, ctlogtest.Options{Kind: ctwatch.KindRFC6962, Key: key}, 3)
	if _, err := log.Head(t.Context()); err != nil {
		t.Error(err)
	}
	l.SetFault(ctlogtest.BadSignature())
	var se *ctlog.SignatureError
	if _, err := log.Head(t.Context()); !errors.As(err, &se) {
		t.Errorf("%v, want a *SignatureError", err)
	}
}

// A checkpoint with another origin is accepted if its signature is good.
func TestAnotherOriginIsAccepted(t *testing.T) {
	l, log := start(t, ctlogtest.Options{Kind: ctwatch.KindStatic}, 3)
	l.SetFault(ctlogtest.WrongOrigin("elsewhere.example/log"))
	if h, err := log.Head(t.Context()); err != nil || h.Size != 3 {
		t.Errorf("size %d, %v: the key is what counts", h.Size, err)
	}
}

// A static log is read from files as over HTTP.
func TestLogInFiles(t *testing.T) {
	l, log := start(t, ctlogtest.Options{Kind: ctwatch.KindStatic}, 700)
	dir := t.TempDir()
	if err := l.WriteTree(dir); err != nil {
		t.Fatal(err)
	}
	want := leaves(t, log, 0, 700, 700)
	info := l.Info()
	info.URL = "file://" + dir
	files := open(t, info)
	head, err := files.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := leaves(t, files, 0, head.Size, head.Size)
	if len(got) != len(want) || got[699] != want[699] {
		t.Errorf("%d entries from files, %d over HTTP", len(got), len(want))
	}
	if _, err := files.Prefix(t.Context(), 300, head); err != nil {
		t.Error(err)
	}
}

// Issuer returns the certificate of a fingerprint, and requests it once for all logs.
func TestIssuer(t *testing.T) {
	ca, err := ctlogtest.NewCA(ctlogtest.CAOptions{})
	if err != nil {
		t.Fatal(err)
	}
	i, err := ca.Issue(ctlogtest.Request{Names: []string{"a.example"}})
	if err != nil {
		t.Fatal(err)
	}
	final, err := i.Final()
	if err != nil {
		t.Fatal(err)
	}
	kinds(t, 0, func(t *testing.T, l *ctlogtest.Log, log ctlog.Log) {
		if _, _, err := l.AddFinal(i, final); err != nil {
			t.Fatal(err)
		}
		if _, _, err := l.AddPrecert(i); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Publish(); err != nil {
			t.Fatal(err)
		}
		c, err := log.Fetch(t.Context(), 0, 2, 2)
		if err != nil {
			t.Fatal(err)
		}
		for n, precert := range []bool{false, true} {
			var e ctlog.Entry
			if !c.Next(&e) {
				t.Fatal(c.Err())
			}
			x, err := e.Extra()
			if err != nil {
				t.Fatal(err)
			}
			var issuer []byte
			if len(x.Chain) > 0 {
				issuer = x.Chain[0]
			}
			if len(x.ChainFingerprints) > 0 {
				for range 2 { // the second time from the cache
					if issuer, err = log.Issuer(t.Context(), x.ChainFingerprints[0]); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := log.Issuer(t.Context(), ctwatch.Hash{1}); err == nil {
					t.Error("an issuer that the log does not have")
				}
			}
			if sha256.Sum256(issuer) != sha256.Sum256(i.Issuer) {
				t.Errorf("entry %d: another issuer", n)
			}
			if e.Precert != precert || precert != (string(x.Precert) == string(i.Precert)) {
				t.Errorf("entry %d: precertificate %v, want %v", n, e.Precert, precert)
			}
			if want := map[bool]string{false: string(final), true: string(i.TBS)}[precert]; string(e.DER) != want {
				t.Errorf("entry %d: another certificate", n)
			}
		}
		if l.Info().Kind == ctwatch.KindStatic && l.Requests(ctlogtest.Issuers) != 2 {
			t.Errorf("%d requests for issuers, want one for the issuer, and one for one it does not have", l.Requests(ctlogtest.Issuers))
		}
	})
}

// Open refuses facts about a log that make no sense.
func TestOpenErrors(t *testing.T) {
	l, _ := start(t, ctlogtest.Options{Kind: ctwatch.KindRFC6962}, 1)
	for name, change := range map[string]func(*ctwatch.Log){
		"another ID":     func(l *ctwatch.Log) { l.ID[0]++ },
		"no key":         func(l *ctwatch.Log) { l.Key, l.ID = nil, ctwatch.LogIDOf(nil) },
		"no kind":        func(l *ctwatch.Log) { l.Kind = "" },
		"FTP":            func(l *ctwatch.Log) { l.URL = "ftp://log.example/" },
		"no host":        func(l *ctwatch.Log) { l.URL = "https:///x" },
		"files":          func(l *ctwatch.Log) { l.URL = "file:///tmp/" },
		"a host's files": func(l *ctwatch.Log) { l.Kind, l.URL = ctwatch.KindStatic, "file://host/tmp/" },
	} {
		info := l.Info()
		change(&info)
		if _, err := ctlog.Open(info, ctlog.Options{Client: http.DefaultClient, Logger: slog.New(slog.DiscardHandler)}); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}
