package main

import (
	"context"
	"crypto/x509"
	"sync"
	"time"

	"ctwatch/pins"
	"ctwatch/pins/chain"
	"ctwatch/store"
)

// A planStore is the store for plans: its facts also say what is above the issuers in the
// chains that clients build, by the roots of this machine.
type planStore struct {
	store.Plans
	shown store.Issuers  // by logs and servers
	roots *x509.CertPool // nil: those of the system
	// unprobed reports whether looking at hosts is turned off; nil: of none.
	unprobed func(pins.Pattern) bool

	mu    sync.Mutex
	known []*x509.Certificate // of CAs, as far as they were read and can be parsed
	read  int                 // how many were read
	above map[pins.Pin][]pins.Chain
	at    time.Time // of above
}

// newAbove is how often the chains above issuers are built anew though nothing became
// known: certificates of CAs end.
const newAbove = time.Hour

// Facts implements planner.Store.
func (s *planStore) Facts(ctx context.Context) (pins.Facts, error) {
	f, err := s.Plans.Facts(ctx)
	if err != nil {
		return f, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh, err := s.learn(ctx)
	if err != nil {
		return f, err
	}
	if age := f.Now.Sub(s.at); fresh || age < 0 || age > newAbove {
		s.above, s.at = chain.Above(chain.Options{Roots: s.roots, Known: s.known, At: f.Now}), f.Now
	}
	f.Above, f.Unprobed = s.above, s.unprobed
	return f, nil
}

// issuers returns the certificates of CAs that logs and servers have shown.
func (s *planStore) issuers(ctx context.Context) ([]*x509.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.learn(ctx)
	return s.known, err
}

// learn reads what is new, and reports whether anything is.
func (s *planStore) learn(ctx context.Context) (fresh bool, err error) {
	ders, err := s.shown.Certificates(ctx, s.read)
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
