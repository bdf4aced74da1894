package publish

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"ctwatch/pins"
	"ctwatch/pins/format"
)

// A publicKey is a key as a device has it.
type publicKey struct {
	id, alg string
	key     crypto.PublicKey
}

// parseJWKS reads a JSON Web Key Set as RFC 7517, RFC 7518 §6.2 and RFC 8037 §2 say,
// with no library.
func parseJWKS(t testing.TB, data []byte) (keys []publicKey) {
	t.Helper()
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		t.Fatal(err)
	}
	number := func(s string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil || len(b) != 32 {
			t.Fatalf("%q: %d bytes, %v", s, len(b), err)
		}
		return b
	}
	for _, k := range set.Keys {
		if k["use"] != "sig" || k["d"] != "" {
			t.Errorf("key %v", k)
		}
		p := publicKey{id: k["kid"], alg: k["alg"]}
		switch k["kty"] + " " + k["crv"] + " " + k["alg"] {
		case "EC P-256 ES256":
			point := slices.Concat([]byte{4}, number(k["x"]), number(k["y"])) // SEC 1 §2.3.3
			key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
			if err != nil {
				t.Fatal(err)
			}
			p.key = key
		case "OKP Ed25519 EdDSA":
			p.key = ed25519.PublicKey(number(k["x"]))
		default:
			t.Fatalf("a key of a kind that devices do not know: %v", k)
		}
		keys = append(keys, p)
	}
	return keys
}

// verify reads a compact serialization as a device does that trusts some keys, and
// returns its payload.
func verify(compact []byte, trusted ...publicKey) (payload []byte, err error) {
	token, err := jwt.Parse(string(compact), func(token *jwt.Token) (any, error) {
		if token.Header["typ"] != Type || len(token.Header) != 3 {
			return nil, fmt.Errorf("header %v", token.Header)
		}
		for _, k := range trusted {
			if k.id == token.Header["kid"] && k.alg == token.Header["alg"] {
				return k.key, nil
			}
		}
		return nil, errors.New("signed by a key that is not trusted")
	}, jwt.WithTimeFunc(func() time.Time { return now }), jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithValidMethods([]string{"ES256", "EdDSA"}))
	if err != nil {
		return nil, err
	}
	return base64.RawURLEncoding.DecodeString(strings.Split(token.Raw, ".")[1])
}

// compacts cuts a general JSON serialization into one compact one for each signature.
func compacts(t testing.TB, general []byte) (out [][]byte) {
	t.Helper()
	var doc struct {
		Payload    string
		Signatures []struct{ Protected, Signature string }
	}
	dec := json.NewDecoder(bytes.NewReader(general))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	for _, s := range doc.Signatures {
		out = append(out, []byte(s.Protected+"."+doc.Payload+"."+s.Signature))
	}
	return out
}

// TestPayload: the payload has the documented members.
func TestPayload(t *testing.T) {
	got := string(document(t, shop(t), 1_795_521_600).Payload)
	want := fmt.Sprintf(`{"app":"shop","serial":1795521600,"iat":1795521600,"refresh_after":1795608000,"exp":1796731200,`+
		`"hosts":{"*.cdn.example.com":["%s","%s"],"api.example.com":["%s","%s"]},"revoked":["%s"]}`, pin(3), pin(4), pin(1), pin(2), pin(9))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	set := shop(t)
	set.App, set.Revoked = "Läden & <Söhne>", nil
	if got := document(t, set, 1).Payload; !bytes.Contains(got, []byte(`"Läden & <Söhne>"`)) || !bytes.Contains(got, []byte(`"revoked":[]`)) {
		t.Errorf("%s", got)
	}
}

