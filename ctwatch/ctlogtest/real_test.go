package ctlogtest

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	ct "github.com/google/certificate-transparency-go"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// real reads a file that a real log served.
func real(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "real", name))
	if os.IsNotExist(err) {
		t.Skipf("no real inputs here: %v", err)
	}
	must(t, err)
	return b
}

// What these tests read our logs with reads real ones too.

// The checkpoint reader of these tests reads a real checkpoint.
func TestRealCheckpoint(t *testing.T) {
	var list struct {
		Operators []struct {
			Tiled []struct {
				ID            []byte `json:"log_id"`
				Key           []byte `json:"key"`
				SubmissionURL string `json:"submission_url"`
			} `json:"tiled_logs"`
		}
	}
	must(t, json.Unmarshal(real(t, "log_list-85.92.json"), &list))
	raw := real(t, "sycamore2026h1-signed-note.txt")
	for _, o := range list.Operators {
		for _, l := range o.Tiled {
			if l.SubmissionURL != "https://log.sycamore.ct.letsencrypt.org/2026h1/" {
				continue
			}
			key, err := ct.PublicKeyFromB64(base64.StdEncoding.EncodeToString(l.Key))
			must(t, err)
			sv, err := ct.NewSignatureVerifier(key)
			must(t, err)
			n, err := note.Open(raw, note.VerifierList(noteVerifier{"log.sycamore.ct.letsencrypt.org/2026h1", [32]byte(l.ID), sv}))
			if err != nil || len(n.Sigs) != 1 || len(n.UnverifiedSigs) != 3 {
				t.Errorf("%v, %+v: want one signature of the log and three others", err, n)
			}
			return
		}
	}
	t.Error("the log is not in the list")
}

// The tile reader of these tests reads a real tile.
func TestRealTile(t *testing.T) {
	hashes := real(t, "navigli2025h2/tile/0/001")
	for i, e := range readDataTile(t, real(t, "navigli2025h2/tile/data/001")) {
		want := tlog.Hash(hashes[32*i:])
		if e.index != uint64(256+i) || tlog.RecordHash(append([]byte{0, 0}, e.leaf...)) != want {
			t.Errorf("entry %d of the tile is not what the tree holds", i)
		}
	}
}
