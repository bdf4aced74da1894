package follow_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
)

// rewrite is a fault by which the bodies of some replies are others.
func rewrite(path string, change func([]byte) []byte) ctlogtest.Fault {
	return ctlogtest.Wrap("rewritten "+path, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := &recorded{header: make(http.Header)}
			r.Header.Del("Accept-Encoding")
			next.ServeHTTP(rec, r)
			body := change(rec.body.Bytes())
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			if rec.code != 0 {
				w.WriteHeader(rec.code)
			}
			_, _ = io.Copy(w, bytes.NewReader(body))
		})
	}).When(func(r *http.Request) bool { return strings.Contains(r.URL.Path, path) })
}

type recorded struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (r *recorded) Header() http.Header         { return r.header }
func (r *recorded) WriteHeader(code int)        { r.code = code }
func (r *recorded) Write(b []byte) (int, error) { return r.body.Write(b) }

func flip(at int) func([]byte) []byte {
	return func(b []byte) []byte {
		b = bytes.Clone(b)
		if at < len(b) {
			b[at] ^= 1
		}
		return b
	}
}

// A log is reported once for an invalid reply that persists, with the reply and the signed
// head. Entries after it are read and reported meanwhile, and once the log serves what it
// signed, everything verifies.
func TestPersistentInvalidReply(t *testing.T) {
	half := func(b []byte) []byte { return b[:len(b)/2] }
	for name, tt := range map[string]struct {
		kind  ctwatch.LogKind
		fault ctlogtest.Fault
		path  string // of the reply
	}{
		"entry with another index":    {ctwatch.KindStatic, ctlogtest.WrongLeafIndex(302), "tile/data/001"},
		"tile that ends in an entry":  {ctwatch.KindStatic, rewrite("/tile/data/001", half), "tile/data/001"},
		"leaf that is not base64":     {ctwatch.KindRFC6962, spoiled(302), "ct/v1/get-entries?"},
		"replies that end early":      {ctwatch.KindRFC6962, cutShort(302), "ct/v1/get-entries?"},
		"several leaves of this kind": {ctwatch.KindRFC6962, spoiled(302, 303, 900), "ct/v1/get-entries?"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, ctlogtest.Options{Kind: tt.kind, MaxAge: 10 * time.Second})
				r.fill(300)
				r.follow(beginning)
				old := r.publish()
				r.verified(old.Size)
				remove := r.log.SetFault(tt.fault)
				r.fill(700)
				id := r.precert("a." + watched)
				size := r.publish().Size

				begun := time.Now()
				r.until("the log to be reported", func() bool { return len(r.of(ctwatch.LogMisbehaved)) > 0 })
				if took := time.Since(begun); took < 30*poll {
					t.Errorf("reported after %v, which may be a mishap", took)
				}
				e := r.of(ctwatch.LogMisbehaved)[0].Data.Evidence
				if e.Cause != ctwatch.CauseInvalidReply || e.Reply == nil || !strings.HasPrefix(e.Reply.Path, tt.path) || e.Reply.SHA256 == (ctwatch.Hash{}) ||
					e.Reply.Want == "" || len(e.Heads) != 1 || e.Heads[0].Size != size || len(e.Heads[0].Raw) == 0 {
					t.Errorf("evidence %+v, reply %+v", e, e.Reply)
				}
				r.until("what is behind it to be reported", func() bool { return r.issued()[id] == 1 && r.status().Position == size })
				time.Sleep(10 * time.Second)
				if s := r.status(); s.Verified > 302 || s.Healthy || s.LastError == "" {
					t.Errorf("while it lasts: %+v", s)
				}
				if n := len(r.of(ctwatch.LogMisbehaved)); n != 1 {
					t.Errorf("reported %d times", n)
				}
				remove()
				r.verified(size)
				r.until("the log to behave", func() bool { return r.status().Healthy })
				if got := r.issued(); got[id] != 1 || len(r.of(ctwatch.LogMisbehaved)) != 1 {
					t.Errorf("reported in the end: %v, reported %d times", got, len(r.of(ctwatch.LogMisbehaved)))
				}
			})
		})
	}
}

// cutShort is a fault by which a reply of an RFC 6962 log ends before an entry.
func cutShort(index int) ctlogtest.Fault {
	return rewrite("/get-entries", func(b []byte) []byte { return b[:len(b)/2] }).When(func(r *http.Request) bool {
		start, _ := strconv.Atoi(r.URL.Query().Get("start"))
		end, _ := strconv.Atoi(r.URL.Query().Get("end"))
		return start <= index && index <= end
	}).On(ctlogtest.Entries)
}

// spoiled is a fault by which the leaves of some entries of an RFC 6962 log are not base64.
func spoiled(indexes ...int) ctlogtest.Fault {
	return ctlogtest.Wrap("spoiled leaf", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := &recorded{header: make(http.Header)}
			next.ServeHTTP(rec, r)
			start, _ := strconv.Atoi(r.URL.Query().Get("start"))
			const begin = `"leaf_input":"`
			parts := strings.Split(rec.body.String(), begin)
			for _, index := range indexes {
				if i := index - start + 1; i > 0 && i < len(parts) {
					parts[i] = "*" + parts[i][1:]
				}
			}
			_, _ = io.WriteString(w, strings.Join(parts, begin))
		})
	}).On(ctlogtest.Entries)
}

