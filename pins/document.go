package pins

import "time"

// A Document is a pin document of an app, before it is signed.
type Document struct {
	App     string
	Serial  int64  // greater than that of every earlier document of the app
	Plan    string // Set.Plan, by which an issuer finds out whether the pins changed
	Issued  time.Time
	Payload []byte // what is signed
}

// A Leaf is a whole certificate, not only its precertificate, that a server of an app
// serves, or that a log has and a server may serve next.
type Leaf struct {
	Names      []Pattern // what it is served for, or its names: Exact or OneBelow
	Pin        Pin
	CommonName string // of its subject
	DER        []byte
	NotAfter   time.Time // zero: unreadable
}
