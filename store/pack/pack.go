// Package pack encodes events and certificates in few bytes, for the database.
//
// Both are mostly alike and otherwise random: what all of them have in common is in a
// dictionary, and what remains is hashes, keys and signatures. So they are compressed by S2
// (https://github.com/google/snappy/blob/main/format_description.txt, with dictionaries),
// which takes a tenth of the time of formats that also shorten random text. An event's
// hashes are written in hex and base64; they are packed as bytes first. A certificate is
// stored as its difference from the TBSCertificate that it was made from.
//
// The first byte of what Event and DER return says how to decode it, and by which dictionary.
// A dictionary never changes: one that is better gets another byte. What cannot be encoded,
// for any reason, is stored as it is. Everything encoded has been decoded once, and was the
// same byte for byte.
package pack

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/s2"
)

// The first byte: how the others are encoded.
const (
	Plain = 'p' // as they are

	event1 = 'e' // an event, by the first dictionary of events
	der1   = 'd' // DER, by the first dictionary of certificates
	delta1 = 'D' // what is not in the TBSCertificate, by the same
)

// Bounds of what is encoded, and of what decoding makes of stored bytes. An event has less
// than 256 KiB, and an entry of a log less than 16 MiB (RFC 6962 §3.4). What is longer is
// stored plain.
const (
	maxEvent = 1 << 20
	maxDER   = 1 << 24
)

var errDamaged = errors.New("the stored bytes are damaged")

// plain returns bytes as they are stored without encoding.
func plain(b []byte) []byte {
	out := make([]byte, 0, 1+len(b))
	return append(append(out, Plain), b...)
}

// compressed returns the method and the compressed bytes.
func compressed(method byte, d *s2.Dict, b []byte) []byte {
	n := s2.MaxEncodedLen(len(b))
	if n < 0 {
		return nil
	}
	out := make([]byte, 1+n)
	out[0] = method
	return out[:1+len(d.Encode(out[1:], b))]
}

// decompressed returns what was compressed, if it is not longer than limit.
func decompressed(d *s2.Dict, b []byte, limit int) ([]byte, error) {
	n, err := s2.DecodedLen(b)
	if err != nil || n > limit {
		return nil, errDamaged
	}
	out, err := d.Decode(make([]byte, n), b)
	if err != nil {
		return nil, errDamaged
	}
	return out, nil
}

// unknown is the error for a method that this program does not know.
func unknown(method byte) error {
	return fmt.Errorf("the stored bytes are encoded in an unknown way (%#02x)", method)
}

// lazily returns a dictionary that is made when it is first used.
func lazily(content func() []byte) func() *s2.Dict {
	return sync.OnceValue(func() *s2.Dict { return s2.MakeDict(content(), nil) })
}

// smaller returns what was encoded if it is worth it and decodes to the same, else plain.
func smaller(encoded, b []byte, decode func([]byte) ([]byte, error)) []byte {
	if encoded == nil || len(encoded) > len(b) {
		return plain(b)
	}
	if again, err := decode(encoded); err != nil || !bytes.Equal(again, b) {
		return plain(b)
	}
	return encoded
}
