package setup

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ctwatch/ctwatch/ctlogtest"
)

// TestCAFileIsReadWhole: no certificate of a CA file is left out of what connections are
// verified by because of a byte order mark.
func TestCAFileIsReadWhole(t *testing.T) {
	ca, err := ctlogtest.NewCA(ctlogtest.CAOptions{})
	if err != nil {
		t.Fatal(err)
	}
	inPEM := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	root, intermediate := inPEM("CERTIFICATE", ca.Root), inPEM("CERTIFICATE", ca.Intermediate)
	const mark = "\uFEFF"
	for _, tt := range []struct{ name, text, wrong string }{
		{"a mark at the start", mark + root + intermediate, ""},
		{"a mark in the middle", root + mark + intermediate, "byte order mark"},
		{"DER", string(ca.Root), ""},
		{"a key", inPEM("PUBLIC KEY", ca.Root), "no certificate"},
	} {
		file := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := certPool(file)
		if got := err != nil && strings.Contains(err.Error(), tt.wrong); got != (tt.wrong != "") || err != nil && tt.wrong == "" {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.wrong)
		}
	}
}
