package ctwatch

import (
	"encoding/json"
	"time"

	"ctwatch/pins"
)

// A Certificate is a certificate found in a log for a watched name. The same object is
// printed by commands, published in events and served over HTTP. It stands for both the
// precertificate and the final certificate.
type Certificate struct {
	// ID is the SHA-256 of the TBSCertificate without poison and SCT list
	// (RFC 6962 §3.2): one identity for a precertificate and its certificate.
	ID     Hash   `json:"id"`
	Serial string `json:"serial"` // hex, as encoded, without leading zero octets
	// Names are all dNSNames and all common names that are host names: in lower case, in
	// punycode, without a trailing dot, each once.
	Names       []string `json:"names"`
	IPAddresses []string `json:"ip_addresses"`
	Subject     string   `json:"subject"` // RFC 2253
	// NotBefore and NotAfter are absent from JSON if they could not be read.
	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"`

	Issuer  Issuer         `json:"issuer"`
	Key     CertificateKey `json:"key"`
	Pins    []RolePin      `json:"pins"`
	Matches []Match        `json:"matches"`

	Verdict Verdict  `json:"verdict"`
	Reasons []string `json:"reasons"`

	Deployed   bool       `json:"deployed"`
	DeployedAt *time.Time `json:"deployed_at"`

	Sightings    []Sighting   `json:"sightings"` // oldest first
	FirstSeen    time.Time    `json:"first_seen"`
	Fingerprints Fingerprints `json:"fingerprints"`
	// Problems lists what could not be read, and encodings that strict parsers refuse. What
	// could be read is in the other fields.
	Problems []string `json:"problems"`

	// Judgments are the verdicts on the certificate, oldest first, from the audit trail.
	// Nil, and absent from JSON, if they were not looked up, as in events.
	Judgments []Judged `json:"judgements,omitzero"`

	// Omitted counts what an event leaves out of the lists and texts above, by member, such
	// as "names". Only in events.
	Omitted map[string]int `json:"omitted,omitempty"`
}

// A Judged is a verdict on a certificate: who gave it, when and why.
type Judged struct {
	At      time.Time  `json:"at"`
	Verdict Verdict    `json:"verdict"`
	Actor   pins.Actor `json:"actor"` // person or policy
	By      string     `json:"by"`
	Reason  string     `json:"reason"`
}

// An Issuer is the CA that issued a certificate. Only Pin identifies it: any certificate
// can contain any name.
type Issuer struct {
	Name string   `json:"name"` // RFC 2253
	Pin  pins.Pin `json:"pin"`  // "" while the issuer's key is unknown
	// Proven reports that a signature by that key over the precertificate or certificate
	// was verified. Otherwise the key is only what a log says.
	Proven bool   `json:"proven"`
	CAA    string `json:"caa"` // its CAA identity (RFC 8659), "" when unknown
}

// A CertificateKey is the key in a certificate.
type CertificateKey struct {
	Algorithm string   `json:"algorithm"` // such as "ECDSA P-256" or "RSA 2048"
	Pin       pins.Pin `json:"pin"`
}

// A RolePin is a pin that an app may ship for a certificate's names.
type RolePin struct {
	Role pins.Role `json:"role"`
	Pin  pins.Pin  `json:"pin"`
}

// A Match is a line of the watch list that a certificate matches, and the name that matches
// it.
type Match struct {
	Watch string `json:"watch"` // the line as configured
	Name  string `json:"name"`  // the certificate's name
	// Domain is the watched domain in canonical form, which subjects of events use.
	Domain string `json:"-"`
}

// ProblemUnproven is the beginning of the problem that an issuer is not proven; the reason
// follows. It is removed when the issuer is proven.
const ProblemUnproven = "The issuer is not proven: "

// ProblemNoIssuer is the problem that a log names an issuer by fingerprint but did not
// serve it. It is removed when the issuer is proven.
const ProblemNoIssuer = "The issuer's certificate could not be fetched from the log."

// A Verdict says whether a certificate should exist.
type Verdict string

// The verdicts. A certificate that no rule decides is unreviewed.
const (
	Expected   Verdict = "expected"
	Unexpected Verdict = "unexpected"
	Unreviewed Verdict = "unreviewed"
)

// A SightingKind is a kind of log entry: a precertificate or a final certificate.
type SightingKind string

// The two kinds of log entries (RFC 6962 §3.1).
const (
	Precertificate   SightingKind = "precertificate"
	FinalCertificate SightingKind = "certificate"
)

// A Sighting is one entry of one log.
type Sighting struct {
	Log       string       `json:"log"` // its name
	LogID     LogID        `json:"log_id"`
	Index     uint64       `json:"index"`
	Timestamp time.Time    `json:"timestamp"` // the log's, in milliseconds
	Kind      SightingKind `json:"kind"`
	// Verified reports that the entry was proven to be in the tree that the log signed.
	Verified bool `json:"verified"`
}

// Fingerprints are SHA-256 hashes of whole certificates in DER; nil for those not seen.
type Fingerprints struct {
	Certificate    *Hash `json:"certificate"`
	Precertificate *Hash `json:"precertificate"`
}

// SetPins sets Pins from the key and the issuer, without what is unknown or, for the
// issuer, not proven.
func (c *Certificate) SetPins() {
	c.Pins = c.Pins[:0]
	if !c.Key.Pin.IsZero() {
		c.Pins = append(c.Pins, RolePin{pins.RoleLeaf, c.Key.Pin})
	}
	if c.Issuer.Proven {
		c.Pins = append(c.Pins, RolePin{pins.RoleIssuer, c.Issuer.Pin})
	}
}

// Domains returns the watched domains that the certificate matches, in the order of the
// watch list, each once.
func (c *Certificate) Domains() []string {
	var out []string
	seen := make(map[string]bool)
	for _, m := range c.Matches {
		if !seen[m.Domain] {
			seen[m.Domain] = true
			out = append(out, m.Domain)
		}
	}
	return out
}

// MarshalJSON writes empty lists as [], never as null.
func (c Certificate) MarshalJSON() ([]byte, error) {
	type plain Certificate
	p := plain(c)
	p.Names = orEmpty(p.Names)
	p.IPAddresses = orEmpty(p.IPAddresses)
	p.Pins = orEmpty(p.Pins)
	p.Matches = orEmpty(p.Matches)
	p.Reasons = orEmpty(p.Reasons)
	p.Sightings = orEmpty(p.Sightings)
	p.Problems = orEmpty(p.Problems)
	return json.Marshal(p)
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
