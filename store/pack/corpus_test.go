package pack_test

import (
	"encoding/json"
	"encoding/pem"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"ctwatch/ctwatch/entry"
)

// The module whose test data hold the strangest certificates there are, and its hash as in
// go.sum. It is no dependency: only its zip is downloaded.
const (
	corpus    = "github.com/zmap/zlint/v3@v3.7.3"
	corpusSum = "h1:k7MZOUjW0nhmvqvG/VtHExOREuXkcTAfee9zoNRe8Vo="
)

// TestCorpus: real certificates, and those that linters test with, are the same after they
// were stored, and most of them take less.
func TestCorpus(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", corpus)
	cmd.Dir = t.TempDir() // outside of our module, so that its go.mod stays as it is
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	out, err := cmd.Output()
	var module struct{ Dir, Sum, Error string }
	if json.Unmarshal(out, &module) != nil || module.Error != "" || err != nil {
		t.Skipf("the certificates cannot be downloaded: %v %s", err, module.Error)
	}
	if module.Sum != corpusSum {
		t.Fatalf("%s has the hash %s, want %s", corpus, module.Sum, corpusSum)
	}
	n, before, after := 0, 0, 0
	err = filepath.WalkDir(module.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".pem" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		block, _ := pem.Decode(b)
		if block == nil {
			return nil
		}
		der := block.Bytes
		tbs, _ := entry.TBS(der) // what cannot be read is the whole
		_, base, _ := entry.Identity(tbs)
		n, before = n+1, before+len(base)+len(der)
		after += len(sameDER(t, nil, base)) + len(sameDER(t, base, der))
		sameDER(t, nil, der)
		sameDER(t, der, base)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 1000 || after > before*2/3 {
		t.Errorf("%d certificates of %d bytes take %d", n, before, after)
	}
	t.Logf("%d certificates and their TBSCertificates: %d bytes take %d", n, before, after)
}
