package ctwatch

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// A LogID is the SHA-256 of a log's DER public key (RFC 6962 §3.2), written in base64 as in
// log lists. Logs are identified by it alone: names and URLs may change.
type LogID [32]byte

// LogIDOf returns the ID of the log with a DER SubjectPublicKeyInfo.
func LogIDOf(key []byte) LogID { return sha256.Sum256(key) }

// ParseLogID parses a log ID in padded standard base64.
func ParseLogID(s string) (LogID, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != len(LogID{}) {
		return LogID{}, fmt.Errorf("log ID %q: want the base64 of 32 bytes", s)
	}
	return LogID(b), nil
}

// String returns the ID in base64.
func (id LogID) String() string { return base64.StdEncoding.EncodeToString(id[:]) }

// Hex returns the ID in hex, for places where the characters of base64 have a meaning.
func (id LogID) Hex() string { return hex.EncodeToString(id[:]) }

// MarshalText implements encoding.TextMarshaler with String.
func (id LogID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler with ParseLogID.
func (id *LogID) UnmarshalText(text []byte) (err error) {
	*id, err = ParseLogID(string(text))
	return err
}

// Scan implements sql.Scanner for a 32-byte BLOB.
func (id *LogID) Scan(src any) error {
	if b, ok := src.([]byte); ok && len(b) == len(id) {
		*id = LogID(b)
		return nil
	}
	return errors.New("not a log ID of 32 bytes")
}

// A LogKind is the API through which a log is read.
type LogKind string

// The two APIs: RFC 6962 §4 (JSON), and c2sp.org/static-ct-api (tiles).
const (
	KindRFC6962 LogKind = "rfc6962"
	KindStatic  LogKind = "static"
)

// LogKinds returns the kinds of logs.
func LogKinds() []LogKind { return []LogKind{KindRFC6962, KindStatic} }

// The states of a log in a log list (version 3). A log without a state has the
// empty one.
const (
	LogPending   = "pending"
	LogQualified = "qualified"
	LogUsable    = "usable"
	LogReadOnly  = "readonly"
	LogRetired   = "retired"
	LogRejected  = "rejected"
)

// LogStates returns the states of logs.
func LogStates() []string {
	return []string{LogPending, LogQualified, LogUsable, LogReadOnly, LogRetired, LogRejected}
}

// A Log is one log as a log list or the configuration describes it.
type Log struct {
	ID       LogID
	Name     string // the list's description
	Operator string // "" when unknown
	Kind     LogKind
	State    string // one of the states above, or ""
	Key      []byte // DER SubjectPublicKeyInfo, of which ID is the hash

	// URL is where entries are read: the log's URL for RFC 6962, the monitoring prefix for
	// static logs; http, https, or file (static only). It ends in a slash.
	URL string
	// SubmissionURL is the submission prefix of a static log, from which the origin line of
	// its checkpoints derives; "" when unknown.
	SubmissionURL string

	// MMD is the maximum merge delay; 0 when unknown.
	MMD time.Duration
	// IntervalStart and IntervalEnd bound the NotAfter of the certificates that the log
	// accepts, the end being exclusive; zero if the log is not sharded.
	IntervalStart, IntervalEnd time.Time
	// FinalSize is the size of a readonly log when it was frozen; 0 when unknown.
	FinalSize uint64
	// FinalRoot is the root at FinalSize.
	FinalRoot Hash
}

// A LogStatus is the progress of reading one log. Positions count entries from the log's
// first: they equal TreeSize when caught up.
type LogStatus struct {
	Name     string  `json:"name"`
	ID       LogID   `json:"log_id"`
	Kind     LogKind `json:"kind"`
	Operator string  `json:"operator"`
	State    string  `json:"state"`

	Healthy  bool   `json:"healthy"`
	TreeSize uint64 `json:"tree_size"`         // of the largest tree head accepted
	Position uint64 `json:"position"`          // entries read and matched
	Verified uint64 `json:"verified_position"` // entries proven to be in the tree

	LagEntries uint64  `json:"lag_entries"` // TreeSize - Position
	LagSeconds float64 `json:"lag_seconds"` // how long unread entries have been known; 0 when caught up

	LastHeadAt     *time.Time `json:"last_head_at"`
	LastVerifiedAt *time.Time `json:"last_verified_at"`
	LastError      string     `json:"last_error"` // "" when the last try succeeded
}
