package publish

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCreatedKeysAreNeverReplaced: a created key is read back, and never replaced.
func TestCreatedKeysAreNeverReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.pem")
	made, err := CreateKey(path)
	if err != nil {
		t.Fatal(err)
	}
	read, note, err := LoadKey(path)
	if err != nil || note != "" || read.ID() != made.ID() || read.Algorithm() != "ES256" {
		t.Fatalf("%v, %q, %v", read, note, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	before, _ := os.ReadFile(path)
	if _, err := CreateKey(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second time: %v", err)
	}
	after, _ := os.ReadFile(path)
	if !bytes.Equal(before, after) {
		t.Error("the key was replaced")
	}
	files, _ := os.ReadDir(filepath.Dir(path))
	if len(files) != 1 {
		t.Errorf("left behind: %v", files)
	}
}

// TestReadableKeyFileIsNoted: a key file that others can read leads to a note.
func TestReadableKeyFileIsNoted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.pem")
	if _, err := CreateKey(path); err != nil {
		t.Fatal(err)
	}
	for mode, noted := range map[fs.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o604: true} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, note, err := LoadKey(path); err != nil || noted != strings.Contains(note, "chmod 600") {
			t.Errorf("%v: %q, %v", mode, note, err)
		}
	}
}

// The example of RFC 8037 §A.3, and one of ours computed by RFC 7638 §3.
func TestKeysAreNamedByTheirThumbprint(t *testing.T) {
	seed, err := base64.RawURLEncoding.DecodeString("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
	if err != nil {
		t.Fatal(err)
	}
	k, err := newKey(ed25519.NewKeyFromSeed(seed))
	if err != nil || k.ID() != "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" || k.Algorithm() != "EdDSA" {
		t.Errorf("%v, %v", k, err)
	}

	private, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	point, _ := private.PublicKey.Bytes()
	b64 := base64.RawURLEncoding.EncodeToString
	digest := sha256.Sum256(fmt.Appendf(nil, `{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}`, b64(point[1:33]), b64(point[33:])))
	if k, err = newKey(private); err != nil || k.ID() != b64(digest[:]) {
		t.Errorf("%v, %v", k, err)
	}
}

// TestOtherKeyFilesAreRefused: files with anything but one usable key are refused with
// the reason.
func TestOtherKeyFilesAreRefused(t *testing.T) {
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	rsa2048, _ := rsa.GenerateKey(rand.Reader, 2048)
	x25519, _ := ecdh.X25519().GenerateKey(rand.Reader)
	sec1, _ := x509.MarshalECPrivateKey(p256)
	spki, _ := x509.MarshalPKIXPublicKey(&p256.PublicKey)
	write := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	good := write("PRIVATE KEY", pkcs8(t, p256))
	for name, test := range map[string]struct{ text, want string }{
		"empty":     {"", "not PEM"},
		"DER":       {string(pkcs8(t, p256)), "not PEM"},
		"encrypted": {write("ENCRYPTED PRIVATE KEY", []byte("secret")), "encrypted"},
		"encrypted as of old": {string(pem.EncodeToMemory(&pem.Block{
			Type: "EC PRIVATE KEY", Bytes: []byte("secret"),
			Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"},
		})), "encrypted"},
		"SEC 1":      {write("EC PRIVATE KEY", sec1), "openssl pkcs8 -topk8"},
		"parameters": {write("EC PARAMETERS", nil) + write("EC PRIVATE KEY", sec1), "openssl pkcs8 -topk8"},
		"PKCS #1":    {write("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsa2048)), "openssl pkcs8 -topk8"},
		"public":     {write("PUBLIC KEY", spki), "not a private key"},
		"RSA":        {write("PRIVATE KEY", pkcs8(t, rsa2048)), "an RSA key: want"},
		"P-384":      {write("PRIVATE KEY", pkcs8(t, p384)), "P-384: want"},
		"X25519":     {write("PRIVATE KEY", pkcs8(t, x25519)), "another kind: want"},
		"damaged":    {write("PRIVATE KEY", pkcs8(t, p256)[:60]), "damaged"},
		"two":        {good + good, "after the private key"},
		"large":      {good + strings.Repeat("\n", maxKeyFile), "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key.pem")
			writeFile(t, path, []byte(test.text))
			_, _, err := LoadKey(path)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v", err)
			}
		})
	}
	if _, _, err := LoadKey(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	if _, _, err := LoadKey(t.TempDir()); err == nil {
		t.Error("a folder is read as a key")
	}
}

func TestNothingPrintsAPrivateKey(t *testing.T) {
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	scalar, _ := p256.Bytes()
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	for name, test := range map[string]struct {
		private any
		secret  []byte
	}{"P-256": {p256, scalar}, "Ed25519": {ed, ed.Seed()}} {
		key, err := newKey(test.private)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := newKeys(key, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&out, verb+verb+verb, key, *key, keys)
		}
		for _, log := range []*slog.Logger{slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))} {
			log.Info("keys", "key", key, "value", *key, "keys", keys)
		}
		_ = json.NewEncoder(&out).Encode(map[string]any{"key": key, "keys": keys})
		for _, spelt := range []string{
			fmt.Sprintf("%x", test.secret), fmt.Sprintf("%X", test.secret), new(big.Int).SetBytes(test.secret).String(),
			base64.StdEncoding.EncodeToString(test.secret)[:42], base64.RawURLEncoding.EncodeToString(test.secret)[:42],
			strings.Trim(fmt.Sprint(test.secret), "[]"), strings.Trim(fmt.Sprintf("%#v", test.secret), "[]byte{}"),
		} {
			if strings.Contains(out.String(), spelt) {
				t.Errorf("%s: the private key is printed", name)
			}
		}
		if !strings.Contains(out.String(), "signing key "+key.ID()) {
			t.Errorf("%s: the ID is not printed", name)
		}
	}
}
