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
