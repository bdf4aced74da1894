package ctwatch

import (
	"bytes"
	"time"

	"ctwatch/pins"
)

// An IssuerKey is an issuing key that a chain of certificates shows to be a CA's.
type IssuerKey struct {
	Pin pins.Pin
	// Anchor is the key of a known CA that vouches for it: the nearest one above it
	// in the chain.
	Anchor pins.Pin
	// NotBefore and NotAfter bound the time in which every certificate of the chain is
	// valid. Both are part of it.
	NotBefore, NotAfter time.Time
	// NameConstraints are the values of the chain's name constraints (RFC 5280
	// §4.2.1.10) in DER, one after another; nil if there are none.
	NameConstraints []byte
}

// An IssuerLearner finds out whose issuing keys are, by the chains of certificates. Its
// methods use neither network nor store, and may be called concurrently.
type IssuerLearner interface {
	// Shown returns the issuing keys that the chain above a certificate, in DER, shows to
	// be a CA's, unless they are known to be. It changes nothing.
	Shown(c *Certificate, chain [][]byte) []IssuerKey
	// Add makes keys known, and returns those that were not.
	Add(keys ...IssuerKey) []IssuerKey
}

// Equal reports whether two chains show the same.
func (k IssuerKey) Equal(other IssuerKey) bool {
	return k.Pin == other.Pin && k.Anchor == other.Anchor && k.NotBefore.Equal(other.NotBefore) &&
		k.NotAfter.Equal(other.NotAfter) && bytes.Equal(k.NameConstraints, other.NameConstraints)
}
