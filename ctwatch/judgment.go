package ctwatch

import (
	"bytes"
	"time"

	"ctwatch/pins"
)

// A Standing is what is known of a certificate and its key when it is judged, apart from
// the certificate itself and the rules.
type Standing struct {
	// ApprovedFor are the hosts for which a person or the configuration approved the key.
	ApprovedFor []pins.Pattern
	// ServedFor are the names, such as "h" or "*.h", for which our hosts served this key
	// before the certificate was seen: hosts that did so when they were first probed, with
	// the names of the certificate they had then, and hosts that did so later with a
	// certificate that was expected for another reason. A key that is served only later
	// proves nothing: anyone who takes over a host can serve any key.
	ServedFor   []string
	Compromised bool
	// OtherIssuers are keys that log entries name as the issuer's of this certificate,
	// besides the certificate's issuer. Only one can be true.
	OtherIssuers []pins.Pin
	// CAA is the CAA records found for its names, in the JSON of CAARecords; "" if they
	// were not looked up.
	CAA string
}

// A Judgment is a verdict on a certificate, and why.
type Judgment struct {
	Verdict Verdict
	Reasons []Reason // worst first, each code once
	// Grants are the names for whose hosts the rules approve the key because of this
	// certificate. Only a certificate that is expected has any, or would be but for another
	// entry that names another issuer; and only one whose issuer is proven.
	Grants []pins.Pattern
	// Records are the CAA records that were used, if the Standing had none: to be stored
	// with the certificate.
	Records string
	// IssuerKnown says that a signature proves the issuer's key, and that the key is one of
	// a CA that is known by its keys, or that a rule lists: no one else can forge that.
	IssuerKnown bool
	// CAA is the CAA identity of the issuer, if its key is known to be that CA's.
	CAA string
	// ReportTo is where the CA takes reports of problems; "" when unknown.
	ReportTo string
}

// Codes returns the codes of the reasons, for Certificate.Reasons.
func (j Judgment) Codes() []string {
	var out []string
	for _, r := range j.Reasons {
		out = append(out, r.Code)
	}
	return out
}

// The codes of reasons, worst first. The first group makes a certificate unexpected, the
// second unreviewed, and the third says why it is expected.
const (
	ReasonNameNever           = "name_never"            // a name that must never be issued
	ReasonKeyCompromised      = "key_compromised"       // others have the private key
	ReasonIssuerConflict      = "issuer_conflict"       // entries with one TBSCertificate name different issuers
	ReasonIssuerNotAllowed    = "issuer_not_allowed"    // not a CA that the rule allows
	ReasonIssuerUnproven      = "issuer_unproven"       // the rule names issuers, and no CA's signature proves who issued
	ReasonKeyNotAllowed       = "key_not_allowed"       // the rule lists keys, and not this one
	ReasonCAAForbids          = "caa_forbids"           // the domain's CAA records do not permit the CA
	ReasonWildcardNotAllowed  = "wildcard_not_allowed"  // a name with a wildcard
	ReasonAlgorithmNotAllowed = "algorithm_not_allowed" // of the key
	ReasonValidityTooLong     = "validity_too_long"     // from notBefore to notAfter

	ReasonIssuerUnknown = "issuer_unknown" // the issuer's key is needed for a verdict, and is not known
	ReasonNoRule        = "no_rule"        // nothing says that it may exist, nor that it may not

	ReasonKeyAuthorized = "key_authorized" // by a rule, or by a person for this name
	ReasonKeyServed     = "key_served"     // for this name by an endpoint of ours, already before
	ReasonIssuerAllowed = "issuer_allowed" // a CA that the rule allows
	ReasonCAAUnknown    = "caa_unknown"    // the records could not be looked up; decides nothing
)

// The codes of the reasons that people give.
const (
	ReasonAuthorized = "authorized" // a person authorized the certificate
	ReasonRejected   = "rejected"   // a person rejected it
)

// A Reason is one ground of a verdict, as data: its code, and what else the rules found.
// Fields that do not concern the code are zero. Package words writes it as a sentence.
type Reason struct {
	Code string
	// Name is the first of the names it concerns, and Names counts them. Name is "" if
	// it concerns the whole certificate.
	Name  string
	Names int
	// Rule says where the rule is written, such as "example.com in the watch list"; "" if
	// no rule is involved.
	Rule string
	// Allowed lists what the rule allows: issuers or algorithms, as it names them.
	Allowed []string
	// MaxValidity is the longest validity that the rule allows.
	MaxValidity time.Duration
	// Never is what must never be issued.
	Never pins.Pattern
	// CAs are the names of the CAs that have the issuer's key; of an issuer that is not
	// known, the one to which an earlier version assigned it.
	CAs []string
	// OtherIssuers are the keys that other entries name.
	OtherIssuers []pins.Pin
	// CAA are the records that forbid.
	CAA CAALimit
}

// A CAALimit is what the CAA records at a domain say about who may issue (RFC 8659).
type CAALimit struct {
	Domain    string
	DNSSEC    bool     // the resolver authenticated them
	Critical  string   // a critical tag that is not known: no CA may issue
	Permitted []string // the identities of the CAs that may issue
}

// A Judge says whether a certificate should exist. It uses neither network nor store, since
// it is called while a batch is written.
type Judge func(c *Certificate, k Standing) Judgment

// CAARecords are the CAA records found for a certificate's names, as JSON that package
// policy writes and reads.
type CAARecords struct {
	Certificate Hash
	Records     string
}

// An IssuerKey is an issuing key that a chain shows to belong to a CA.
type IssuerKey struct {
	Pin pins.Pin
	// Anchor is the key of the known CA that certified it: the nearest one above it in the
	// chain.
	Anchor pins.Pin
	// NotBefore and NotAfter bound the time in which all certificates of the chain are
	// valid, both inclusive.
	NotBefore, NotAfter time.Time
	// NameConstraints are the values of the chain's name constraints (RFC 5280
	// §4.2.1.10) in DER, one after another; nil if there are none.
	NameConstraints []byte
}

// An IssuerLearner finds out to which CAs issuing keys belong, from the chains of
// certificates. Its methods use neither network nor store, and are safe for concurrent use.
type IssuerLearner interface {
	// Shown returns the issuing keys that the chain above a certificate, in DER, shows to
	// belong to a CA, unless that is known. It changes nothing.
	Shown(c *Certificate, chain [][]byte) []IssuerKey
	// Add records keys, and returns those that are new.
	Add(keys ...IssuerKey) []IssuerKey
}

// Equal reports whether two keys are the same, shown by equivalent chains.
func (k IssuerKey) Equal(other IssuerKey) bool {
	return k.Pin == other.Pin && k.Anchor == other.Anchor && k.NotBefore.Equal(other.NotBefore) &&
		k.NotAfter.Equal(other.NotAfter) && bytes.Equal(k.NameConstraints, other.NameConstraints)
}
