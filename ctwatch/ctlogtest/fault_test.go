package ctlogtest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	ct "github.com/google/certificate-transparency-go"
	"github.com/google/go-cmp/cmp"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"

	"ctwatch/ctwatch"
)

const kindRFC, kindStatic = ctwatch.KindRFC6962, ctwatch.KindStatic

// filled is a served log with n entries published.
func filled(t *testing.T, kind ctwatch.LogKind, n int) *Log {
	t.Helper()
	l := start(t, Options{Kind: kind})
	must(t, l.Fill(n))
	publish(t, l)
	return l
}

// Each fault of tree heads does what its name says.
func TestFaultsOfTreeHeads(t *testing.T) {
	l := filled(t, kindRFC, 10)
	old, err := l.Head()
	must(t, err)
	must(t, l.Fill(10))
	head := publish(t, l)
	rootAt10 := old.Root

	for _, tt := range []struct {
		fault Fault
		check func(t *testing.T, sth *ct.SignedTreeHead, err error)
	}{
		{WrongRoot(), func(t *testing.T, sth *ct.SignedTreeHead, err error) {
			if err != nil || sth.TreeSize != 20 || ctwatch.Hash(sth.SHA256RootHash) == head.Root {
				t.Errorf("%v, %v: want a signed head of size 20 with another root", sth, err)
			}
		}},
		{BadSignature(), func(t *testing.T, sth *ct.SignedTreeHead, err error) {
			if err == nil || ctwatch.Hash(sth.SHA256RootHash) != head.Root {
				t.Errorf("%v, %v: want the right head and a wrong signature", sth, err)
			}
		}},
		{Rollback(10), func(t *testing.T, sth *ct.SignedTreeHead, err error) {
			if err != nil || sth.TreeSize != 10 || ctwatch.Hash(sth.SHA256RootHash) != rootAt10 || sth.Timestamp < uint64(head.Timestamp.UnixMilli()) {
				t.Errorf("%v, %v: want a fresh head of size 10", sth, err)
			}
		}},
		{StaleHead(old), func(t *testing.T, sth *ct.SignedTreeHead, err error) {
			if err != nil || sth.TreeSize != 10 || sth.Timestamp != uint64(old.Timestamp.UnixMilli()) {
				t.Errorf("%v, %v: want the head of before", sth, err)
			}
		}},
	} {
		t.Run(tt.fault.Name, func(t *testing.T) {
			defer l.SetFault(tt.fault)()
			resp := getJSON[ct.GetSTHResponse](t, l, "ct/v1/get-sth")
			sth, err := resp.ToSignedTreeHead()
			must(t, err)
			tt.check(t, sth, verifier(t, l).VerifySTHSignature(*sth))
		})
	}
	if sth := sth(t, l); ctwatch.Hash(sth.SHA256RootHash) != head.Root {
		t.Error("the log is not honest after the faults were removed")
	}
}

// The faults of tree heads work for static logs, too.
func TestFaultsOfCheckpoints(t *testing.T) {
	l := filled(t, kindStatic, 20)
	honest, err := l.Head()
	must(t, err)
	origin := strings.TrimSuffix(strings.TrimPrefix(l.URL(), "http://"), "/")
	read := func(f Fault, name string) (tlog.Tree, error) {
		defer l.SetFault(f)()
		tree, _, err := openCheckpoint(t, l, name, mustGet(t, l, "checkpoint"))
		return tree, err
	}
	if _, err := read(BadSignature(), origin); err == nil {
		t.Error("the signature verifies")
	}
	if tree, err := read(Rollback(7), origin); err != nil || tree.N != 7 {
		t.Errorf("%v, %v: want a checkpoint of size 7", tree, err)
	}
	mustGet(t, l, "tile/0/000.p/7") // what a head was signed for is there
	if tree, err := read(WrongRoot(), origin); err != nil || ctwatch.Hash(tree.Hash) == honest.Root {
		t.Errorf("%v, %v: want another root", tree, err)
	}
	if tree, err := read(WrongOrigin("elsewhere.example/log"), "elsewhere.example/log"); err != nil || ctwatch.Hash(tree.Hash) != honest.Root {
		t.Errorf("%v, %v: want the right tree under another name", tree, err)
	}
}

