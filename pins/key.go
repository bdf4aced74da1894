package pins

import "time"

// A Role says where in the chain a key stands.
type Role string

// The roles whose pins a certificate gives: its own key, and that of the CA which
// issued it.
const (
	RoleLeaf   Role = "leaf"
	RoleIssuer Role = "issuer"
)

// A State is where a key stands in its life.
type State string

// StateSeen is the state of a key found in a log: known, and trusted by nobody
// yet. A pin is a trust decision, and a log's word is not one.
const StateSeen State = "seen"

// A Key is a public key that ctwatch knows of, and what it knows.
type Key struct {
	Pin       Pin    `json:"pin"`
	Role      Role   `json:"role"`
	Algorithm string `json:"algorithm"` // such as "ECDSA P-256" or "RSA 2048"; "" when unread
	State     State  `json:"state"`

	Hosts        []string     `json:"hosts"`        // watched names it was certified for
	Certificates []string     `json:"certificates"` // IDs, in hex
	Apps         []AppVersion `json:"apps"`         // released apps that ship it

	FirstSeen time.Time `json:"first_seen"`
	ChangedAt time.Time `json:"changed_at"` // of State
	By        string    `json:"by"`         // who changed State: "log", or a person
	Reason    string    `json:"reason"`
}

// An AppVersion is one released version of an app.
type AppVersion struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}
