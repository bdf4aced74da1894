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

// A Key is a public key that ctwatch knows of, and what it knows.
type Key struct {
	Pin       Pin    `json:"pin"`
	Role      Role   `json:"role"`
	Algorithm string `json:"algorithm"` // such as "ECDSA P-256" or "RSA 2048"; "" when unread
	State     State  `json:"state"`

	Hosts        []string     `json:"hosts"`        // watched names it was certified for, or declared for
	ApprovedFor  []Pattern    `json:"approved_for"` // hosts whose pins it may be among
	Certificates []string     `json:"certificates"` // IDs, in hex
	Apps         []AppVersion `json:"apps"`         // released apps that ship it

	FirstSeen time.Time `json:"first_seen"`
	ChangedAt time.Time `json:"changed_at"` // of State
	By        string    `json:"by"`         // who changed State: "log", "probe", "plan", or a person
	Reason    string    `json:"reason"`

	// Omitted counts what an event leaves out of the lists and texts above, by the member,
	// such as "hosts". Only in events.
	Omitted map[string]int `json:"omitted,omitempty"`
}

// An AppVersion is one released version of an app.
type AppVersion struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}
