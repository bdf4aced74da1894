package ctlogtest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	ct "github.com/google/certificate-transparency-go"
	"github.com/google/certificate-transparency-go/tls"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"go.uber.org/goleak"

	"ctwatch/ctwatch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start makes a log, serves it, and ends it with the test.
func start(t *testing.T, opt Options) *Log {
	t.Helper()
	l, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	stop, err := l.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return l
}

// client returns a client that leaves no connections behind. It decompresses
// nothing, so that tests see what is on the wire.
func client(t *testing.T) *http.Client {
	t.Helper()
	tr := &http.Transport{DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

// get fetches a path of a log.
func get(t *testing.T, l *Log, path string) (status int, header http.Header, body []byte) {
	t.Helper()
	resp, err := client(t).Get(l.URL() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return resp.StatusCode, resp.Header, body
}

// mustGet fetches a path that there is.
func mustGet(t *testing.T, l *Log, path string) []byte {
	t.Helper()
	status, _, body := get(t, l, path)
	if status != http.StatusOK {
		t.Fatalf("%s: status %d: %s", path, status, body)
	}
	return body
}

func getJSON[T any](t *testing.T, l *Log, path string) (out T) {
	t.Helper()
	if err := json.Unmarshal(mustGet(t, l, path), &out); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func publish(t *testing.T, l *Log) ctwatch.Head {
	t.Helper()
	h, err := l.Publish()
	must(t, err)
	return h
}

func newCA(t *testing.T, opt CAOptions) *CA {
	t.Helper()
	ca, err := NewCA(opt)
	must(t, err)
	return ca
}

// issue issues for names.
func issue(t *testing.T, ca *CA, names ...string) *Issued {
	t.Helper()
	i, err := ca.Issue(Request{Names: names})
	must(t, err)
	return i
}

// addBoth logs a precertificate and its final certificate.
func addBoth(t *testing.T, l *Log, i *Issued) {
	t.Helper()
	sct, _, err := l.AddPrecert(i)
	must(t, err)
	final, err := i.Final(sct)
	must(t, err)
	_, _, err = l.AddFinal(i, final)
	must(t, err)
}

// sth fetches a tree head and verifies it with code that is not ours.
func sth(t *testing.T, l *Log) *ct.SignedTreeHead {
	t.Helper()
	resp := getJSON[ct.GetSTHResponse](t, l, "ct/v1/get-sth")
	head, err := resp.ToSignedTreeHead()
	must(t, err)
	must(t, verifier(t, l).VerifySTHSignature(*head))
	return head
}

func verifier(t *testing.T, l *Log) *ct.SignatureVerifier {
	t.Helper()
	key, err := ct.PublicKeyFromB64(base64.StdEncoding.EncodeToString(l.Info().Key))
	must(t, err)
	v, err := ct.NewSignatureVerifier(key)
	must(t, err)
	return v
}

// allEntries reads a log's entries as they come.
func allEntries(t *testing.T, l *Log, size uint64) (out []ct.LeafEntry) {
	t.Helper()
	for uint64(len(out)) < size {
		r := getJSON[ct.GetEntriesResponse](t, l, fmt.Sprintf("ct/v1/get-entries?start=%d&end=%d", len(out), size-1))
		if len(r.Entries) == 0 {
			t.Fatalf("no entries at %d", len(out))
		}
		out = append(out, r.Entries...)
	}
	return out
}

// rootOf rebuilds a root from MerkleTreeLeaf structures.
func rootOf(t *testing.T, leaves [][]byte) []byte {
	t.Helper()
	hasher := rfc6962.DefaultHasher
	r := (&compact.RangeFactory{Hash: hasher.HashChildren}).NewEmptyRange(0)
	for _, leaf := range leaves {
		must(t, r.Append(hasher.HashLeaf(leaf), nil))
	}
	root, err := r.GetRootHash(nil)
	must(t, err)
	return root
}

func leavesOf(entries []ct.LeafEntry) (out [][]byte) {
	for _, e := range entries {
		out = append(out, e.LeafInput)
	}
	return out
}

// All that an RFC 6962 log serves without faults is true.
func TestRFC6962LogIsHonest(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	for name, key := range map[string]crypto.Signer{"ECDSA": nil, "RSA": rsaKey} {
		t.Run(name, func(t *testing.T) {
			l := start(t, Options{Key: key, MaxReply: 100})
			ca := newCA(t, CAOptions{})
			if h := sth(t, l); h.TreeSize != 0 || h.SHA256RootHash != sha256.Sum256(nil) {
				t.Errorf("head of the empty log: %v", h)
			}
			var heads []ctwatch.Head
			for range 4 {
				addBoth(t, l, issue(t, ca, "api.example.com", "*.example.com"))
				must(t, l.Fill(101))
				heads = append(heads, publish(t, l))
			}
			head := sth(t, l)
			if head.TreeSize != 4*103 || head.TreeSize != l.Size() {
				t.Fatalf("tree size %d, want %d", head.TreeSize, 4*103)
			}
			entries := allEntries(t, l, head.TreeSize)
			if got := rootOf(t, leavesOf(entries)); ct.SHA256Hash(got) != head.SHA256RootHash {
				t.Errorf("root of the entries is %x, signed is %x", got, head.SHA256RootHash)
			}
			truth, err := l.Truth()
			must(t, err)
			for i := range entries {
				checkTruth(t, truth[i], uint64(i), &entries[i])
			}
			checkInclusion(t, l, head, entries)
			checkConsistency(t, l, heads)
		})
	}
}

// checkTruth parses an entry with ct-go, and compares it with what should be there.
func checkTruth(t *testing.T, want Truth, index uint64, leaf *ct.LeafEntry) {
	t.Helper()
	e, err := ct.LogEntryFromLeaf(int64(index), leaf)
	if err != nil {
		t.Fatalf("entry %d: %v", index, err)
	}
	kind, names := ctwatch.FinalCertificate, []string(nil)
	var id ctwatch.Hash
	var issuerKey [32]byte
	if e.Precert != nil {
		kind, names = ctwatch.Precertificate, e.Precert.TBSCertificate.DNSNames
		id, issuerKey = sha256.Sum256(e.Precert.TBSCertificate.Raw), e.Precert.IssuerKeyHash
	} else {
		names, id = e.X509Cert.DNSNames, finalID(t, e.X509Cert)
		issuerKey = issuerKeyOf(t, e.Chain[0].Data)
	}
	if kind != want.Kind || id != want.ID || index != want.Index || issuerKey != want.IssuerPin ||
		fmt.Sprint(names) != fmt.Sprint(want.Names) || uint64(want.Timestamp.UnixMilli()) != e.Leaf.TimestampedEntry.Timestamp {
		t.Errorf("entry %d is %v %v %v, truth says %+v", index, kind, id, names, want)
	}
}

func checkInclusion(t *testing.T, l *Log, head *ct.SignedTreeHead, entries []ct.LeafEntry) {
	t.Helper()
	for _, i := range []uint64{0, 1, 200, head.TreeSize - 1} {
		hash := rfc6962.DefaultHasher.HashLeaf(entries[i].LeafInput)
		byHash := getJSON[ct.GetProofByHashResponse](t, l, fmt.Sprintf("ct/v1/get-proof-by-hash?tree_size=%d&hash=%s",
			head.TreeSize, url.QueryEscape(base64.StdEncoding.EncodeToString(hash))))
		if uint64(byHash.LeafIndex) != i {
			t.Errorf("leaf %d is said to be at %d", i, byHash.LeafIndex)
		}
		must(t, proof.VerifyInclusion(rfc6962.DefaultHasher, i, head.TreeSize, hash, byHash.AuditPath, head.SHA256RootHash[:]))
		both := getJSON[ct.GetEntryAndProofResponse](t, l, fmt.Sprintf("ct/v1/get-entry-and-proof?leaf_index=%d&tree_size=%d", i, head.TreeSize))
		must(t, proof.VerifyInclusion(rfc6962.DefaultHasher, i, head.TreeSize, rfc6962.DefaultHasher.HashLeaf(both.LeafInput), both.AuditPath, head.SHA256RootHash[:]))
	}
}

func checkConsistency(t *testing.T, l *Log, heads []ctwatch.Head) {
	t.Helper()
	for i, a := range heads {
		for _, b := range heads[i:] {
			r := getJSON[ct.GetSTHConsistencyResponse](t, l, fmt.Sprintf("ct/v1/get-sth-consistency?first=%d&second=%d", a.Size, b.Size))
			must(t, proof.VerifyConsistency(rfc6962.DefaultHasher, a.Size, b.Size, r.Consistency, a.Root[:], b.Root[:]))
		}
	}
}

// Replies of an RFC 6962 log have at most MaxReply entries, aligned if Align is set.
func TestMaxReply(t *testing.T) {
	for _, tt := range []struct {
		name  string
		align bool
		query string
		want  int
	}{
		{"a page", false, "start=0&end=299", 100},
		{"a page from the middle", false, "start=30&end=299", 100},
		{"aligned, up to the boundary", true, "start=30&end=299", 70},
		{"aligned, a page", true, "start=100&end=299", 100},
		{"less than a page", true, "start=105&end=107", 3},
		{"past the end", false, "start=290&end=1000000", 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := start(t, Options{MaxReply: 100, Align: tt.align})
			must(t, l.Fill(300))
			publish(t, l)
			must(t, l.Fill(1)) // not published
			r := getJSON[ct.GetEntriesResponse](t, l, "ct/v1/get-entries?"+tt.query)
			if len(r.Entries) != tt.want {
				t.Errorf("%d entries, want %d", len(r.Entries), tt.want)
			}
		})
	}
}

// Requests that make no sense are refused.
func TestBadRequests(t *testing.T) {
	l := start(t, Options{})
	must(t, l.Fill(5))
	publish(t, l)
	must(t, l.Fill(1)) // not published
	for path, want := range map[string]int{
		"ct/v1/get-entries?start=5&end=5":                      400, // as real logs answer start = tree_size
		"ct/v1/get-entries?start=3&end=2":                      400,
		"ct/v1/get-entries?start=-1&end=2":                     400,
		"ct/v1/get-entries":                                    400,
		"ct/v1/get-sth-consistency?first=2&second=6":           400,
		"ct/v1/get-proof-by-hash?hash=AAAA&tree_size=5":        400,
		"ct/v1/get-entry-and-proof?leaf_index=5&tree_size=5":   400,
		"ct/v1/get-entry-and-proof?leaf_index=0&tree_size=100": 400,
		"checkpoint":       404,
		"tile/0/000":       404,
		"ct/v1/add-chain":  405,
		"somewhere/else":   404,
		"ct/v1/get-sth/..": 404,
		"ct/v1/get-proof-by-hash?tree_size=5&hash=" + url.QueryEscape(base64.StdEncoding.EncodeToString(make([]byte, 32))): 404,
	} {
		if status, _, body := get(t, l, path); status != want {
			t.Errorf("%s: status %d, want %d: %s", path, status, want, body)
		}
	}
}

// SCTs verify with the log's key.
func TestSCTsVerify(t *testing.T) {
	for _, kind := range []ctwatch.LogKind{ctwatch.KindRFC6962, ctwatch.KindStatic} {
		t.Run(string(kind), func(t *testing.T) {
			l, err := New(Options{Kind: kind})
			must(t, err)
			i := issue(t, newCA(t, CAOptions{}), "example.com")
			must(t, l.Fill(300))
			raw, index, err := l.AddPrecert(i)
			must(t, err)
			var sct ct.SignedCertificateTimestamp
			if rest, err := tls.Unmarshal(raw, &sct); err != nil || len(rest) != 0 {
				t.Fatalf("SCT: %v, %d bytes left", err, len(rest))
			}
			leaf, err := ct.MerkleTreeLeafFromRawChain(rawChain(i.Precert, i.PrecertChain), ct.PrecertLogEntryType, sct.Timestamp)
			must(t, err)
			leaf.TimestampedEntry.Extensions = sct.Extensions
			must(t, verifier(t, l).VerifySCTSignature(sct, ct.LogEntry{Leaf: *leaf}))

			e, err := l.Entry(index)
			must(t, err)
			want, err := tls.Marshal(*leaf)
			must(t, err)
			if string(want) != string(e.MerkleLeaf()) {
				t.Errorf("the leaf is\n%x, ct-go makes it\n%x", e.MerkleLeaf(), want)
			}
		})
	}
}

func rawChain(first []byte, rest [][]byte) (out []ct.ASN1Cert) {
	out = append(out, ct.ASN1Cert{Data: first})
	for _, c := range rest {
		out = append(out, ct.ASN1Cert{Data: c})
	}
	return out
}

// Raw entries are logged as they are.
func TestAddRaw(t *testing.T) {
	l := start(t, Options{AutoPublish: true})
	must(t, l.Fill(3))
	leaf, err := Timestamped(time.UnixMilli(1), nil, []byte("no certificate"), []byte("no extensions"))
	must(t, err)
	for _, e := range []Entry{
		{Leaf: leaf},
		{Leaf: leaf, Header: [2]byte{7, 9}, Precert: []byte{}, Chain: [][]byte{[]byte("no issuer")}},
		{Leaf: []byte("no leaf")},
		{},
	} {
		index, err := l.AddRaw(e)
		must(t, err)
		got := getJSON[ct.GetEntriesResponse](t, l, fmt.Sprintf("ct/v1/get-entries?start=%d&end=%d", index, index)).Entries[0]
		if string(got.LeafInput) != string(e.MerkleLeaf()) {
			t.Errorf("entry %d is %x, want %x", index, got.LeafInput, e.MerkleLeaf())
		}
		truth, err := l.Truth()
		must(t, err)
		if last := truth[index]; last.Index != index || last.Kind != "" {
			t.Errorf("truth of entry %d: %+v", index, last)
		}
	}
	head := sth(t, l)
	if root := rootOf(t, leavesOf(allEntries(t, l, head.TreeSize))); ct.SHA256Hash(root) != head.SHA256RootHash {
		t.Error("the tree is not that of its entries")
	}
}

// AutoPublish signs a tree head for each addition.
func TestAutoPublish(t *testing.T) {
	l := start(t, Options{AutoPublish: true})
	addBoth(t, l, issue(t, newCA(t, CAOptions{}), "example.com"))
	must(t, l.Fill(3))
	if h := sth(t, l); h.TreeSize != 5 {
		t.Errorf("tree size %d, want 5", h.TreeSize)
	}
}

// The tree head stays the same until the next Publish.
func TestHeadChangesOnlyByPublish(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	l := start(t, Options{Now: func() time.Time { return now }})
	first := string(mustGet(t, l, "ct/v1/get-sth"))
	now = now.Add(time.Hour)
	if again := string(mustGet(t, l, "ct/v1/get-sth")); again != first {
		t.Errorf("served %s and then %s", first, again)
	}
	h := publish(t, l)
	if !h.Timestamp.Equal(now) || string(h.Raw) != string(mustGet(t, l, "ct/v1/get-sth")) {
		t.Errorf("published at %v as %s", h.Timestamp, h.Raw)
	}
}

// A log can be served again on the same address.
func TestServeAgainOnSameAddress(t *testing.T) {
	l, err := New(Options{})
	must(t, err)
	stop, err := l.Start()
	must(t, err)
	addr := l.URL()[len("http://") : len(l.URL())-1]
	stop()
	if _, err := client(t).Get(l.URL() + "ct/v1/get-sth"); err == nil {
		t.Error("a stopped log answers")
	}
	defer l.Serve(listen(t, addr))()
	sth(t, l)
}

// Requests are counted by class.
func TestRequests(t *testing.T) {
	l := start(t, Options{})
	must(t, l.Fill(3))
	publish(t, l)
	for range 3 {
		mustGet(t, l, "ct/v1/get-sth")
	}
	mustGet(t, l, "ct/v1/get-entries?start=0&end=1")
	get(t, l, "nowhere")
	if h, e, all := l.Requests(Heads), l.Requests(Entries), l.Requests(All); h != 3 || e != 1 || all != 5 {
		t.Errorf("counted %d heads, %d entries, %d of all; want 3, 1, 5", h, e, all)
	}
	if r := l.Recent(Entries | Other); len(r) != 2 || r[0].Path != "/ct/v1/get-entries?start=0&end=1" || r[1].Class != Other {
		t.Errorf("recent requests: %+v", r)
	}
}

// A tree head older than MaxAge is signed again.
func TestMaxAge(t *testing.T) {
	for _, kind := range []ctwatch.LogKind{ctwatch.KindRFC6962, ctwatch.KindStatic} {
		var now atomic.Int64
		l := start(t, Options{Kind: kind, MaxAge: time.Minute, Now: func() time.Time { return time.UnixMilli(now.Load()) }})
		path := map[ctwatch.LogKind]string{ctwatch.KindRFC6962: "ct/v1/get-sth", ctwatch.KindStatic: "checkpoint"}[kind]
		for _, step := range []struct{ at, signed time.Duration }{
			{time.Minute, 0}, {time.Minute + time.Millisecond, time.Minute + time.Millisecond}, {90 * time.Second, time.Minute + time.Millisecond},
		} {
			now.Store(step.at.Milliseconds())
			if status, _, body := get(t, l, path); status != http.StatusOK {
				t.Fatalf("%s: status %d: %s", kind, status, body)
			}
			h, err := l.Head()
			if err != nil {
				t.Fatal(err)
			}
			if h.Size != 0 || h.Timestamp.UnixMilli() != step.signed.Milliseconds() {
				t.Errorf("%s, at %v: size %d, signed at %v, want %v", kind, step.at, h.Size, h.Timestamp, step.signed)
			}
		}
	}
}
