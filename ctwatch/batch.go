package ctwatch

// A Batch is the result of reading one span of one log: enough to record it and to rebuild
// the tree. It does not refer to the memory it was read from.
type Batch struct {
	Log        LogID
	Start, End uint64 // entries [Start, End)
	// Range is the compact range over [Start, End): the roots of the perfect,
	// aligned subtrees that cover it, left to right.
	Range     []Hash
	Found     []Found
	Malformed []Malformed
	Bytes     int64 // bytes of the log's replies, after decompression
}

// A Found is a certificate in a batch that matches the watch list. Its
// Certificate has exactly one sighting.
type Found struct {
	Certificate Certificate
	LeafHash    Hash   // of the entry
	TBS         []byte // the bytes that Certificate.ID is the hash of
	DER         []byte // the certificate or precertificate; nil if the log does not serve it
	// Chain holds the certificates above it in DER, the issuer's first, as the log serves
	// them: the log's signature does not cover them. ChainFingerprints identify them where
	// the log serves each separately. There are at most MaxChain of either, and none in
	// Chain is longer than MaxChainCertificate.
	Chain             [][]byte
	ChainFingerprints []Hash
	// Incomplete reports that the log did not serve everything that proves the issuer or
	// shows its CA, so that the entry is worth reading again.
	Incomplete bool
}

// Bounds of chains. A chain usually has three or four certificates of some 2 KiB each.
const (
	MaxChain            = 10
	MaxChainCertificate = 64 << 10 // bytes
)

// Unsettled reports whether the entry is worth reading again later: its issuer is not
// proven, or the log did not serve its whole chain.
func (f *Found) Unsettled() bool { return f.Incomplete || !f.Certificate.Issuer.Proven }

// An EntryRef identifies an entry of a log, and what was read there.
type EntryRef struct {
	Index    uint64
	LeafHash Hash
	Asked    int // how often it was read again
}

// A Malformed is an entry that cannot be parsed. It may concern a watched name.
type Malformed struct {
	Index    uint64
	LeafHash Hash
	Reason   string
}
