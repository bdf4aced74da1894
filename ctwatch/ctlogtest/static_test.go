package ctlogtest

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ct "github.com/google/certificate-transparency-go"
	"github.com/google/certificate-transparency-go/tls"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"ctwatch/ctwatch"
)

func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	must(t, err)
	return ln
}

// A noteVerifier verifies RFC6962NoteSignature with ct-go.
type noteVerifier struct {
	name string
	id   [32]byte
	sv   *ct.SignatureVerifier
}

func (v noteVerifier) Name() string { return v.name }
func (v noteVerifier) KeyHash() uint32 {
	h := sha256.Sum256(append([]byte(v.name+"\n\x05"), v.id[:]...))
	return binary.BigEndian.Uint32(h[:])
}

func (v noteVerifier) Verify(msg, sig []byte) bool {
	lines := strings.Split(string(msg), "\n")
	if len(sig) < 8 || len(lines) != 4 { // no extension lines
		return false
	}
	sth := ct.SignedTreeHead{Timestamp: binary.BigEndian.Uint64(sig)}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if _, err2 := fmt.Sscan(lines[1], &sth.TreeSize); err != nil || err2 != nil {
		return false
	}
	copy(sth.SHA256RootHash[:], root)
	var ds tls.DigitallySigned
	if rest, err := tls.Unmarshal(sig[8:], &ds); err != nil || len(rest) > 0 {
		return false
	}
	sth.TreeHeadSignature = ct.DigitallySigned(ds)
	return v.sv.VerifySTHSignature(sth) == nil
}

// openCheckpoint verifies a checkpoint under the log's key and a key name.
func openCheckpoint(t *testing.T, l *Log, name string, raw []byte) (tlog.Tree, *note.Note, error) {
	t.Helper()
	n, err := note.Open(raw, note.VerifierList(noteVerifier{name, l.Info().ID, verifier(t, l)}))
	if err != nil {
		return tlog.Tree{}, nil, err
	}
	lines := strings.Split(n.Text, "\n")
	if lines[0] != name {
		t.Errorf("origin %q, want %q", lines[0], name)
	}
	var tree tlog.Tree
	_, err = fmt.Sscan(lines[1], &tree.N)
	must(t, err)
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, n, err
}

func checkpoint(t *testing.T, l *Log) tlog.Tree {
	t.Helper()
	name := strings.TrimSuffix(strings.TrimPrefix(l.URL(), "http://"), "/")
	tree, _, err := openCheckpoint(t, l, name, mustGet(t, l, "checkpoint"))
	must(t, err)
	return tree
}

// tiles reads tiles over HTTP for tlog, which authenticates them.
type tiles struct {
	t *testing.T
	l *Log
}

