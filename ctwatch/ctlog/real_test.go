package ctlog

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"ctwatch/ctwatch"
)

// real returns the path of an input that real logs gave. They are not part of the
// repository; where they are absent the test says so.
func real(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../../shared/real", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("skipping: no real input %s next to the repository", name)
	}
	return path
}

func readReal(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(real(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func key(t testing.TB, b64 string) ([]byte, *verifier) {
	t.Helper()
	der, err := base64.StdEncoding.DecodeString(b64)
	if err != nil {
		t.Fatal(err)
	}
	v, err := newVerifier(der)
	if err != nil {
		t.Fatal(err)
	}
	return der, v
}

const (
	sycamore2026h1 = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEfEEe0JZknA91/c6eNl1aexgeKzuGQUMvRCXPXg9L227O5I4Pi++Abcpq6qxlVUKPYafAJelAnMfGzv3lHCc8gA=="
	argon2020      = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE6Tx2p1yKY4015NyIYvdrk36es0uAc1zA4PQ+TGRY+3ZjUTIYY9Wyu+3q/147JG4vNVKLtDWarZwVqGkg6lAYzA=="
)

// A real checkpoint has four signature lines, of which one is too short and under the
// log's own name.
func TestRealCheckpoint(t *testing.T) {
	raw := readReal(t, "sycamore2026h1-signed-note.txt")
	der, v := key(t, sycamore2026h1)
	id := ctwatch.LogIDOf(der)
	head, origin, err := parseCheckpoint(raw, id, v)
	if err != nil {
		t.Fatal(err)
	}
	if head.Size != 804475391 || origin != "log.sycamore.ct.letsencrypt.org/2026h1" {
		t.Errorf("size %d, origin %q", head.Size, origin)
	}
	if y := head.Timestamp.Year(); y < 2025 || y > 2026 {
		t.Errorf("timestamp %v", head.Timestamp)
	}

	for name, change := range map[string][2]string{
		"size": {"804475391", "804475392"},
		"root": {"c3k2", "c3k3"},
	} {
		_, _, err := parseCheckpoint(bytes.Replace(raw, []byte(change[0]), []byte(change[1]), 1), id, v)
		var se *SignatureError
		if !errors.As(err, &se) {
			t.Errorf("with another %s: %v, want a *SignatureError", name, err)
		}
	}
	// Under another origin the key ID differs, so that no line is the log's.
	other := bytes.Replace(raw, []byte("log.sycamore"), []byte("log.evil"), 1)
	var se *SignatureError
	if _, _, err := parseCheckpoint(other, id, v); !errors.As(err, &se) {
		t.Errorf("with another origin: %v, want a *SignatureError", err)
	}
}

func TestRealSTH(t *testing.T) {
	raw := readReal(t, "argon2020/get-sth")
	_, v := key(t, argon2020)
	head, err := parseSTH(raw, v)
	if err != nil {
		t.Fatal(err)
	}
	if head.Size != 961984011 || !head.Timestamp.Equal(time.UnixMilli(1726494206646)) {
		t.Errorf("size %d at %v", head.Size, head.Timestamp)
	}
	_, err = parseSTH(bytes.Replace(raw, []byte("961984011"), []byte("961984012"), 1), v)
	var se *SignatureError
	if !errors.As(err, &se) {
		t.Errorf("with another size: %v, want a *SignatureError", err)
	}

	// The entry that the log served is in the tree that it signed.
	c, n, err := parseEntries(&buffer{storage: storage{body: readReal(t, "argon2020/get-entries-start-10000-end-10000")}}, "", 10000, 1)
	if err != nil || n != 1 {
		t.Fatal(n, err)
	}
	var e Entry
	if !c.Next(&e) || e.Err != nil {
		t.Fatal(c.Err(), e.Err)
	}
	var p struct {
		LeafIndex uint64   `json:"leaf_index"`
		AuditPath [][]byte `json:"audit_path"`
	}
	b := readReal(t, "argon2020/get-proof-by-hash-tree-size-961984011-hash-nCs3mfIydh9x4CKyQ-2Bu2xtmpxmFggA5MLymHwNQSlLg-3D")
	if err := json.Unmarshal(b, &p); err != nil {
		t.Fatal(err)
	}
	leaf := e.LeafHash()
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, p.LeafIndex, head.Size, leaf[:], p.AuditPath, head.Root[:]); err != nil {
		t.Error(err)
	}
	if x, err := e.Extra(); err != nil || len(x.Chain) == 0 || e.Precert != (x.Precert != nil) {
		t.Errorf("extra data: %v, issuer of %d bytes, precertificate of %d", err, len(x.Chain[0]), len(x.Precert))
	}
}

// The leaf hashes of a real log's data tiles, and the ranges over them, agree with its
// hash tiles.
func TestRealTiles(t *testing.T) {
	dir := real(t, "navigli2025h2")
	der, _ := key(t, sycamore2026h1) // any: no tree head is at hand
	l, err := Open(ctwatch.Log{Name: "navigli", Kind: ctwatch.KindStatic, Key: der, ID: ctwatch.LogIDOf(der), URL: "file://" + dir},
		Options{Client: http.DefaultClient, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	read := func(size uint64) []ctwatch.Hash {
		var leaves []ctwatch.Hash
		for next := uint64(0); next < size; {
			c, err := l.Fetch(t.Context(), next, size, size)
			if err != nil {
				t.Fatal(err)
			}
			var e Entry
			for c.Next(&e) {
				if e.Err != nil || !e.Precert || len(e.IssuerHash) != 32 || e.Index != next {
					t.Fatalf("entry %d: %v, precertificate: %v", e.Index, e.Err, e.Precert)
				}
				x, err := e.Extra()
				if err != nil || len(x.ChainFingerprints) == 0 || len(x.Precert) == 0 {
					t.Fatalf("entry %d: extra: %v", e.Index, err)
				}
				leaves = append(leaves, e.LeafHash())
				next++
			}
			if err := c.Err(); err != nil {
				t.Fatal(err)
			}
		}
		return leaves
	}
	leaves := read(1024)
	for n, tile := range []string{"000", "001", "002", "003"} {
		want := readReal(t, "navigli2025h2/tile/0/"+tile)
		for i := range 256 {
			if got := leaves[n*256+i]; !bytes.Equal(got[:], want[i*32:][:32]) {
				t.Fatalf("entry %d: leaf hash %v, the log's hash tile says %x", n*256+i, got, want[i*32:][:32])
			}
		}
	}
	// A partial tile holds the same entries as the full one begins with.
	if part := read(3*256 + 10); len(part) != 778 || part[777] != leaves[777] {
		t.Errorf("partial tile: %d entries", len(part))
	}
}
