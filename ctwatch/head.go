package ctwatch

import "time"

// A Head is a tree head with a verified signature by the log's key: a signed tree head of
// RFC 6962 (§3.5) or the checkpoint of a static log.
type Head struct {
	Size      uint64
	Root      Hash
	Timestamp time.Time // as signed, milliseconds
	// Raw is the reply as the log served it, with the signature: evidence for third parties
	// if the log lies.
	Raw []byte
	// Origin is the log's name in a checkpoint; "" for RFC 6962, and for a head from the
	// store.
	Origin string
}

// A Tree is the verified part of a log's tree: its size, and its compact range, which is
// the roots of the perfect subtrees that cover [0, Size), left to right. That is enough to
// continue building the tree at Size.
type Tree struct {
	Size  uint64
	Range []Hash
}

// Progress is what the store keeps of a log between two runs of the daemon.
type Progress struct {
	Position uint64 // entries read and matched
	Verified Tree   // the part proven by a tree head
	Head     *Head  // the largest tree head accepted; nil before the first
	Fault    string // causes of misbehavior that were reported and have not ended, separated by spaces
	// Unhealthy is why the log was reported unhealthy, if it has not recovered; "" when it
	// is healthy.
	Unhealthy string
	Started   bool // whether a starting point was chosen
	// Kept describes the part between Verified and Position; if it is zero, that part must
	// be read again.
	Kept Kept
}

// Kept describes the entries that were read above the verified position. Either they are in
// order as far as is known, and Tree is kept up to Position; or they did not verify, and
// are read again from time to time.
type Kept struct {
	Tree Tree // of size Position; zero if they did not verify

	Unverified bool          // they did not verify
	Repair     time.Time     // when to read them again
	Pause      time.Duration // between that and the time before
}

// A Fault is a broken promise of a log, with the evidence.
type Fault struct {
	Cause  string // one of the causes below
	Detail string // one sentence for a person, in plain text
	// Evidence is what a third party needs to check it.
	Evidence Evidence
}

// The causes of a Fault.
const (
	CauseBadSignature = "bad_signature" // a tree head not signed by the log's key
	CauseFork         = "fork"          // two roots for one size
	CauseRollback     = "rollback"      // a newer tree head for a smaller tree
	CauseRootMismatch = "root_mismatch" // entries that do not hash to the signed root
	CauseInconsistent = "inconsistent"  // a tree head that does not extend an earlier one
	CauseInvalidReply = "invalid_reply" // entries or hashes that do not belong to its tree, repeatedly
	CauseWrongOrigin  = "wrong_origin"  // checkpoints with the name of another log
)

// Evidence is the data of a log.misbehaved event.
type Evidence struct {
	Cause string `json:"cause"`
	// Heads are tree heads as the log served them, oldest first.
	Heads []EvidenceHead `json:"heads,omitempty"`
	// Computed is the root computed from the entries, if that is in question.
	Computed *EvidenceRoot `json:"computed,omitempty"`
	// Entry is the first entry that is not in the signed tree, if it was found.
	Entry *EvidenceEntry `json:"entry,omitempty"`
	// Reply is a reply that is not what it must be.
	Reply *EvidenceReply `json:"reply,omitempty"`

	// Omitted counts what an event leaves out: tree heads, and bytes of "raw" and
	// "leaf_input" that are empty because they are too long. Only in events.
	Omitted map[string]int `json:"omitted,omitempty"`
}

// An EvidenceReply identifies a reply of a log that is too large to include.
type EvidenceReply struct {
	Path   string `json:"path"`   // below the log's URL
	SHA256 Hash   `json:"sha256"` // of the reply, after decompression
	Want   string `json:"want"`   // what it must be, in words
}

// An EvidenceHead is a tree head in Evidence. Size and Root are absent if the reply could
// not be read.
type EvidenceHead struct {
	Size      uint64    `json:"tree_size,omitempty"`
	Root      *Hash     `json:"root_hash,omitempty"`
	Timestamp time.Time `json:"timestamp,omitzero"`
	Raw       []byte    `json:"raw"` // base64 in JSON
}

// An EvidenceRoot is a root that ctwatch computed.
type EvidenceRoot struct {
	Size uint64 `json:"tree_size"`
	Root Hash   `json:"root_hash"`
}

// An EvidenceEntry is an entry as the log served it.
type EvidenceEntry struct {
	Index    uint64 `json:"index"`
	LeafHash Hash   `json:"leaf_hash"`
	Leaf     []byte `json:"leaf_input"` // MerkleTreeLeaf, base64 in JSON
}

// Evidence returns the head as evidence.
func (h Head) Evidence() EvidenceHead {
	root := h.Root
	return EvidenceHead{Size: h.Size, Root: &root, Timestamp: h.Timestamp, Raw: h.Raw}
}