func (r tiles) Height() int { return 8 }
func (r tiles) ReadTiles(want []tlog.Tile) (out [][]byte, err error) {
	for _, t := range want {
		out = append(out, mustGet(r.t, r.l, "tile/"+strings.TrimPrefix(t.Path(), "tile/8/")))
	}
	return out, nil
}
func (r tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// A tileLeaf is what a data tile says of one entry.
type tileLeaf struct {
	leaf    []byte
	index   uint64
	precert []byte
	chain   [][]byte
}

// readDataTile takes a data tile apart.
func readDataTile(t *testing.T, body []byte) (out []tileLeaf) {
	t.Helper()
	for s := cryptobyte.String(body); !s.Empty(); {
		var e tileLeaf
		var kind uint16
		var v, ext, chain cryptobyte.String
		all := s
		ok := s.Skip(8) && s.ReadUint16(&kind) && (kind == 0 || s.Skip(32)) &&
			s.ReadUint24LengthPrefixed(&v) && s.ReadUint16LengthPrefixed(&ext)
		if !ok || len(ext) != 8 || string(ext[:3]) != "\x00\x00\x05" {
			t.Fatalf("entry %d of the tile: extensions %x", len(out), ext)
		}
		e.leaf = all[:len(all)-len(s)]
		e.index = binary.BigEndian.Uint64(append(make([]byte, 3), ext[3:]...))
		if kind == 1 && !s.ReadUint24LengthPrefixed((*cryptobyte.String)(&e.precert)) || !s.ReadUint16LengthPrefixed(&chain) {
			t.Fatalf("entry %d of the tile ends early", len(out))
		}
		for !chain.Empty() {
			var f []byte
			if !chain.ReadBytes(&f, 32) {
				t.Fatalf("entry %d of the tile: half a fingerprint", len(out))
			}
			e.chain = append(e.chain, f)
		}
		out = append(out, e)
	}
	return out
}

// All that a static log serves without faults is true.
func TestStaticLogIsHonest(t *testing.T) {
	l := start(t, Options{Kind: ctwatch.KindStatic, Witnesses: true})
	ca := newCA(t, CAOptions{PrecertSigner: true})
	var trees []tlog.Tree
	for _, n := range []int{1, 253, 0, 300, 2} { // 256 entries are full tiles and nothing else
		must(t, l.Fill(n))
		addBoth(t, l, issue(t, ca, "api.example.com"))
		publish(t, l)
		trees = append(trees, checkpoint(t, l))
	}
	last := trees[len(trees)-1]
	if last.N != 566 {
		t.Fatalf("tree size %d, want 566", last.N)
	}
	reader := tlog.TileHashReader(last, tiles{t, l})
	for _, old := range trees {
		p, err := tlog.ProveTree(last.N, old.N, reader)
		must(t, err)
		must(t, tlog.CheckTree(p, last.N, last.Hash, old.N, old.Hash))
	}
	truth, err := l.Truth()
	must(t, err)
	var index uint64
	for _, path := range []string{"tile/data/000", "tile/data/001", "tile/data/002.p/54"} {
		for _, e := range readDataTile(t, mustGet(t, l, path)) {
			if e.index != index {
				t.Errorf("entry %d says it is %d", index, e.index)
			}
			leaf := append([]byte{0, 0}, e.leaf...)
			if index%50 == 0 { // a proof fetches tiles; the root below says the same of all
				p, err := tlog.ProveRecord(last.N, int64(index), reader)
				must(t, err)
				must(t, tlog.CheckRecord(p, last.N, last.Hash, int64(index), tlog.RecordHash(leaf)))
			}
			asRFC6962 := asLeafEntry(t, l, leaf, e)
			checkTruth(t, truth[index], index, &asRFC6962)
			index++
		}
	}
	if int64(index) != last.N {
		t.Errorf("%d entries in the tiles, want %d", index, last.N)
	}
}

// asLeafEntry fetches an entry's chain and encodes it as get-entries would.
func asLeafEntry(t *testing.T, l *Log, leaf []byte, e tileLeaf) ct.LeafEntry {
	t.Helper()
	var chain [][]byte
	for _, f := range e.chain {
		v := l.issuers[ctwatch.Hash(f)]
		if len(chain) == 0 && v == nil {
			t.Fatalf("issuer %x is unknown", f)
		}
		chain = append(chain, v)
	}
	extra, err := Entry{Precert: e.precert, Chain: chain}.extraData()
	must(t, err)
	return ct.LeafEntry{LeafInput: leaf, ExtraData: extra}
}

// A static log serves issuers by fingerprint.
func TestIssuers(t *testing.T) {
	l := start(t, Options{Kind: ctwatch.KindStatic, AutoPublish: true})
	addBoth(t, l, issue(t, newCA(t, CAOptions{PrecertSigner: true}), "example.com"))
	seen := 0
	for _, e := range readDataTile(t, mustGet(t, l, "tile/data/000.p/2")) {
		for _, f := range e.chain {
			der := mustGet(t, l, fmt.Sprintf("issuer/%x", f))
			if sum := sha256.Sum256(der); !bytes.Equal(sum[:], f) {
				t.Errorf("issuer %x hashes to %x", f, sum)
			}
			seen++
		}
	}
	if seen != 3+2 {
		t.Errorf("%d issuers, want 3 of the precertificate and 2 of the certificate", seen)
	}
	for _, path := range []string{"issuer/", "issuer/00", "issuer/" + strings.Repeat("0", 64)} {
		if status, _, _ := get(t, l, path); status != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", path, status)
		}
	}
}