// A fork is a consistent tree that differs from the first one.
func TestFork(t *testing.T) {
	l := filled(t, kindRFC, 20)
	before := sth(t, l)
	remove := l.SetFault(Fork(7, nil))
	forked := sth(t, l)
	if forked.TreeSize != before.TreeSize || forked.SHA256RootHash == before.SHA256RootHash {
		t.Fatalf("want another root of size %d, got %v", before.TreeSize, forked)
	}
	entries := allEntries(t, l, 20)
	if root := rootOf(t, leavesOf(entries)); ct.SHA256Hash(root) != forked.SHA256RootHash {
		t.Error("the entries served are not those of the fork")
	}
	must(t, l.Fill(300)) // a fork grows with its log
	publish(t, l)
	later := sth(t, l)
	r := getJSON[ct.GetSTHConsistencyResponse](t, l, fmt.Sprintf("ct/v1/get-sth-consistency?first=20&second=%d", later.TreeSize))
	consistent := func(old *ct.SignedTreeHead) error {
		return proof.VerifyConsistency(rfc6962.DefaultHasher, 20, later.TreeSize, r.Consistency, old.SHA256RootHash[:], later.SHA256RootHash[:])
	}
	if err := consistent(forked); err != nil {
		t.Errorf("the fork is not consistent with itself: %v", err)
	}
	if consistent(before) == nil {
		t.Error("the fork is consistent with the tree it forked from")
	}
	remove()
	honest := allEntries(t, l, 20)
	for i := range honest {
		if same := bytes.Equal(honest[i].LeafInput, entries[i].LeafInput); same == (i == 7) {
			t.Errorf("entry %d: same as in the fork: %v", i, same)
		}
	}
}

// The tiles of a fork are consistent with its tree.
func TestForkOfStaticLog(t *testing.T) {
	l := filled(t, kindStatic, 300)
	before := checkpoint(t, l)
	l.SetFault(Fork(290, nil))
	forked := checkpoint(t, l)
	if forked.N != before.N || forked.Hash == before.Hash {
		t.Fatalf("want another root of size %d", before.N)
	}
	index := int64(256)
	reader := tlog.TileHashReader(forked, tiles{t, l})
	for _, e := range readDataTile(t, mustGet(t, l, "tile/data/001.p/44")) {
		p, err := tlog.ProveRecord(forked.N, index, reader)
		must(t, err)
		must(t, tlog.CheckRecord(p, forked.N, forked.Hash, index, tlog.RecordHash(append([]byte{0, 0}, e.leaf...))))
		index++
	}
}

// An altered entry is not in the tree.
func TestAlterEntry(t *testing.T) {
	t.Run("rfc6962", func(t *testing.T) {
		l := filled(t, kindRFC, 20)
		honest := allEntries(t, l, 20)
		defer l.SetFault(AlterEntry(5, nil))()
		altered := allEntries(t, l, 20)
		for i := range honest {
			if same := bytes.Equal(honest[i].LeafInput, altered[i].LeafInput); same == (i == 5) {
				t.Errorf("entry %d unchanged: %v", i, same)
			}
		}
		head := sth(t, l)
		if bytes.Equal(rootOf(t, leavesOf(altered)), head.SHA256RootHash[:]) {
			t.Error("the altered entries have the signed root")
		}
		if !bytes.Equal(rootOf(t, leavesOf(honest)), head.SHA256RootHash[:]) {
			t.Error("the tree head is not honest")
		}
	})
	t.Run("static", func(t *testing.T) {
		l := filled(t, kindStatic, 20)
		l.SetFault(AlterEntry(5, nil))
		l.SetFault(WrongLeafIndex(6))
		reader := tlog.TileHashReader(checkpoint(t, l), tiles{t, l})
		hashes, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, 4), tlog.StoredHashIndex(0, 5), tlog.StoredHashIndex(0, 6)})
		must(t, err)
		got := readDataTile(t, mustGet(t, l, "tile/data/000.p/20"))
		for i, want := range hashes {
			if same := tlog.RecordHash(append([]byte{0, 0}, got[4+i].leaf...)) == want; same != (i == 0) {
				t.Errorf("entry %d is in the tree: %v", 4+i, same)
			}
		}
		if got[6].index != 7 || got[5].index != 5 {
			t.Errorf("indexes %d and %d, want 5 and a wrong one, 7", got[5].index, got[6].index)
		}
	})
	t.Run("what is not hashed", func(t *testing.T) {
		l := filled(t, kindRFC, 20)
		honest := allEntries(t, l, 20)
		l.SetFault(AlterEntry(3, func(e *Entry) { e.Precert = []byte("another") }))
		altered := allEntries(t, l, 20)
		if !bytes.Equal(honest[3].LeafInput, altered[3].LeafInput) || bytes.Equal(honest[3].ExtraData, altered[3].ExtraData) {
			t.Error("want another extra_data and the same leaf")
		}
	})
}

