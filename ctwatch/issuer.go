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

// Equal reports whether two chains show the same.
func (k IssuerKey) Equal(other IssuerKey) bool {
	return k.Pin == other.Pin && k.Anchor == other.Anchor && k.NotBefore.Equal(other.NotBefore) &&
		k.NotAfter.Equal(other.NotAfter) && bytes.Equal(k.NameConstraints, other.NameConstraints)
}
