package publish

import (
	"bytes"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"

	"ctwatch/pins"
	"ctwatch/pins/format"
)

// Type is the "typ" of our signed documents: a JWT (RFC 7519) that is about pins. It
// keeps one from being mistaken for another token of the same key, and other tokens
// from being mistaken for one (RFC 8725 §3.11): a reader must compare it.
const Type = "pins+jwt"

// The media types of signed documents and of keys.
const (
	TypeCompact = "application/jose"         // RFC 7515 §9.2.1
	TypeGeneral = "application/jose+json"    //
	TypeJWKS    = "application/jwk-set+json" // RFC 7517 §8.5
)

// A payload is what our signed documents say. A device accepts one if its serial is
// not below that of the last one it accepted; then this one replaces all that the
// last one said. It looks for another after refresh_after, and takes none that has
// expired. A pattern "*.h" stands for each name one label below h, as in package
// format's own form, which reads payloads too.
//
// Of each host of the app the document says one of these:
//
//   - It is in hosts: its pins are these, and no others.
//   - It is in withheld alone: nothing is said of its pins now, and the device goes on
//     with those that it has, from the document before or built in.
//   - It is in both: the pins are those of the document before that are good still.
//     So a device that knows nothing of withheld does not cease to pin the host.
//   - It is in neither: it is pinned no longer.
//
// A pin in revoked is never accepted, wherever the device has it from. A host whose
// pins are all revoked is not connected to.
type payload struct {
	App          string                `json:"app"`
	Serial       int64                 `json:"serial"`
	IssuedAt     int64                 `json:"iat"`           // Unix seconds
	RefreshAfter int64                 `json:"refresh_after"` // Unix seconds
	Expires      int64                 `json:"exp"`           // Unix seconds
	Hosts        map[string][]pins.Pin `json:"hosts"`
	Revoked      []pins.Pin            `json:"revoked"`            // never to be accepted, whatever else says so
	Withheld     map[string]string     `json:"withheld,omitempty"` // by host: why, one of the codes of package pins
}

// Payload writes what is signed: the same bytes for the same arguments. Times are
// rounded down to seconds; it wants issued < refreshAfter ≤ expires, and a serial
// that is positive. It fails with a *format.RefusedError for a set that would leave
// a host without pins or that contradicts itself. A set without any host's pins must
// revoke a key, and say why the hosts are withheld.
func Payload(set pins.Set, serial int64, issued, refreshAfter, expires time.Time) ([]byte, error) {
	if err := checkSet(set); err != nil {
		return nil, err
	}
	p := payload{
		App: set.App, Serial: serial,
		IssuedAt: issued.Unix(), RefreshAfter: refreshAfter.Unix(), Expires: expires.Unix(),
		Hosts:   make(map[string][]pins.Pin, len(set.Hosts)),
		Revoked: append([]pins.Pin{}, set.Revoked...), // [] rather than null
	}
	switch {
	case serial <= 0:
		return nil, fmt.Errorf("signed pin document: serial %d: want a positive one", serial)
	case p.IssuedAt <= 0 || p.RefreshAfter <= p.IssuedAt || p.Expires < p.RefreshAfter:
		return nil, fmt.Errorf("signed pin document: issued %s, to be refreshed after %s, expires %s: want them in this order",
			issued.UTC().Format(time.RFC3339), refreshAfter.UTC().Format(time.RFC3339), expires.UTC().Format(time.RFC3339))
	}
	for _, h := range set.Hosts {
		p.Hosts[h.Pattern.String()] = h.Pins
	}
	for _, w := range set.Withheld {
		if p.Withheld == nil {
			p.Withheld = make(map[string]string, len(set.Withheld))
		}
		p.Withheld[w.Host.String()] = string(w.Code)
	}
	return writeJSON(p)
}

// ReadPayload reads what an earlier document said, as far as the next one rests on it.
func ReadPayload(data []byte) (pins.Published, error) {
	var p struct {
		Hosts   map[pins.Pattern][]pins.Pin `json:"hosts"`
		Revoked []pins.Pin                  `json:"revoked"`
	}
	if err := json.Unmarshal(data, &p); err != nil {
		return pins.Published{}, fmt.Errorf("reading the pin document before: %w", err)
	}
	return pins.Published{Hosts: p.Hosts, Revoked: p.Revoked}, nil
}