// Each fault of get-entries does what its name says.
func TestFaultsOfEntries(t *testing.T) {
	const rfc, static = "ct/v1/get-entries?start=10&end=19", "tile/data/000.p/30"
	for _, tt := range []struct {
		fault           Fault
		entries, inTile int
	}{
		{ShortReplies(3), 3, 3},
		{EmptyReplies(), 0, 0},
		{TooManyEntries(), 11, 31},
		{EntriesNotYet(15), 5, -404},
		{EntriesNotYet(10), -400, -404},
	} {
		t.Run(tt.fault.Name, func(t *testing.T) {
			l := filled(t, kindRFC, 30)
			l.SetFault(tt.fault)
			status, _, body := get(t, l, rfc)
			var r ct.GetEntriesResponse
			if status == http.StatusOK {
				must(t, json.Unmarshal(body, &r))
			}
			if tt.entries >= 0 && (status != http.StatusOK || len(r.Entries) != tt.entries) || tt.entries < 0 && status != -tt.entries {
				t.Errorf("rfc6962: status %d, %d entries, want %d", status, len(r.Entries), tt.entries)
			}
			l = filled(t, kindStatic, 30)
			l.SetFault(tt.fault)
			status, _, body = get(t, l, static)
			n := 0
			if status == http.StatusOK {
				n = len(readDataTile(t, body))
			}
			if tt.inTile >= 0 && (status != http.StatusOK || n != tt.inTile) || tt.inTile < 0 && status != -tt.inTile {
				t.Errorf("static: status %d, %d entries, want %d", status, n, tt.inTile)
			}
			checkpoint(t, l)
		})
	}
}

// Data tiles are compressed as the faults say.
func TestFaultsOfCompression(t *testing.T) {
	l := start(t, Options{Kind: kindStatic, Gzip: true, AutoPublish: true})
	must(t, l.Fill(20))
	fetch := func(f Fault) (string, []byte) {
		defer l.SetFault(f)()
		_, h, body := get(t, l, "tile/data/000.p/20")
		return h.Get("Content-Encoding"), body
	}
	if says, body := fetch(NotGzip()); says != "gzip" || len(readDataTile(t, body)) != 20 {
		t.Errorf("not gzip: says %q", says)
	}
	if says, body := fetch(DoubleGzip()); says != "gzip" || len(readDataTile(t, gunzip(t, gunzip(t, body)))) != 20 {
		t.Errorf("double gzip: says %q", says)
	}
	if says, body := fetch(UnsaidGzip()); says != "" || len(readDataTile(t, gunzip(t, body))) != 20 {
		t.Errorf("unsaid gzip: says %q", says)
	}
}

