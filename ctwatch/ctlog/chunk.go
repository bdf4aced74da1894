package ctlog

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"time"

	"ctwatch/ctwatch"
)

// A Chunk is one reply of a log: consecutive entries, as they were served. It is read once,
// with Next, and then closed.
type Chunk struct {
	Start uint64 // index of the first entry
	Bytes int64  // size of the reply, after decompression
	// Lenient, set before the first Next, accepts entries that have another index, with
	// Entry.Err; otherwise such an entry is an error of the chunk.
	Lenient bool

	source source
	n      uint64  // entries returned
	buf    *buffer // holds the entries; nil once closed
	decode func(*Entry) (bool, error)
	err    error
}

// Close releases the chunk's memory and its part of the Budget. Its entries must not be used
// after that.
func (c *Chunk) Close() {
	if c.buf != nil {
		c.buf.release()
		c.buf, c.err = nil, errClosed
	}
}

var errClosed = errors.New("the chunk is closed")

// Next sets e to the next entry and reports whether there is one. e is valid until the next
// call. Call Err when Next returns false.
func (c *Chunk) Next(e *Entry) bool {
	if c.err != nil {
		return false
	}
	*e = Entry{Index: c.Start + c.n}
	ok, err := c.decode(e)
	if err == nil && e.misplaced != nil {
		if !c.Lenient {
			err = e.misplaced
		} else if e.Err == nil {
			e.Err = e.misplaced
		}
	}
	if err != nil {
		c.err = c.source.wrong(e.Index, err)
		return false
	}
	if ok {
		c.n++
	}
	return ok
}

// Err returns why the chunk could not be read to its end, mostly a *ContentError. Such a
// chunk must be fetched again. An entry that is delimited but cannot be parsed is no such
// error; see Entry.Err.
func (c *Chunk) Err() error { return c.err }

// An Entry is one entry of a log. Its slices are parts of the reply.
type Entry struct {
	Index uint64
	// Header is the version and the type of the MerkleTreeLeaf, {0, 0} in all existing logs
	// (RFC 6962 §3.4); Leaf is the TimestampedEntry after it.
	Header [2]byte
	Leaf   []byte

	// Err is why the rest could not be read. The leaf can be hashed anyway.
	Err error

	Timestamp  time.Time // of the log, in milliseconds
	Precert    bool
	IssuerHash []byte // SHA-256 of the issuer's SPKI; nil for a final certificate
	// DER is the certificate; for a precertificate, the TBSCertificate without poison and
	// with the final issuer (RFC 6962 §3.2).
	DER []byte

	// Extra decodes one of these, depending on the API.
	static  staticExtra
	rfc6962 []byte // base64 of extra_data

	misplaced error // the entry has another index; nil if not
}

// Extra is what a log serves with an entry but does not hash into its tree: it must be
// checked against the entry.
type Extra struct {
	Precert []byte // the precertificate in DER; nil for a final certificate
	// Chain are the certificates above the entry's in DER, that of the issuer first, from
	// an RFC 6962 log; nil if it gives none. At most ctwatch.MaxChain.
	Chain [][]byte
	// ChainFingerprints identify them for Log.Issuer, from a static log. At most
	// ctwatch.MaxChain.
	ChainFingerprints []ctwatch.Hash
}

// Extra decodes what came with the entry. Only matches need it.
func (e *Entry) Extra() (Extra, error) {
	if e.rfc6962 != nil {
		return decodeExtraData(e.rfc6962, e.Precert)
	}
	return e.static.decode(), nil
}

// A Hasher computes leaf hashes without allocating. It must not be used concurrently.
type Hasher struct {
	h    hash.Hash
	head [3]byte
	sum  ctwatch.Hash
}

// NewHasher returns a Hasher.
func NewHasher() *Hasher { return &Hasher{h: sha256.New()} }

// Leaf returns an entry's leaf hash (RFC 6962 §2.1): that of a zero byte and the
// MerkleTreeLeaf as it was served.
func (h *Hasher) Leaf(e *Entry) ctwatch.Hash {
	h.head = [3]byte{0, e.Header[0], e.Header[1]}
	h.h.Reset()
	h.h.Write(h.head[:])
	h.h.Write(e.Leaf)
	h.h.Sum(h.sum[:0])
	return h.sum
}

// LeafHash returns the leaf hash of a single entry; for many use a Hasher.
func (e *Entry) LeafHash() ctwatch.Hash { return NewHasher().Leaf(e) }

// MerkleLeaf returns the whole MerkleTreeLeaf.
func (e *Entry) MerkleLeaf() []byte {
	return append([]byte{e.Header[0], e.Header[1]}, e.Leaf...)
}

// The entry types of RFC 6962 §3.1.
const (
	typeX509    = 0
	typePrecert = 1
)

// Why an entry cannot be read. The texts do not depend on the entry: reports are counted by
// them.
var (
	errShort     = errors.New("ends too early")
	errEntryType = errors.New("its type is neither 0 (certificate) nor 1 (precertificate)")
	errTimestamp = errors.New("its timestamp is not in milliseconds since 1970")
	errLeafType  = errors.New("its version or leaf type is not 0")
	errTrailing  = errors.New("bytes follow it")
)

// parseTimestamped parses a TimestampedEntry (RFC 6962 §3.4) at the start of b into e. It
// returns the entry's extensions and what follows it.
//
//	uint64 timestamp; uint16 entry_type;
//	x509:    opaque certificate<1..2^24-1>
//	precert: opaque issuer_key_hash[32]; opaque tbs_certificate<1..2^24-1>
//	opaque extensions<0..2^16-1>
func (e *Entry) parseTimestamped(b []byte) (extensions, rest []byte, err error) {
	if len(b) < 10 {
		return nil, nil, errShort
	}
	timestamp, kind := binary.BigEndian.Uint64(b), binary.BigEndian.Uint16(b[8:])
	rest = b[10:]
	switch kind {
	case typeX509:
	case typePrecert:
		if len(rest) < 32 {
			return nil, nil, errShort
		}
		e.Precert, e.IssuerHash, rest = true, rest[:32], rest[32:]
	default:
		return nil, nil, errEntryType
	}
	if timestamp >= 1<<53 {
		return nil, nil, errTimestamp
	}
	e.Timestamp = time.UnixMilli(int64(timestamp)).UTC()
	var ok bool
	if e.DER, rest, ok = vector(rest, 3); !ok {
		return nil, nil, errShort
	}
	if extensions, rest, ok = vector(rest, 2); !ok {
		return nil, nil, errShort
	}
	return extensions, rest, nil
}

// vector splits off a variable-length vector of TLS (RFC 8446 §3.4) whose length
// takes n bytes.
func vector(b []byte, n int) (v, rest []byte, ok bool) {
	if len(b) < n {
		return nil, nil, false
	}
	length := 0
	for _, c := range b[:n] {
		length = length<<8 | int(c)
	}
	if b = b[n:]; len(b) < length {
		return nil, nil, false
	}
	return b[:length], b[length:], true
}
