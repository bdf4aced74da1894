package ctwatch

// A Batch is what one span of one log yielded: enough to record it and to rebuild
// the tree, with nothing that points into the memory it was read from.
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
	LeafHash    Hash   // of the entry: with the log and the index, what was seen
	TBS         []byte // the bytes that Certificate.ID is the hash of
	DER         []byte // the certificate or precertificate; nil when the log does not give it
	// Chain are the certificates above it in DER, that of the issuer first, as the log
	// gives them: the log's signature does not cover them. ChainFingerprints name
	// them where the log has to be asked for each. There are at most MaxChain
	// of either, and none in Chain that is longer than MaxChainCertificate.
	Chain             [][]byte
	ChainFingerprints []Hash
	// Incomplete says that the log did not serve all that proves the issuer or that its
	// CA can be learned from, so that it is worth asking again.
	Incomplete bool
}

// Bounds of what is kept and learned from a chain. Chains have three or four certificates
// of some 2 KiB each.
const (
	MaxChain            = 10
	MaxChainCertificate = 64 << 10 // bytes
)

// Unsettled reports whether the entry is worth reading again later: its issuer is not
// proven, or the log did not serve all of its chain.
func (f *Found) Unsettled() bool { return f.Incomplete || !f.Certificate.Issuer.Proven }

// An EntryRef names an entry of a log, and what was read there.
type EntryRef struct {
	Index    uint64
	LeafHash Hash
	Asked    int // how often it was read again
}

// A Malformed is an entry that could not be parsed, so that nobody can say whom
// it concerns.
type Malformed struct {
	Index    uint64
	LeafHash Hash
	Reason   string
}