func checkSet(set pins.Set) error {
	refuse := func(host, reason string) error {
		return &format.RefusedError{Format: "jws", Host: host, Reason: reason}
	}
	switch {
	case set.App == "" || !utf8.ValidString(set.App):
		return refuse("", "The app has no name that can be written. Name it in the configuration.")
	case len(set.Hosts) == 0 && (len(set.Withheld) == 0 || len(set.Revoked) == 0):
		return refuse("", "The app has no hosts, and the document would pin nothing. Name its hosts in the configuration.")
	case slices.ContainsFunc(set.Revoked, pins.Pin.IsZero):
		return refuse("", "One of the pins that are revoked is empty.")
	}
	for _, w := range set.Withheld {
		if w.Code == "" {
			return refuse(w.Host.String(), "It is withheld, and nothing says why.")
		}
	}
	seen := make(map[pins.Pattern]bool)
	for _, h := range set.Hosts {
		name := h.Pattern.String()
		switch {
		case h.Pattern.Reach != pins.Exact && h.Pattern.Reach != pins.OneBelow:
			return refuse(name, "Devices know single names and *.name only. Name the levels one by one among the app's hosts.")
		case seen[h.Pattern]:
			return refuse(name, "It is there twice.")
		case len(h.Pins) == 0:
			return refuse(name, "It has no pins, and would not be pinned. Approve a key for it.")
		}
		seen[h.Pattern] = true
		for _, pin := range h.Pins {
			switch {
			case pin.IsZero():
				return refuse(name, "One of its pins is empty.")
			case slices.Contains(set.Revoked, pin):
				return refuse(name, fmt.Sprintf("%s is among its pins, and revoked. Serve another key first.", pin))
			}
		}
	}
	return nil
}

// Compact signs a payload with one key and writes it in the compact serialization
// (RFC 7515 §7.1). Its protected header has "alg", "kid" and "typ", which is Type.
func Compact(payload []byte, key *Key) ([]byte, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: key.alg, Key: opaque{key}}, new(jose.SignerOptions).WithType(Type))
	if err != nil {
		return nil, fmt.Errorf("signing a pin document: %w", err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return nil, fmt.Errorf("signing a pin document: %w", err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		return nil, fmt.Errorf("signing a pin document: %w", err)
	}
	return []byte(text), nil
}

// General signs a payload with each key and writes it in the general JSON
// serialization (RFC 7515 §7.2.1), with the signatures in the order of the keys. Each
// is the one that Compact makes.
func General(payload []byte, keys ...*Key) ([]byte, error) {
	type signature struct {
		Protected string `json:"protected"`
		Signature string `json:"signature"`
	}
	var doc struct {
		Payload    string      `json:"payload"`
		Signatures []signature `json:"signatures"`
	}
	if len(keys) == 0 {
		return nil, errors.New("signing a pin document: no key")
	}
	for _, key := range keys {
		compact, err := Compact(payload, key)
		if err != nil {
			return nil, err
		}
		parts := strings.Split(string(compact), ".")
		doc.Payload = parts[1]
		doc.Signatures = append(doc.Signatures, signature{parts[0], parts[2]})
	}
	return writeJSON(doc)
}

// opaque is a key as go-jose signs with it: without randomness, which it would use
// with the key itself.
type opaque struct{ key *Key }

func (o opaque) Public() *jose.JSONWebKey {
	jwk := o.key.jwk()
	return &jwk
}

func (o opaque) Algs() []jose.SignatureAlgorithm { return []jose.SignatureAlgorithm{o.key.alg} }

// SignPayload signs as RFC 7518 §3.4 and RFC 8037 §3.1 say. ECDSA's two integers are
// written one after the other, 32 bytes each.
func (o opaque) SignPayload(message []byte, _ jose.SignatureAlgorithm) ([]byte, error) {
	signature, err := o.key.sign(message)
	if err != nil || o.key.alg != jose.ES256 {
		return signature, err
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(signature, &rs); err != nil {
		return nil, err
	}
	out := make([]byte, 2*sha256.Size)
	rs.R.FillBytes(out[:sha256.Size])
	rs.S.FillBytes(out[sha256.Size:])
	return out, nil
}

// jwk returns the public key (RFC 7517 §4).
func (k *Key) jwk() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.Public(), KeyID: k.id, Algorithm: string(k.alg), Use: "sig"}
}

// writeJSON writes a value on one line, the members of maps sorted.
func writeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