// Each fault of tiles does what its name says.
func TestFaultsOfTiles(t *testing.T) {
	l := start(t, Options{Kind: kindStatic})
	must(t, l.Fill(100))
	addBoth(t, l, issue(t, newCA(t, CAOptions{}), "example.com"))
	publish(t, l)
	must(t, l.Fill(600))
	publish(t, l)
	issuer := "issuer/" + strings.Split(l.issuerPaths()[0], "/")[1]
	for _, tt := range []struct {
		fault       Fault
		gone, there []string
	}{
		{PartialGone(), []string{"tile/data/000.p/102", "tile/0/000.p/102"}, []string{"tile/data/000", "tile/0/002.p/190", "tile/data/002.p/190"}},
		{MissingTile(DataTile, 1), []string{"tile/data/001"}, []string{"tile/data/000", "tile/0/001"}},
		{MissingTile(0, 2), []string{"tile/0/002.p/190"}, []string{"tile/data/002.p/190", "tile/0/001"}},
		{IssuerMissing(), []string{issuer}, []string{"tile/data/000", "checkpoint"}},
	} {
		t.Run(tt.fault.Name, func(t *testing.T) {
			for _, path := range slices.Concat(tt.gone, tt.there) {
				mustGet(t, l, path)
			}
			defer l.SetFault(tt.fault)()
			for _, path := range tt.gone {
				if status, _, _ := get(t, l, path); status != http.StatusNotFound {
					t.Errorf("%s: status %d, want 404", path, status)
				}
			}
			for _, path := range tt.there {
				mustGet(t, l, path)
			}
		})
	}
}

// issuerPaths lists the issuers that a static log serves.
func (l *Log) issuerPaths() (out []string) {
	for h := range l.issuers {
		out = append(out, "issuer/"+h.String())
	}
	return out
}

// Status sends Retry-After.
func TestStatusCarriesRetryAfter(t *testing.T) {
	l := filled(t, kindRFC, 5)
	l.SetFault(Status(429, 90*time.Second).On(Entries))
	status, header, _ := get(t, l, "ct/v1/get-entries?start=0&end=1")
	if status != 429 || header.Get("Retry-After") != "90" {
		t.Errorf("status %d, Retry-After %q", status, header.Get("Retry-After"))
	}
	sth(t, l)
	l.ClearFaults()
	l.SetFault(Status(503, 0))
	status, header, _ = get(t, l, "ct/v1/get-sth")
	if status != 503 || header.Get("Retry-After") != "" {
		t.Errorf("status %d, Retry-After %q", status, header.Get("Retry-After"))
	}
}

// On, When, Every and Times limit a fault.
func TestFaultConditions(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault Fault
		want  []int
	}{
		{"always", Status(500, 0), []int{500, 500, 500, 500, 500}},
		{"twice", Status(500, 0).Times(2), []int{500, 500, 200, 200, 200}},
		{"each second", Status(500, 0).Every(2), []int{200, 500, 200, 500, 200}},
		{"each second, once", Status(500, 0).Every(2).Times(1), []int{200, 500, 200, 200, 200}},
		{"others", Status(500, 0).On(All &^ Heads), []int{200, 200, 200, 200, 200}},
		{"when asked", Status(500, 0).When(func(r *http.Request) bool { return r.URL.Query().Has("n") }), []int{500, 500, 500, 500, 500}},
		{"when not asked", Status(500, 0).When(func(r *http.Request) bool { return r.Method == http.MethodPut }), []int{200, 200, 200, 200, 200}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := filled(t, kindRFC, 1)
			l.SetFault(tt.fault)
			var got []int
			for i := range tt.want {
				status, _, _ := get(t, l, fmt.Sprint("ct/v1/get-sth?n=", i))
				got = append(got, status)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Several faults apply together.
func TestSeveralFaults(t *testing.T) {
	l := filled(t, kindRFC, 30)
	l.SetFault(Fork(3, nil))
	l.SetFault(Rollback(10))
	forked := sth(t, l)
	if forked.TreeSize != 10 || ct.SHA256Hash(rootOf(t, leavesOf(allEntries(t, l, 10)))) != forked.SHA256RootHash {
		t.Errorf("want a head of the fork of size 10, got %v", forked)
	}
}

// Hang ends when it is released.
func TestHangRelease(t *testing.T) {
	l := filled(t, kindRFC, 1)
	release := make(chan struct{})
	l.SetFault(Hang(release))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.URL()+"ct/v1/get-sth", nil)
	must(t, err)
	if _, err := client(t).Do(req); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want a time-out", err)
	}
	close(release)
	sth(t, l)
}

// Stopping a log ends the requests that hang.
func TestStopEndsHangingRequests(t *testing.T) {
	l, err := New(Options{})
	must(t, err)
	stop, err := l.Start()
	must(t, err)
	l.SetFault(Hang(nil))
	failed := make(chan error, 1)
	c := client(t)
	go func() {
		_, err := c.Get(l.URL() + "ct/v1/get-sth")
		failed <- err
	}()
	deadline := time.Now().Add(10 * time.Minute)
	for l.Requests(Heads) == 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond) // only the count shows when a request has arrived
	}
	stop()
	if err := <-failed; err == nil {
		t.Error("the request was answered")
	}
}