// A log with an entry in its signed tree that has another index can never serve a right
// one. It is reported, and read on and verified, so that it cannot hide later entries.
func TestWrongIndexInTree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, ctlogtest.Options{Kind: ctwatch.KindStatic})
		r.fill(300)
		r.follow(beginning)
		r.verified(r.publish().Size)
		i, err := r.ca.Issue(ctlogtest.Request{Names: []string{"a." + watched}})
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := ctlogtest.Timestamped(time.Now(), &i.IssuerKeyHash, i.TBS, ctlogtest.LeafIndex(7))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.log.AddRaw(ctlogtest.Entry{Leaf: leaf, Precert: i.Precert, Chain: i.PrecertChain}); err != nil {
			t.Fatal(err)
		}
		behind := r.precert("b." + watched)
		size := r.publish().Size
		r.verified(size)
		if got := r.issued(); got[i.ID] != 1 || got[behind] != 1 {
			t.Errorf("reported: %v", got)
		}
		reports := r.of(ctwatch.LogMisbehaved)
		if len(reports) != 1 || reports[0].Data.Evidence.Reply == nil {
			t.Errorf("reported: %+v", reports)
		}
		if n := len(r.of(ctwatch.EntryMalformed)); n != 1 {
			t.Errorf("%d reports that the entry is malformed", n)
		}
	})
}

// A log whose hash tiles do not hash to the signed root is reported for them, not for its
// entries. Reading continues without them.
func TestWrongHashTiles(t *testing.T) {
	for name, tt := range map[string]struct {
		start ctwatch.Start
		tile  string
	}{
		"below another":   {ctwatch.Start{Back: time.Hour}, "/tile/0/001"},
		"the topmost one": {ctwatch.Start{}, "/tile/1/000"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, ctlogtest.Options{Kind: ctwatch.KindStatic})
				r.fill(300)
				r.publish()
				time.Sleep(50 * time.Hour)
				r.fill(700)
				remove := r.log.SetFault(rewrite(tt.tile, flip(40)))
				size := r.publish().Size
				r.follow(tt.start)
				r.until("the log to be reported", func() bool { return len(r.of(ctwatch.LogMisbehaved)) > 0 })
				e := r.of(ctwatch.LogMisbehaved)[0].Data.Evidence
				if e.Cause != ctwatch.CauseInvalidReply || e.Reply == nil || !strings.HasPrefix("/"+e.Reply.Path, tt.tile) || len(e.Heads) != 1 {
					t.Errorf("evidence %+v, reply %+v", e, e.Reply)
				}
				remove()
				r.verified(size)
				r.until("the log to behave", func() bool { return r.status().Healthy })
				if n := len(r.of(ctwatch.LogMisbehaved)); n != 1 {
					t.Errorf("reported %d times", n)
				}
			})
		})
	}
}

// An RFC 6962 log without a valid proof for the entry where reading begins is reported,
// too.
func TestPersistentInvalidProof(t *testing.T) {
	for _, call := range []string{"/get-sth-consistency", "/get-proof-by-hash"} {
		t.Run(call[1:], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, ctlogtest.Options{})
				r.fill(300)
				remove := r.log.SetFault(rewrite(call, func(b []byte) []byte {
					return bytes.Replace(b, []byte(`["`), []byte(`["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","`), 1)
				}))
				r.publish()
				time.Sleep(50 * time.Hour) // more than the merge delay before the beginning
				r.fill(10)
				size := r.publish().Size
				r.follow(ctwatch.Start{Back: time.Hour})
				r.until("the log to be reported", func() bool { return len(r.of(ctwatch.LogMisbehaved)) > 0 })
				if e := r.of(ctwatch.LogMisbehaved)[0].Data.Evidence; len(e.Heads) != 1 || e.Computed == nil && e.Reply == nil {
					t.Errorf("evidence %+v", e)
				}
				remove()
				r.verified(size)
				r.until("the log to behave", func() bool { return r.status().Healthy })
			})
		})
	}
}

// Checkpoints with another origin that the log's key signed are accepted, and reported if
// they persist.
func TestAnotherOrigin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, ctlogtest.Options{Kind: ctwatch.KindStatic})
		r.fill(300)
		remove := r.log.SetFault(ctlogtest.WrongOrigin("elsewhere.example/log"))
		r.follow(beginning)
		r.verified(r.publish().Size)
		r.until("it to be reported", func() bool { return len(r.of(ctwatch.LogMisbehaved)) > 0 })
		e := r.of(ctwatch.LogMisbehaved)[0].Data
		if e.Evidence.Cause != ctwatch.CauseWrongOrigin || len(e.Evidence.Heads) != 1 || !strings.Contains(e.Summary, "elsewhere.example/log") {
			t.Errorf("%s: %+v", e.Summary, e.Evidence)
		}
		id := r.precert("a." + watched)
		r.verified(r.publish().Size)
		if r.issued()[id] != 1 || r.status().Healthy || len(r.of(ctwatch.LogMisbehaved)) != 1 {
			t.Errorf("reported %v, reported %d times, status %+v", r.issued(), len(r.of(ctwatch.LogMisbehaved)), r.status())
		}
		remove()
		r.until("the log to behave", func() bool { return r.status().Healthy })
	})
}

// Two faults that alternate are reported once each.
func TestTwoFaultsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, ctlogtest.Options{Kind: ctwatch.KindStatic})
		r.fill(300)
		r.follow(beginning)
		r.verified(r.publish().Size)
		r.log.SetFault(ctlogtest.BadSignature().Every(2))
		r.log.SetFault(ctlogtest.Fork(7, nil).Every(3).On(ctlogtest.Heads))
		time.Sleep(5 * time.Second)
		reports := make(map[string]int)
		for _, e := range r.of(ctwatch.LogMisbehaved) {
			reports[e.Data.Evidence.Cause]++
		}
		if len(reports) != 2 || reports[ctwatch.CauseBadSignature] != 1 || reports[ctwatch.CauseFork] != 1 {
			t.Error(fmt.Sprint("reported ", reports))
		}
	})
}
