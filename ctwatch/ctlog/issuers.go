package ctlog

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"ctwatch/ctwatch"
)

const (
	// maxIssuers bounds the issuers in memory; a few thousand exist.
	maxIssuers = 4096
	// maxIssuerKept is the largest certificate that is kept in memory.
	maxIssuerKept = 64 << 10

	// issuerTimeout bounds one request for an issuer. An alert waits for the first such
	// request, so a log that does not answer must not delay it for long.
	issuerTimeout = 3 * time.Second
	// issuerPause is how long an issuer that a log failed to serve is not requested again:
	// one request is enough for a thousand certificates of one CA.
	issuerPause = 2 * time.Second
)

// Issuers caches the certificates of issuers that any log has served, by fingerprint. Logs
// that share it request each certificate only once, and only if neither another log nor the
// store has it: a fingerprint identifies the same certificate everywhere. Its methods may be
// called concurrently.
type Issuers struct {
	// Stored returns a certificate that an earlier run stored; nil if there is none.
	// Optional.
	Stored func(ctx context.Context, fingerprint ctwatch.Hash) ([]byte, error)

	mu    sync.Mutex
	known map[ctwatch.Hash][]byte
}

// Get returns a certificate; nil if it is not known.
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

// put adds a certificate whose fingerprint was checked.
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
