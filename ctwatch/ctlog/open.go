package ctlog

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"

	ct "github.com/google/certificate-transparency-go"
	"github.com/google/certificate-transparency-go/tls"

	"ctwatch/ctwatch"
)

// Options are what a log is read with.
type Options struct {
	Client *http.Client // required
	Logger *slog.Logger // required
	// UserAgent is sent with each request, so that operators know whom to ask;
	// the default is "ctwatch".
	UserAgent string
	// Pace is how fast the log may be asked; nil sets no limits.
	Pace *LogPace
	// Budget bounds the memory that replies take; nil sets no bounds.
	Budget *Budget
	// Issuers are shared with other logs; nil keeps those of this one by itself.
	Issuers *Issuers
}

// Open returns a reader of the log that l describes. It makes no request. The
// key, the kind and the URL of l are required, and its ID must be the key's.
func Open(l ctwatch.Log, o Options) (Log, error) {
	if o.UserAgent == "" {
		o.UserAgent = "ctwatch"
	}
	if l.ID != ctwatch.LogIDOf(l.Key) {
		return nil, fmt.Errorf("log %q: its ID %v is not the hash of its key", l.Name, l.ID)
	}
	v, err := newVerifier(l.Key)
	if err != nil {
		return nil, fmt.Errorf("log %q: %w", l.Name, err)
	}
	g, err := newGetter(l.URL, o)
	if err != nil {
		return nil, fmt.Errorf("log %q: %w", l.Name, err)
	}
	switch l.Kind {
	case ctwatch.KindRFC6962:
		if g.dir != "" {
			return nil, fmt.Errorf("log %q: only a static log can be read from files", l.Name)
		}
		return newRFC6962(l, g, v), nil
	case ctwatch.KindStatic:
		return newStatic(l, g, v, o), nil
	}
	return nil, fmt.Errorf("log %q: kind %q is neither %q nor %q", l.Name, l.Kind, ctwatch.KindRFC6962, ctwatch.KindStatic)
}

// A verifier checks signatures of tree heads (RFC 6962 §3.5) under one log's key,
// ECDSA or RSA.
type verifier struct{ sv *ct.SignatureVerifier }

func newVerifier(key []byte) (*verifier, error) {
	pub, err := x509.ParsePKIXPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	sv, err := ct.NewSignatureVerifier(pub)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	return &verifier{sv}, nil
}

// verify checks a TreeHeadSignature, given as the TLS encoding of a
// DigitallySigned (RFC 5246 §4.7).
func (v *verifier) verify(size, timestamp uint64, root ctwatch.Hash, signature []byte) error {
	var ds ct.DigitallySigned
	rest, err := tls.Unmarshal(signature, &ds)
	if err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	if len(rest) > 0 {
		return fmt.Errorf("signature: %d bytes too many", len(rest))
	}
	return v.sv.VerifySTHSignature(ct.SignedTreeHead{
		Version: ct.V1, TreeSize: size, Timestamp: timestamp,
		SHA256RootHash: ct.SHA256Hash(root), TreeHeadSignature: ds,
	})
}