// TestPayloadListsWithheldHosts: a payload has withheld hosts with their reasons, and
// revoked keys even if no host has pins; ReadPayload reads it back.
func TestPayloadListsWithheldHosts(t *testing.T) {
	set := shop(t)
	set.Withheld = []pins.Finding{{App: "shop", Host: pattern(t, "www.example.com"), Code: pins.NotApproved, Detail: "secret"}}
	set.Warnings = []pins.Finding{{App: "shop", Host: pattern(t, "api.example.com"), Code: pins.BelowMinPins, Detail: "secret"}}
	got := document(t, set, 7).Payload
	if !bytes.HasSuffix(got, []byte(`,"withheld":{"www.example.com":"served_key_not_approved"}}`)) || bytes.Contains(got, []byte("secret")) {
		t.Errorf("%s", got)
	}
	said, err := ReadPayload(got)
	want := pins.Published{Revoked: []pins.Pin{pin(9)}, Hosts: map[pins.Pattern][]pins.Pin{
		pattern(t, "*.cdn.example.com"): {pin(3), pin(4)}, pattern(t, "api.example.com"): {pin(1), pin(2)},
	}}
	if diff := cmp.Diff(want, said); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	set.Hosts = nil
	if got := document(t, set, 7).Payload; !bytes.Contains(got, []byte(`"hosts":{},"revoked":["`)) {
		t.Errorf("%s", got)
	}
	if _, err := ReadPayload([]byte("{")); err == nil {
		t.Error("an invalid payload was read")
	}
}

func TestOurOwnFormatReadsPayloads(t *testing.T) {
	f, err := format.Find("json")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := f.Decode(document(t, shop(t), 1).Payload)
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string][]pins.Pin{
		"api.example.com": {pin(1), pin(2)}, "a.cdn.example.com": {pin(3), pin(4)}, "cdn.example.com": nil, "a.b.cdn.example.com": nil,
	} {
		if diff := cmp.Diff(want, pins.AllPins(rules.Requirements(host, now))); diff != "" {
			t.Errorf("%s: %s", host, diff)
		}
	}
}

