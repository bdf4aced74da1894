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

	mu    sync.Mutex
	known []*x509.Certificate // of CAs, those that can be parsed
	read  int                 // how many were read
	above map[pins.Pin][]pins.Chain
	at    time.Time // of above
}

// rebuildAbove is how often chains are built again without a new certificate, since those
// of CAs expire.
const rebuildAbove = time.Hour

// Facts returns the facts of the store with Above and Unprobed.
func (s *FactStore) Facts(ctx context.Context) (pins.Facts, error) {
	f, err := s.Store.Facts(ctx)
	if err != nil {
		return f, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh, err := s.readNew(ctx)
	if err != nil {
		return f, err
	}
	if age := f.Now.Sub(s.at); fresh || age < 0 || age > rebuildAbove {
		s.above, s.at = chain.Above(chain.Options{Roots: s.Roots, Known: s.known, At: f.Now}), f.Now
	}
	f.Above, f.Unprobed = s.above, s.Unprobed
	return f, nil
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
