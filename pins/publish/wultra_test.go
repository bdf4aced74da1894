package publish

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/pins"
	"ctwatch/pins/format"
)

// verifyWultra checks a signature as the SDK does.
func verifyWultra(t testing.TB, public, text, signature string) bool {
	t.Helper()
	point, err := base64.StdEncoding.DecodeString(public)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	der, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte(text))
	return ecdsa.VerifyASN1(key, digest[:], der)
}

// The static vector is of the SDK's own tests, and the other was made by its rules.
var (
	staticVector = struct {
		entry             fingerprint
		public, signature string
	}{
		fingerprint{Name: "github.com", Fingerprint: "kqN/vV4hpTqVxxbhFE9EL1grlND6/Gc+tnF6TrUaiKc=", Expires: 1710460799},
		"BC3kV9OIDnMuVoCdDR9nEA/JidJLTTDLuSA2TSZsGgODSshfbZg31MS90WC/HdbU/A5WL5GmyDkE/iks6INv+XE=",
		"MEUCICB69UpMPOdtrsR6XcJqHEh2L2RO4oSJ3SZ7BYnTBJbGAiEAnZ7rEWdMVGwa59Wx5QbAorEFxXH89Iu0CnqWa96Eda0=",
	}
	challengeVector = struct {
		entry                              fingerprint
		challenge, body, public, signature string
		at                                 time.Time
	}{
		fingerprint{Name: "api.example.test", Fingerprint: "amRLcCVSsoH2uNUoiqiz25nDvEp5TmYOOawl5g9dWSI=", Expires: 1800000000},
		"AAECAwQFBgcICQoLDA0ODw==",
		`{"timestamp":1795000000,"fingerprints":[{"name":"api.example.test","fingerprint":"amRLcCVSsoH2uNUoiqiz25nDvEp5TmYOOawl5g9dWSI=","expires":1800000000}]}`,
		"BN6y5O1Hk28DgXeNx3XCkP3/2JerDIvYtHxxTmN2HKoBDeyJFrnaIQLsswWGUHwKQYlzl1ClNp6YpLEuukxY4jY=",
		"MEUCIQD/6ZtHIz/sBh2brO59znaS4BNfhRN0/1vJS0sga6AvGwIgdpwlVK3Cm9rjIQVHe9J0tg7dTNrR9GEWysVqS5kiC0o=",
		time.Unix(1795000000, 0),
	}
)

// TestSignedTextIsThatOfTheSDK: the text that is signed is the one that Wultra's SDK
// verifies.
func TestSignedTextIsThatOfTheSDK(t *testing.T) {
	v := staticVector
	if !verifyWultra(t, v.public, v.entry.text(), v.signature) {
		t.Errorf("the signature is not of %q", v.entry.text())
	}
	c := challengeVector
	body, err := challengeBody([]fingerprint{c.entry}, c.at)
	if err != nil || string(body) != c.body {
		t.Errorf("body %s, %v", body, err)
	}
	if !verifyWultra(t, c.public, challengeText(c.challenge, body), c.signature) {
		t.Error("the signature is not of this text")
	}

	key := newRing(t).Keys().Active
	public, err := key.WultraPublicKey()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{v.entry.text(), challengeText(c.challenge, body)} {
		signature, err := key.signText(text)
		if err != nil || !verifyWultra(t, public, text, signature) || verifyWultra(t, public, text+"0", signature) {
			t.Errorf("our signature of %q: %q, %v", text, signature, err)
		}
	}
}

type wultraDocument struct {
	Timestamp    int64
	Fingerprints []struct {
		Name, Fingerprint, Signature string
		Expires                      json.Number
	}
}

func TestStaticDocument(t *testing.T) {
	key := newRing(t).Keys().Active
	public, _ := key.WultraPublicKey()
	leaves := document(t, shop(t), 1).Leaves
	body, err := Wultra(append(leaves, leaves[0]), key) // one of them twice
	if err != nil {
		t.Fatal(err)
	}
	var doc wultraDocument
	if err := json.Unmarshal(body, &doc); err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, f := range doc.Fingerprints {
		order = append(order, f.Name+" "+f.Expires.String())
		if !verifyWultra(t, public, f.Name+"&"+f.Fingerprint+"&"+f.Expires.String(), f.Signature) {
			t.Errorf("%s is not signed", f.Name)
		}
	}
	if diff := cmp.Diff([]string{"*.cdn.example.com 1800705600", "api.example.com 1800705600", "api.example.com 1803297600"}, order); diff != "" {
		t.Error(diff)
	}
	digest := sha256.Sum256([]byte("certificate 1"))
	if doc.Fingerprints[1].Fingerprint != base64.StdEncoding.EncodeToString(digest[:]) {
		t.Error("the fingerprint is not the hash of the certificate")
	}
	leaves[0], leaves[1] = leaves[1], leaves[0]
	if again, err := Wultra(leaves, key); err != nil || !bytes.Equal(again, body) {
		t.Errorf("the same certificates in another order give other bytes, %v", err)
	}
}

