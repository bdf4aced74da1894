package pins

import "time"

// Facts are what is known, at one moment, of keys, of certificates and of what
// servers serve: all that a plan needs besides the app.
type Facts struct {
	Now    time.Time
	Keys   []Key
	Served []Served
	Issued []Issued
	// Above has what may follow an issuer's key in the chains that clients build, up
	// to a trusted root: several where CAs are cross-signed. Optional.
	Above map[Pin][]Chain
	// Unprobed reports whether looking at a pattern's hosts is turned off. Optional.
	Unprobed func(Pattern) bool
}

// A Served is what one address of a host serves now: what it served when it was
// last reached. An address that has an RSA and an ECDSA certificate has two.
type Served struct {
	Host      string    `json:"host"`      // the name that was asked for, in lower case
	Address   string    `json:"address"`   // such as "192.0.2.1:443"
	Algorithm string    `json:"algorithm"` // of the leaf's key
	Chain     Chain     `json:"chain"`
	ID        string    `json:"certificate"` // of the leaf's certificate, in hex
	Named     bool      `json:"-"`           // the certificate has Host itself among its names, and not only by a wildcard
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	Since     time.Time `json:"since"` // first seen here
	At        time.Time `json:"at"`    // last seen here
}

// An Issued is a certificate that a log has and that has not ended: one that may
// be deployed.
type Issued struct {
	ID        string    // in hex
	Names     []Pattern // Exact or OneBelow
	Chain     Chain     // of the leaf and its issuer, as far as known; Open
	NotBefore time.Time
	NotAfter  time.Time
	FirstSeen time.Time
	Expected  bool // somebody, or a rule, says that it should exist
	Rejected  bool // somebody, or a rule, says that it should not: it will not be deployed
}
