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

// Type is the "typ" of our signed documents: a JWT (RFC 7519) about pins. Readers must
// compare it, so that no other token of the same key is taken for a document, and no
// document for another token (RFC 8725 §3.11).
const Type = "pins+jwt"

// The media types of signed documents and of keys.
const (
	TypeCompact = "application/jose"         // RFC 7515 §9.2.1
	TypeGeneral = "application/jose+json"    //
	TypeJWKS    = "application/jwk-set+json" // RFC 7517 §8.5
)

// A payload is the content of our signed documents. A device accepts a document if its
// serial is not below that of the last one it accepted; the document then replaces the
// last one. The device fetches another after refresh_after, and rejects expired ones. A
// pattern "*.h" stands for each name one label below h, as in format's own JSON form,
// which reads payloads, too.
//
// For each host of the app there are four cases:
//
//   - It is in hosts: its pins are these, and no others.
//   - It is only in withheld: the document leaves its pins open, and the device keeps
//     those that it has, from the last document or built in.
//   - It is in both: the pins are those of the last document that are still good. So a
//     device that does not read withheld continues to pin the host.
//   - It is in neither: it is no longer pinned.
//
// A pin in revoked is never accepted, wherever the device got it from. A device does not
// connect to a host whose pins are all revoked.
type payload struct {
	App          string                `json:"app"`
	Serial       int64                 `json:"serial"`
	IssuedAt     int64                 `json:"iat"`           // Unix seconds
	RefreshAfter int64                 `json:"refresh_after"` // Unix seconds
	Expires      int64                 `json:"exp"`           // Unix seconds
	Hosts        map[string][]pins.Pin `json:"hosts"`
	Revoked      []pins.Pin            `json:"revoked"`            // never accepted
	Withheld     map[string]string     `json:"withheld,omitempty"` // by host: a code of package pins
}

// Payload returns what is signed: the same bytes for the same arguments. Times are
// rounded down to seconds; issued < refreshAfter ≤ expires, and serial > 0. It fails with
// a *format.RefusedError for a set that would leave a host without pins or that
// contradicts itself. A set without pins for any host must revoke a key, and have a reason
// for each withheld host.
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

// ReadPayload returns the hosts and revoked pins of an earlier document.
func ReadPayload(data []byte) (pins.Published, error) {
	var p struct {
		Hosts   map[pins.Pattern][]pins.Pin `json:"hosts"`
		Revoked []pins.Pin                  `json:"revoked"`
	}
	if err := json.Unmarshal(data, &p); err != nil {
		return pins.Published{}, fmt.Errorf("reading the previous pin document: %w", err)
	}
	return pins.Published{Hosts: p.Hosts, Revoked: p.Revoked}, nil
}

func checkSet(set pins.Set) error {
	refuse := func(host, reason string) error {
		return &format.RefusedError{Format: "jws", Host: host, Reason: reason}
	}
	switch {
	case set.App == "" || !utf8.ValidString(set.App):
		return refuse("", "The name of the app is missing or not UTF-8. Name it in the configuration.")
	case len(set.Hosts) == 0 && (len(set.Withheld) == 0 || len(set.Revoked) == 0):
		return refuse("", "The app has no hosts, and the document would pin nothing. Name its hosts in the configuration.")
	case slices.ContainsFunc(set.Revoked, pins.Pin.IsZero):
		return refuse("", "One of the revoked pins is empty.")
	}
	for _, w := range set.Withheld {
		if w.Code == "" {
			return refuse(w.Host.String(), "It is withheld without a reason.")
		}
	}
	seen := make(map[pins.Pattern]bool)
	for _, h := range set.Hosts {
		name := h.Pattern.String()
		switch {
		case h.Pattern.Reach != pins.Exact && h.Pattern.Reach != pins.OneBelow:
			return refuse(name, "Devices support only single names and *.name. List the levels individually among the app's hosts.")
		case seen[h.Pattern]:
			return refuse(name, "It is listed twice.")
		case len(h.Pins) == 0:
			return refuse(name, "It has no pins and would not be pinned. Approve a key for it.")
		}
		seen[h.Pattern] = true
		for _, pin := range h.Pins {
			switch {
			case pin.IsZero():
				return refuse(name, "One of its pins is empty.")
			case slices.Contains(set.Revoked, pin):
				return refuse(name, fmt.Sprintf("%s is among its pins and revoked. Serve another key first.", pin))
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

// opaque is a key for go-jose that signs without randomness, unlike go-jose itself.
type opaque struct{ key *Key }

func (o opaque) Public() *jose.JSONWebKey {
	jwk := o.key.jwk()
	return &jwk
}

func (o opaque) Algs() []jose.SignatureAlgorithm { return []jose.SignatureAlgorithm{o.key.alg} }

// SignPayload signs by RFC 7518 §3.4 and RFC 8037 §3.1: the two integers of ECDSA follow
// one another, 32 bytes each.
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
