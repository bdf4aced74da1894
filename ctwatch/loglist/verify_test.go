package loglist

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// Google's key verifies the real list, and nothing else.
func TestVerifyRealList(t *testing.T) {
	data, sig := realFile(t, "log_list-85.92.json"), realFile(t, "log_list-85.92.sig")
	key, err := LoadKey("google")
	if err != nil {
		t.Fatal(err)
	}
	if err := Verify(data, sig, key); err != nil {
		t.Error(err)
	}
	for name, flip := range map[string][]byte{"list": data, "signature": sig} {
		i := len(flip) / 2
		flip[i] ^= 1
		if err := Verify(data, sig, key); !errors.Is(err, ErrForged) {
			t.Errorf("with a bit of the %s flipped: %v", name, err)
		}
		flip[i] ^= 1
	}
	if err := Verify(data, nil, key); !errors.Is(err, ErrForged) {
		t.Errorf("without signature: %v", err)
	}
}

// An ECDSA key verifies a list.
func TestVerifyECDSA(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	data := []byte("list")
	sum := sha256.Sum256(data)
	sig, err := ecdsa.SignASN1(rand.Reader, private, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	key, err := ParseKey(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki(t, private.Public())}))
	if err != nil {
		t.Fatal(err)
	}
	if err := Verify(data, sig, key); err != nil {
		t.Error(err)
	}
	if err := Verify([]byte("lost"), sig, key); !errors.Is(err, ErrForged) {
		t.Errorf("another list: %v", err)
	}
	if err := Verify(data, sig, "key"); err == nil || errors.Is(err, ErrForged) {
		t.Errorf("a key of no use: %v", err)
	}
}

// LoadKey returns Google's key, none, or that of a file.
func TestLoadKey(t *testing.T) {
	dir := t.TempDir()
	ed, _, _ := ed25519.GenerateKey(rand.Reader)
	for name, data := range map[string][]byte{
		"good.pem": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki(t, signer().Public())}),
		"text.pem": []byte("a key"),
		"cert.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1}}),
		"der.pem":  pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte{1}}),
		"ed.pem":   pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki(t, ed)}),
		"huge.pem": make([]byte, maxKey+1),
	} {
		path := filepath.Join(dir, name)
		write(t, path, data)
		key, err := LoadKey(path)
		if good := name == "good.pem"; good != (err == nil) || good != signer().PublicKey.Equal(key) {
			t.Errorf("%s: %v", name, err)
		} else if err != nil && !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
	if key, err := LoadKey(""); key != nil || err != nil {
		t.Errorf("no key: %v, %v", key, err)
	}
	if _, err := LoadKey(filepath.Join(dir, "none")); err == nil {
		t.Error("a missing file is no error")
	}
	if _, err := LoadKey(dir); err == nil {
		t.Error("a folder is no error")
	}
}
