package ctlogtest

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// An Entry is one entry of a log: what is hashed into the tree, and what is served with it.
type Entry struct {
	// Header is the version and the leaf type of the MerkleTreeLeaf; only {0, 0} is defined
	// (RFC 6962 §3.4). A static log cannot serve another one.
	Header [2]byte
	Leaf   []byte // the TimestampedEntry, see Timestamped

	// Precert is the precertificate as submitted; nil for a final certificate.
	Precert []byte
	// Chain is the rest of the submitted chain, issuer first, root last.
	Chain [][]byte
}

// MerkleLeaf returns the MerkleTreeLeaf, the leaf_input of get-entries.
func (e Entry) MerkleLeaf() []byte {
	return append(e.Header[:], e.Leaf...)
}

// Timestamped encodes a TimestampedEntry (RFC 6962 §3.4). With an issuer key hash der is the
// TBSCertificate of a precertificate entry, without one it is a final certificate. The
// extensions are LeafIndex for a static log, and nil for an RFC 6962 log.
func Timestamped(at time.Time, issuerKeyHash *[32]byte, der, extensions []byte) ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, len(der)+64))
	b.AddUint64(uint64(at.UnixMilli()))
	if issuerKeyHash == nil {
		b.AddUint16(0) // x509_entry
	} else {
		b.AddUint16(1) // precert_entry
		b.AddBytes(issuerKeyHash[:])
	}
	b.AddUint24LengthPrefixed(bytesOf(der))
	b.AddUint16LengthPrefixed(bytesOf(extensions))
	return b.Bytes()
}

// LeafIndex encodes the extensions with an entry's index in a static log
// (c2sp.org/static-ct-api, SCT Extension).
func LeafIndex(index uint64) []byte {
	ext := []byte{0 /* leaf_index */, 0, 5}
	return append(ext, binary.BigEndian.AppendUint64(nil, index)[3:]...) // uint40
}

// extraData encodes the extra_data of get-entries (RFC 6962 §4.6): a
// PrecertChainEntry, or the certificate_chain of an X509ChainEntry.
func (e Entry) extraData() ([]byte, error) {
	var b cryptobyte.Builder
	if e.Precert != nil {
		b.AddUint24LengthPrefixed(bytesOf(e.Precert))
	}
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, c := range e.Chain {
			b.AddUint24LengthPrefixed(bytesOf(c))
		}
	})
	return b.Bytes()
}

// addTileLeaf encodes a TileLeaf (c2sp.org/static-ct-api, Log entries).
func (e Entry) addTileLeaf(b *cryptobyte.Builder) {
	b.AddBytes(e.Leaf)
	if e.Precert != nil {
		b.AddUint24LengthPrefixed(bytesOf(e.Precert))
	}
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, c := range e.Chain {
			fingerprint := sha256.Sum256(c)
			b.AddBytes(fingerprint[:])
		}
	})
}

func bytesOf(p []byte) cryptobyte.BuilderContinuation {
	return func(b *cryptobyte.Builder) { b.AddBytes(p) }
}

// A Truth is what a reader should find at one index.
type Truth struct {
	Index     uint64
	Timestamp time.Time
	// Kind is empty for an entry added with AddRaw, of which only the index is known.
	Kind ctwatch.SightingKind
	ID   ctwatch.Hash // SHA-256 of the TBSCertificate without poison and SCT list
	// Names are the DNS names as issued, and the common name if it is another; IPs are the
	// addresses. Both are in the order of the certificate.
	Names, IPs         []string
	LeafPin, IssuerPin pins.Pin
	Filler             bool // added by Fill
}

// A record is an entry as the log stores it. One record may be many entries, so that fillers
// take almost no memory.
type record interface {
	entry(index uint64) (Entry, error)
	truth(index uint64) (Truth, error)
}

// A single is a record of one entry, stored as bytes.
type single struct {
	Entry
	known Truth
}

func (s *single) entry(uint64) (Entry, error) { return s.Entry, nil }
func (s *single) truth(uint64) (Truth, error) { return s.known, nil }
