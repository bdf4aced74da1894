package ctwatch

import "time"

// A Head is a tree head whose signature by the log's key has been verified: an
// RFC 6962 signed tree head (§3.5) or the checkpoint of a static log.
type Head struct {
	Size      uint64
	Root      Hash
	Timestamp time.Time // as signed, milliseconds
	// Raw is the reply as the log gave it, signature and all: what convinces a
	// third party when the log is caught lying.
	Raw []byte
	// Origin is the name that a checkpoint gives its log; "" in RFC 6962, and once the
	// head was kept.
	Origin string
}

// A Tree is the verified part of a log's tree: its size, and its compact range,
// the roots of the perfect subtrees that cover [0, Size), left to right. It is
// all that is needed to go on rebuilding the tree at Size.
type Tree struct {
	Size  uint64
	Range []Hash
}

// Progress is what is kept of a log between two runs of the daemon.
type Progress struct {
	Position uint64 // entries read and matched
	Verified Tree   // the part proven by a tree head
	Head     *Head  // the largest tree head accepted; nil before the first
	Fault    string // causes of a misbehaviour that has been told and not ended, with blanks between
	// Unhealthy is why the log was told to be unhealthy, and has not recovered; ""
	// when it is well.
	Unhealthy string
	Started   bool // whether a starting point was ever chosen
	// Kept is what is known of the part between Verified and Position; the zero Kept is
	// nothing: it is to be read again.
	Kept Kept
}

// Kept is what is known of the entries that were read after the verified position. Either
// they are in order as far as is known, and the Tree up to Position is kept; or they did
// not verify, and are read again from time to time.
type Kept struct {
	Tree Tree // its size is Position; the zero Tree where they did not verify

	Unverified bool          // they did not verify
	Repair     time.Time     // when to read them again
	Pause      time.Duration // between that and the time before
}

// A Fault is a way in which a log breaks its promises, with the proof of it.
type Fault struct {
	Cause  string // one of the causes below
	Detail string // one sentence for a person, in plain text
	// Evidence is what a third party needs to see it for themselves.
	Evidence Evidence
}

// The causes of a Fault.
const (
	CauseBadSignature = "bad_signature" // a tree head not signed by the log's key
	CauseFork         = "fork"          // two roots for one size
	CauseRollback     = "rollback"      // a newer tree head for a smaller tree
	CauseRootMismatch = "root_mismatch" // entries that do not hash to the signed root
	CauseInconsistent = "inconsistent"  // a tree head that is no extension of an earlier one
	CauseInvalidReply = "invalid_reply" // entries or hashes that are not those of its tree, again and again
	CauseWrongOrigin  = "wrong_origin"  // checkpoints under another name than the log's
)

// Evidence is the data of a log.misbehaved event.
type Evidence struct {
	Cause string `json:"cause"`
	// Heads are tree heads as the log served them, oldest first.
	Heads []EvidenceHead `json:"heads,omitempty"`
	// Computed is the root rebuilt from the entries, where that is in question.
	Computed *EvidenceRoot `json:"computed,omitempty"`
	// Entry is the first entry that is not in the signed tree, where it was found.
	Entry *EvidenceEntry `json:"entry,omitempty"`
	// Reply is what was served, where that is not what it has to be.
	Reply *EvidenceReply `json:"reply,omitempty"`

	// Omitted counts what an event leaves out: tree heads, and bytes of "raw" and
	// "leaf_input" that are empty since they are too long. Only in events.
	Omitted map[string]int `json:"omitted,omitempty"`
}

// An EvidenceReply is a reply of a log that is too large to be shown.
type EvidenceReply struct {
	Path   string `json:"path"`   // below the log's URL
	SHA256 Hash   `json:"sha256"` // of the reply, after decompression
	Want   string `json:"want"`   // what it has to be, in words
}

// An EvidenceHead is a tree head in Evidence. Size and Root are absent where the
// reply could not be read.
type EvidenceHead struct {
	Size      uint64    `json:"tree_size,omitempty"`
	Root      *Hash     `json:"root_hash,omitempty"`
	Timestamp time.Time `json:"timestamp,omitzero"`
	Raw       []byte    `json:"raw"` // base64 in JSON
}

// An EvidenceRoot is a root computed here.
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
