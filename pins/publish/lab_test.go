package publish

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ctwatch/pins"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The moment of all tests.
var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func discard() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func pin(n byte) pins.Pin { return pins.FromSPKI([]byte{n}) }

func pattern(t testing.TB, s string) pins.Pattern {
	t.Helper()
	p, err := pins.PatternOf(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// shop is a set with a host, a pattern and a revoked key.
func shop(t testing.TB) pins.Set {
	return pins.Set{
		App: "shop", Role: pins.RoleLeaf, Plan: "0123456789abcdef",
		AsOf: now.Add(-time.Hour), Until: now.Add(60 * 24 * time.Hour),
		Hosts: []pins.HostSet{
			{Pattern: pattern(t, "*.cdn.example.com"), Pins: []pins.Pin{pin(3), pin(4)}, Names: []string{"a.cdn.example.com"}},
			{Pattern: pattern(t, "api.example.com"), Pins: []pins.Pin{pin(1), pin(2)}},
		},
		Revoked: []pins.Pin{pin(9)},
	}
}

func document(t testing.TB, set pins.Set, serial int64) *Publication {
	t.Helper()
	d := &Publication{
		Document: pins.Document{App: set.App, Serial: serial, Issued: now}, Set: set,
		RefreshAfter: now.Add(24 * time.Hour), Expires: now.Add(14 * 24 * time.Hour),
		Leaves: []pins.Leaf{
			{CommonName: "api.example.com", DER: []byte("certificate 2"), NotAfter: now.Add(90 * 24 * time.Hour)},
			{CommonName: "api.example.com", DER: []byte("certificate 1"), NotAfter: now.Add(60 * 24 * time.Hour)},
			{CommonName: "*.cdn.example.com", DER: []byte("certificate 3"), NotAfter: now.Add(60 * 24 * time.Hour)},
		},
	}
	var err error
	if d.Payload, err = Payload(set, serial, d.Issued, d.RefreshAfter, d.Expires); err != nil {
		t.Fatal(err)
	}
	return d
}

// A source returns what a test puts in.
type source map[string]any // a *Publication or an error, by app

func (s source) Publication(ctx context.Context, app string) (*Publication, error) {
	switch d := s[app].(type) {
	case *Publication:
		return d, nil
	case error:
		return nil, d
	}
	return nil, ErrNoApp
}

// newRing makes a ring of one new key.
func newRing(t testing.TB) *Ring {
	t.Helper()
	r, err := OpenRing(filepath.Join(t.TempDir(), "key.pem"), true, discard())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ed25519File writes a new Ed25519 key.
func ed25519File(t testing.TB, path string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, path, "PRIVATE KEY", pkcs8(t, private))
}

func pkcs8(t testing.TB, private any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func writePEM(t testing.TB, path, kind string, der []byte) {
	t.Helper()
	writeFile(t, path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func writeFile(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func load(t testing.TB, path string) *Key {
	t.Helper()
	k, _, err := LoadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	return k
}