// SlowBy and LatencyEvery delay replies.
func TestSlowBy(t *testing.T) {
	l := filled(t, kindRFC, 1)
	l.SetFault(LatencyEvery(2, 100*time.Millisecond))
	for i, slow := range []bool{false, true} {
		begin := time.Now()
		sth(t, l)
		if took := time.Since(begin); slow && took < 100*time.Millisecond {
			t.Errorf("request %d took %v", i, took)
		}
	}
}

// Each fault of bodies does what its name says.
func TestFaultsOfBodies(t *testing.T) {
	l := filled(t, kindRFC, 20)
	const path = "ct/v1/get-entries?start=0&end=19"
	whole := mustGet(t, l, path)
	fetch := func(t *testing.T, f Fault, most int64) (http.Header, []byte, error) {
		t.Helper()
		defer l.SetFault(f)()
		resp, err := client(t).Get(l.URL() + path)
		must(t, err)
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("status %d", resp.StatusCode)
		}
		body, err := io.ReadAll(io.LimitReader(resp.Body, most))
		return resp.Header, body, err
	}
	t.Run("truncated", func(t *testing.T) {
		if _, body, err := fetch(t, TruncatedBody(), 1<<20); !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.Equal(body, whole[:len(whole)/2]) {
			t.Errorf("%d bytes, %v", len(body), err)
		}
	})
	t.Run("half", func(t *testing.T) {
		if _, body, err := fetch(t, HalfBody(), 1<<20); err != nil || !bytes.Equal(body, whole[:len(whole)/2]) {
			t.Errorf("%d bytes, %v", len(body), err)
		}
	})
	t.Run("endless", func(t *testing.T) {
		if _, body, err := fetch(t, EndlessBody(), 4<<20); err != nil || len(body) != 4<<20 {
			t.Errorf("%d bytes, %v", len(body), err)
		}
	})
	t.Run("bomb", func(t *testing.T) {
		header, body, err := fetch(t, GzipBomb(), 16<<10)
		must(t, err)
		z, err := gzip.NewReader(bytes.NewReader(body))
		must(t, err)
		if n, _ := io.Copy(io.Discard, z); header.Get("Content-Encoding") != "gzip" || n < 4<<20 {
			t.Errorf("16 KiB become %d bytes", n)
		}
	})
	t.Run("garbage", func(t *testing.T) {
		if header, body, err := fetch(t, GarbageBody(), 1<<20); err != nil || !bytes.HasPrefix(body, []byte("<!DOCTYPE html>")) || !strings.HasPrefix(header.Get("Content-Type"), "text/html") {
			t.Errorf("%s, %v", body, err)
		}
	})
	t.Run("redirect", func(t *testing.T) {
		other := filled(t, kindRFC, 1)
		defer l.SetFault(Redirect(other.URL() + "ct/v1/get-sth"))()
		mustGet(t, l, path)
		if other.Requests(Heads) != 1 {
			t.Error("the request did not arrive elsewhere")
		}
	})
}

// A log may be used concurrently.
func TestConcurrentUse(t *testing.T) {
	l := filled(t, kindStatic, 200)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 20 {
			if err := l.Fill(20); err != nil {
				t.Error(err)
			}
			if _, err := l.Publish(); err != nil {
				t.Error(err)
			}
			l.SetFault(Fork(100, nil).Times(1))()
		}
	}()
	for range 20 {
		tree := checkpoint(t, l)
		reader := tlog.TileHashReader(tree, tiles{t, l})
		_, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, tree.N-1)})
		must(t, err)
		mustGet(t, l, "tile/data/000.p/200")
	}
	<-done
}