// TestUnsafePayloadsAreRefused: a payload that would break apps, or leave a host without
// pins, is refused.
func TestUnsafePayloadsAreRefused(t *testing.T) {
	hour := now.Add(time.Hour)
	for name, test := range map[string]struct {
		change                   func(*pins.Set)
		serial                   int64
		issued, refresh, expires time.Time
		want                     string
	}{
		"no app":           {func(s *pins.Set) { s.App = "" }, 1, now, hour, hour, "missing or not UTF-8"},
		"no UTF-8":         {func(s *pins.Set) { s.App = "\xff" }, 1, now, hour, hour, "missing or not UTF-8"},
		"no hosts":         {func(s *pins.Set) { s.Hosts = nil }, 1, now, hour, hour, "no hosts"},
		"all withheld":     {func(s *pins.Set) { s.Withheld, s.Hosts, s.Revoked = []pins.Finding{{Code: "x"}}, nil, nil }, 1, now, hour, hour, "no hosts"},
		"withheld, no why": {func(s *pins.Set) { s.Withheld = []pins.Finding{{Host: s.Hosts[0].Pattern}} }, 1, now, hour, hour, "without a reason"},
		"no pins":          {func(s *pins.Set) { s.Hosts[1].Pins = nil }, 1, now, hour, hour, "api.example.com: It has no pins"},
		"empty pin":        {func(s *pins.Set) { s.Hosts[1].Pins[0] = pins.Pin{} }, 1, now, hour, hour, "empty"},
		"revoked pin":      {func(s *pins.Set) { s.Revoked = append(s.Revoked, pin(1)) }, 1, now, hour, hour, "revoked"},
		"empty revoked":    {func(s *pins.Set) { s.Revoked = []pins.Pin{{}} }, 1, now, hour, hour, "empty"},
		"all levels":       {func(s *pins.Set) { s.Hosts[1].Pattern.Reach = pins.AllBelow }, 1, now, hour, hour, "individually"},
		"twice":            {func(s *pins.Set) { s.Hosts[1].Pattern = s.Hosts[0].Pattern }, 1, now, hour, hour, "twice"},
		"serial 0":         {nil, 0, now, hour, hour, "positive"},
		"refresh at once":  {nil, 1, now, now, hour, "in this order"},
		"refresh never":    {nil, 1, now, hour.Add(time.Second), hour, "in this order"},
		"never issued":     {nil, 1, time.Time{}, hour, hour, "in this order"},
	} {
		set := shop(t)
		if test.change != nil {
			test.change(&set)
		}
		_, err := Payload(set, test.serial, test.issued, test.refresh, test.expires)
		var refused *format.RefusedError
		if err == nil || !strings.Contains(err.Error(), test.want) || errors.As(err, &refused) != (test.change != nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDocumentsAreVerifiedByAnotherLibrary(t *testing.T) {
	payload := document(t, shop(t), 7).Payload
	ed := filepath.Join(t.TempDir(), "ed.pem")
	ed25519File(t, ed)
	for name, key := range map[string]*Key{"ES256": newRing(t).Keys().Active, "EdDSA": load(t, ed)} {
		t.Run(name, func(t *testing.T) {
			keys, err := newKeys(key, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			trusted := parseJWKS(t, keys.JWKS())
			compact, err := Compact(payload, key)
			if err != nil {
				t.Fatal(err)
			}
			got, err := verify(compact, trusted...)
			if err != nil || !bytes.Equal(got, payload) {
				t.Errorf("%s, %v", got, err)
			}
			if again, err := Compact(payload, key); err != nil || !bytes.Equal(again, compact) {
				t.Errorf("signed again it is other bytes, %v", err)
			}
			for i := range compact {
				spoilt := bytes.Clone(compact)
				spoilt[i] ^= 1
				if got, err := verify(spoilt, trusted...); err == nil && !bytes.Equal(got, payload) {
					t.Fatalf("byte %d changed, and %s is accepted", i, got)
				}
			}
			others := parseJWKS(t, newRing(t).Keys().JWKS())
			others[0].id = key.ID()
			if _, err := verify(compact, others...); err == nil {
				t.Error("verified by another key of the same name")
			}
		})
	}
}

// TestDevicesFollowKeyReplacement: a device that trusts the active key follows its
// replacement.
func TestDevicesFollowKeyReplacement(t *testing.T) {
	payload := document(t, shop(t), 7).Payload
	r := newRing(t)
	trust := func() []publicKey { return parseJWKS(t, r.Keys().JWKS()) }
	accepts := func(trusted []publicKey) (compact bool, signatures int) {
		t.Helper()
		keys := r.Keys()
		c, err := Compact(payload, keys.Active)
		if err != nil {
			t.Fatal(err)
		}
		g, err := General(payload, keys.Signing()...)
		if err != nil {
			t.Fatal(err)
		}
		_, err = verify(c, trusted...)
		for _, s := range compacts(t, g) {
			if _, err := verify(s, trusted...); err == nil {
				signatures++
			}
		}
		return err == nil, signatures
	}
	want := func(what string, trusted []publicKey, compact bool, signatures int) {
		t.Helper()
		if c, n := accepts(trusted); c != compact || n != signatures {
			t.Errorf("%s: compact accepted: %v, %d signatures accepted; want %v and %d", what, c, n, compact, signatures)
		}
	}
	first := trust()
	want("one key", first, true, 1)

	// The next key is an Ed25519 one: the two may be of different kinds.
	ed25519File(t, r.path+nextSuffix)
	both := trust()
	second := both[1:]
	want("rolling, the old key known", first, true, 1)
	want("rolling, both known", both, true, 2)
	want("rolling, the new key known", second, false, 1)

	if _, err := Finish(r.path); err != nil {
		t.Fatal(err)
	}
	want("rolled, the old key known", first, false, 0)
	want("rolled, both known", both, true, 1)
	want("rolled, the new key known", second, true, 1)
	want("rolled, the JWKS fetched", trust(), true, 1)

	if err := os.Remove(r.path + oldSuffix); err != nil {
		t.Fatal(err)
	}
	want("the old key dropped, the JWKS fetched", trust(), true, 1)
}

func TestDocumentNeedsAKey(t *testing.T) {
	if _, err := General([]byte("{}")); err == nil {
		t.Error("signed without a key")
	}
}
