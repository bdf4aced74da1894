package planner

import (
	"context"
	"crypto/x509"
	"sync"
	"time"

	"ctwatch/pins"
	"ctwatch/pins/chain"
)

// A CAStore keeps the certificates of CAs that logs and servers have shown.
type CAStore interface {
	// Certificates returns them in DER, in the order in which they came, without the
	// first few.
	Certificates(ctx context.Context, skip int) ([][]byte, error)
}

// A FactStore reads facts, and what chains clients build above issuers. All fields but
// Roots and Unprobed are required.
type FactStore struct {
	Store
	CAs CAStore
	// Roots are what clients trust. Optional: the roots of this system.
	Roots *x509.CertPool
	// Unprobed reports whether probing of a pattern's hosts is turned off. Optional.
	Unprobed func(pins.Pattern) bool

	Now func() time.Time // optional: the system's clock

	mu    sync.Mutex
	known []*x509.Certificate       // of CAs, those that can be parsed
	read  int                       // how many were read
	above map[pins.Pin][]pins.Chain // of issuers that were asked for
	at    time.Time                 // of above
}

// rebuildAbove is how often chains are built again without a new certificate, since those
// of CAs expire.
const rebuildAbove = time.Hour

// Facts returns the facts of the store, with the chains above issuers, and Unprobed.
func (s *FactStore) Facts(ctx context.Context, scope pins.Scope) (pins.Facts, *pins.Interest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(scope.Apps) > 0 {
		fresh, err := s.readNew(ctx)
		if err != nil {
			return pins.Facts{}, nil, err
		}
		now := time.Now()
		if s.Now != nil {
			now = s.Now()
		}
		if age := now.Sub(s.at); fresh || age < 0 || age > rebuildAbove {
			s.above, s.at = make(map[pins.Pin][]pins.Chain), now
		}
		scope.Above = s.aboveIssuer
	}
	f, in, err := s.Store.Facts(ctx, scope)
	f.Unprobed = s.Unprobed
	return f, in, err
}

func (s *FactStore) aboveIssuer(issuer pins.Pin) []pins.Chain {
	above, known := s.above[issuer]
	if !known {
		above = chain.Above(issuer, chain.Options{Roots: s.Roots, Known: s.known, At: s.at})
		s.above[issuer] = above
	}
	return above
}

// Certificates returns the certificates of CAs that logs and servers have shown.
func (s *FactStore) Certificates(ctx context.Context) ([]*x509.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.readNew(ctx)
	return s.known, err
}

// readNew reads what the store has more, and reports whether that is anything.
func (s *FactStore) readNew(ctx context.Context) (fresh bool, err error) {
	ders, err := s.CAs.Certificates(ctx, s.read)
	if err != nil {
		return false, err
	}
	s.read += len(ders)
	for _, der := range ders {
		if c, err := x509.ParseCertificate(der); err == nil && c.IsCA {
			s.known = append(s.known, c)
			fresh = true
		}
	}
	return fresh, nil
}