func TestAnswerToAChallenge(t *testing.T) {
	key := newRing(t).Keys().Active
	public, _ := key.WultraPublicKey()
	const challenge = "AAECAwQFBgcICQoLDA0ODw=="
	body, signature, err := WultraChallenge(document(t, shop(t), 1).Leaves, key, challenge, now)
	if err != nil || !verifyWultra(t, public, challenge+"&"+string(body), signature) {
		t.Fatalf("%s, %v", body, err)
	}
	if bytes.Contains(body, []byte("signature")) || !bytes.HasPrefix(body, []byte(`{"timestamp":1795521600,"fingerprints":[{"name":"*.cdn`)) {
		t.Errorf("%s", body)
	}
	if _, _, err := WultraChallenge(nil, key, "short", now); err == nil {
		t.Error("signed a bad challenge")
	}
}

// TestSDKLimitsAreRefused: what Wultra's SDK would reject is refused with the reason.
func TestSDKLimitsAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ed.pem")
	ed25519File(t, path)
	ed, p256 := load(t, path), newRing(t).Keys().Active
	leaf := func(name, der string, end time.Time) pins.Leaf {
		return pins.Leaf{CommonName: name, DER: []byte(der), NotAfter: end}
	}
	good := leaf("api.example.com", "x", now)
	for name, test := range map[string]struct {
		key    *Key
		leaves []pins.Leaf
		want   string
	}{
		"Ed25519":        {ed, []pins.Leaf{good}, "P-256"},
		"none":           {p256, nil, "Probe"},
		"no common name": {p256, []pins.Leaf{good, leaf("", "y", now)}, "no common name"},
		"not UTF-8":      {p256, []pins.Leaf{leaf("\xff", "y", now)}, "not UTF-8"},
		"no certificate": {p256, []pins.Leaf{leaf("h", "", now)}, "Too little"},
		"no end":         {p256, []pins.Leaf{leaf("h", "y", time.Time{})}, "Too little"},
	} {
		_, err := Wultra(test.leaves, test.key)
		_, _, err2 := WultraChallenge(test.leaves, test.key, "AAECAwQFBgcICQoLDA0ODw==", now)
		var refused *format.RefusedError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), test.want) || cmp.Diff(err, err2) != "" {
			t.Errorf("%s: %v; %v", name, err, err2)
		}
	}
	if _, err := ed.WultraPublicKey(); err == nil {
		t.Error("an Ed25519 key for the SDK")
	}
}

func TestChallenges(t *testing.T) {
	b64 := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for challenge, good := range map[string]bool{
		b64(16): true, b64(17): true, b64(24): true, b64(32): true,
		"": false, b64(0): false, b64(15): false, b64(33): false, b64(1000): false,
		strings.TrimRight(b64(16), "="): false, "////////////////////-_==": false,
		"AAECAwQFBgcICQoLDA0OD1==": false, // bits that are not of any byte
		b64(16) + "&":              false, "AAEC AwQFBgcICQoLDA0ODw==": false, "AAEC\nAwQFBgcICQoLDA0ODw==": false,
	} {
		if err := CheckChallenge(challenge); (err == nil) != good {
			t.Errorf("%q: %v", challenge, err)
		}
	}
}

func FuzzChallenge(f *testing.F) {
	for _, s := range []string{"AAECAwQFBgcICQoLDA0ODw==", "", "AAEC\r\nAwQFBgcICQoLDA0ODw==", "a&{}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if CheckChallenge(s) != nil {
			return
		}
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil || len(b) < 16 || len(b) > 32 || base64.StdEncoding.EncodeToString(b) != s {
			t.Errorf("%q is accepted", s)
		}
	})
}