// Checkpoints have the signature lines of witnesses.
func TestWitnesses(t *testing.T) {
	for _, witnesses := range []bool{false, true} {
		l, err := New(Options{Kind: ctwatch.KindStatic, URL: "https://log.example.com/2026h1", Witnesses: witnesses})
		must(t, err)
		must(t, l.Fill(5))
		h := publish(t, l)
		_, n, err := openCheckpoint(t, l, "log.example.com/2026h1", h.Raw)
		must(t, err)
		want := 0
		if witnesses {
			want = 3
		}
		if len(n.Sigs) != 1 || len(n.UnverifiedSigs) != want {
			t.Errorf("%d signatures of the log and %d others, want 1 and %d", len(n.Sigs), len(n.UnverifiedSigs), want)
		}
	}
}

// Partial tiles exist for the sizes of published trees.
func TestPartialTiles(t *testing.T) {
	for _, drop := range []bool{false, true} {
		t.Run(fmt.Sprint("drop ", drop), func(t *testing.T) {
			l := start(t, Options{Kind: ctwatch.KindStatic, DropPartials: drop})
			must(t, l.Fill(10))
			publish(t, l)
			must(t, l.Fill(20))
			publish(t, l)
			must(t, l.Fill(5)) // not published
			expect := func(want map[string]int) {
				t.Helper()
				for path, status := range want {
					if got, _, _ := get(t, l, path); got != status {
						t.Errorf("%s: status %d, want %d", path, got, status)
					}
				}
			}
			expect(map[string]int{
				"tile/0/000.p/10": 200, "tile/data/000.p/10": 200, "tile/0/000.p/30": 200,
				"tile/0/000.p/20": 404, "tile/data/000.p/35": 404, "tile/0/000": 404, "tile/1/000.p/1": 404,
				"tile/0/0.p/10": 404, "tile/0/000.p/010": 404, "tile/0/000.p/256": 404, "tile/x/000": 404, "tile/8/0/000.p/10": 404,
			})
			must(t, l.Fill(230))
			publish(t, l)
			gone := 200
			if drop {
				gone = 404
			}
			expect(map[string]int{
				"tile/0/000": 200, "tile/data/000": 200, "tile/1/000.p/1": 200, "tile/0/001.p/9": 200,
				"tile/0/000.p/10": gone, "tile/data/000.p/30": gone,
			})
		})
	}
}

// With Gzip, data tiles are compressed even if the client does not accept it.
func TestGzip(t *testing.T) {
	l := start(t, Options{Kind: ctwatch.KindStatic, Gzip: true, AutoPublish: true})
	must(t, l.Fill(256))
	status, header, body := get(t, l, "tile/data/000")
	if status != http.StatusOK || header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("status %d, encoding %q", status, header.Get("Content-Encoding"))
	}
	if n := len(readDataTile(t, gunzip(t, body))); n != 256 {
		t.Errorf("%d entries, want 256", n)
	}
}

func gunzip(t *testing.T, b []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	must(t, err)
	out, err := io.ReadAll(z)
	must(t, err)
	return out
}

// The tree in files is the one served.
func TestWriteTree(t *testing.T) {
	l := start(t, Options{Kind: ctwatch.KindStatic})
	dir := t.TempDir()
	for _, n := range []int{100, 200, 700} {
		must(t, l.Fill(n))
		addBoth(t, l, issue(t, newCA(t, CAOptions{}), "example.com"))
		publish(t, l)
		must(t, l.WriteTree(dir))
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		rel, err := filepath.Rel(dir, path)
		must(t, err)
		got, err := os.ReadFile(path)
		must(t, err)
		if !bytes.Equal(got, mustGet(t, l, filepath.ToSlash(rel))) {
			t.Errorf("%s differs from what is served", rel)
		}
		return nil
	})
	must(t, err)
	// Data tiles and hash tiles of level 0, 3 full and 3 partial ones; partial ones
	// of level 1; issuers; the checkpoint.
	if want := 2*(3+3) + 2 + 8 + 1; files != want {
		t.Errorf("%d files, want %d", files, want)
	}
}

// A hybrid log serves tiles, but no checkpoint.
func TestHybrid(t *testing.T) {
	l := start(t, Options{Hybrid: true, AutoPublish: true, MaxReply: 10})
	must(t, l.Fill(256))
	mustGet(t, l, "tile/data/000")
	if status, _, _ := get(t, l, "checkpoint"); status != http.StatusNotFound {
		t.Errorf("checkpoint: status %d, want 404", status)
	}
}
