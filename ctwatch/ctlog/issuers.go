package ctlog

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"ctwatch/ctwatch"
)

const (
	// maxIssuers bounds the issuers in memory; there are some thousands of them.
	maxIssuers = 4096
	// maxIssuerKept is the largest certificate that is kept in memory.
	maxIssuerKept = 64 << 10

	// issuerTimeout bounds one request for an issuer. A certificate that was found is
	// not told of before its issuer was asked for once, so a log that does not answer
	// must not hold up an alarm for long.
	issuerTimeout = 3 * time.Second
	// issuerPause is how long an issuer that a log failed to serve is not asked for
	// again: a thousand certificates of one CA fail by one request.
	issuerPause = 2 * time.Second
)

// Issuers are the certificates of issuers that any log has served, by fingerprint. Logs
// that share them ask for each only once, and do without the file of one log when another,
// or the store, has the certificate: what a fingerprint names is the same everywhere. Its
// methods may be called concurrently.
type Issuers struct {
	// Stored looks a certificate up in what was kept in earlier runs; nil means that it
	// is not there. Optional.
	Stored func(ctx context.Context, fingerprint ctwatch.Hash) ([]byte, error)

	mu    sync.Mutex
	known map[ctwatch.Hash][]byte
}

// Get returns a certificate; nil where it is not known.
func (s *Issuers) Get(ctx context.Context, fingerprint ctwatch.Hash) ([]byte, error) {
	s.mu.Lock()
	der := s.known[fingerprint]
	s.mu.Unlock()
	if der != nil || s.Stored == nil {
		return der, nil
	}
	der, err := s.Stored(ctx, fingerprint)
	if err != nil || der == nil || sha256.Sum256(der) != fingerprint {
		return nil, err
	}
	s.put(fingerprint, der)
	return der, nil
}

// put remembers a certificate, whose fingerprint was checked.
func (s *Issuers) put(fingerprint ctwatch.Hash, der []byte) {
	if len(der) > maxIssuerKept {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= maxIssuers {
		s.known = make(map[ctwatch.Hash][]byte)
	}
	s.known[fingerprint] = der
}
