package publish

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"

	"ctwatch/pins"
	"ctwatch/pins/format"
)

// The header fields of the challenge form.
const (
	HeaderChallenge = "X-Cert-Pinning-Challenge"
	HeaderSignature = "X-Cert-Pinning-Signature"
)

// A fingerprint is an entry of a Wultra document.
type fingerprint struct {
	Name        string `json:"name"`
	Fingerprint string `json:"fingerprint"` // base64 of the SHA-256 of the certificate
	Expires     int64  `json:"expires"`     // Unix seconds
	Signature   string `json:"signature,omitempty"`
}

// text returns what is signed of an entry in the static form.
func (f fingerprint) text() string {
	return fmt.Sprintf("%s&%s&%d", f.Name, f.Fingerprint, f.Expires)
}

// Wultra returns the static document, whose entries are signed individually:
//
//	{"fingerprints":[{"name","fingerprint","expires","signature"}]}
//
// The bytes are the same for the same certificates and key. It fails with a
// *format.RefusedError for a key that is not on P-256, and for certificates that the SDK
// would not find or would reject.
//
// Devices keep fingerprints until they expire: they trust a certificate that is left out
// until then.
func Wultra(leaves []pins.Leaf, key *Key) ([]byte, error) {
	entries, err := fingerprints(leaves, key)
	if err != nil {
		return nil, err
	}
	for i := range entries {
		if entries[i].Signature, err = key.signText(entries[i].text()); err != nil {
			return nil, err
		}
	}
	return writeJSON(struct {
		Fingerprints []fingerprint `json:"fingerprints"`
	}{entries})
}

// WultraChallenge returns the document that answers a challenge that CheckChallenge
// accepts, and its signature for HeaderSignature:
//
//	{"timestamp","fingerprints":[{"name","fingerprint","expires"}]}
//
// The signature is over the challenge as sent, "&", and the body. It fails as Wultra does.
func WultraChallenge(leaves []pins.Leaf, key *Key, challenge string, now time.Time) (body []byte, signature string, err error) {
	if err := CheckChallenge(challenge); err != nil {
		return nil, "", err
	}
	entries, err := fingerprints(leaves, key)
	if err != nil {
		return nil, "", err
	}
	body, err = challengeBody(entries, now)
	if err != nil {
		return nil, "", err
	}
	signature, err = key.signText(challengeText(challenge, body))
	return body, signature, err
}

func challengeBody(entries []fingerprint, now time.Time) ([]byte, error) {
	return writeJSON(struct {
		Timestamp    int64         `json:"timestamp"`
		Fingerprints []fingerprint `json:"fingerprints"`
	}{now.Unix(), entries})
}

func challengeText(challenge string, body []byte) string {
	return challenge + "&" + string(body)
}

// CheckChallenge fails unless a challenge is the padded standard base64 of 16 to 32 bytes.
// So it never contains "&", and cannot be used to have another text signed.
func CheckChallenge(challenge string) error {
	const least, most = 16, 32
	if len(challenge) <= base64.StdEncoding.EncodedLen(most) {
		b, err := base64.StdEncoding.Strict().DecodeString(challenge)
		if err == nil && least <= len(b) && len(b) <= most && !strings.ContainsAny(challenge, "\r\n") {
			return nil
		}
	}
	return fmt.Errorf("%s: want the base64 of %d to %d bytes", HeaderChallenge, least, most)
}

// WultraPublicKey returns the public key in the form of the SDK's configuration: the
// base64 of its uncompressed point (SEC 1 §2.3.3), 65 bytes.
func (k *Key) WultraPublicKey() (string, error) {
	if k.alg != jose.ES256 {
		return "", refuseKey(k)
	}
	point, err := k.Public().(*ecdsa.PublicKey).Bytes()
	if err != nil {
		return "", fmt.Errorf("writing the public key: %w", err)
	}
	return base64.StdEncoding.EncodeToString(point), nil
}

func refuseKey(k *Key) error {
	return refuseWultra("", fmt.Sprintf("The SDK supports only ECDSA signatures on P-256, and the signing key is for %s. Sign with a key on P-256.", k.alg))
}

func refuseWultra(name, reason string) error {
	return &format.RefusedError{Format: "wultra", Host: name, Reason: reason}
}

func (k *Key) signText(text string) (string, error) {
	signature, err := k.sign([]byte(text))
	if err != nil {
		return "", fmt.Errorf("signing fingerprints: %w", err)
	}
	return base64.StdEncoding.EncodeToString(signature), nil
}

// fingerprints returns the entries of a document, sorted and without duplicates.
func fingerprints(leaves []pins.Leaf, key *Key) ([]fingerprint, error) {
	if key.alg != jose.ES256 {
		return nil, refuseKey(key)
	}
	if len(leaves) == 0 {
		return nil, refuseWultra("", "No certificate is known in the form in which it is served, and the SDK needs its hash: logs may only have the precertificate. Probe the hosts.")
	}
	var entries []fingerprint
	for _, l := range leaves {
		digest := sha256.Sum256(l.DER)
		hash := base64.StdEncoding.EncodeToString(digest[:])
		switch {
		case len(l.DER) == 0 || l.NotAfter.Unix() <= 0:
			return nil, refuseWultra(l.CommonName, "Too little is known about its certificate.")
		case l.CommonName == "":
			return nil, refuseWultra("", fmt.Sprintf("The certificate whose SHA-256 is %s has no common name, and the SDK finds it only by that. Have one issued with a common name, or use another format.", hash))
		case !utf8.ValidString(l.CommonName):
			return nil, refuseWultra("", fmt.Sprintf("The common name of the certificate whose SHA-256 is %s is not UTF-8, and the SDK would not find it.", hash))
		}
		entries = append(entries, fingerprint{Name: l.CommonName, Fingerprint: hash, Expires: l.NotAfter.Unix()})
	}
	slices.SortFunc(entries, func(a, b fingerprint) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Expires, b.Expires), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	return slices.Compact(entries), nil
}
