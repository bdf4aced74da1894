package ctwatch

import "ctwatch/pins"

// A Standing is what is known of a certificate's key when the certificate is
// judged, apart from what rules say of the certificate itself.
type Standing struct {
	// ApprovedFor are the hosts that a person, or the configuration, approved the
	// key for: it was authorised.
	ApprovedFor []pins.Pattern
	// ServedFor are the names for which hosts of ours served the very key before the
	// certificate was seen, such as "h" or "*.h": hosts that did so at the first look at
	// them, with the names that their certificate had then, and hosts that did so later
	// with a certificate that was expected for another reason. Anyone who takes a host
	// over can serve any key; that proves nothing.
	ServedFor   []string
	Compromised bool
	// OtherIssuers are the keys, other than the certificate's issuer's, that entries with
	// the same TBSCertificate name as the issuer's. Each certificate has one issuer.
	OtherIssuers []pins.Pin
	// CAA are the CAA records that were found for its domains, as JSON of whoever asked;
	// "" if nobody has.
	CAA string
}

// A Judgment is a verdict with its grounds.
type Judgment struct {
	Verdict Verdict
	Reasons []string // codes such as "issuer_not_allowed", in Certificate.Reasons
	Details []string // a sentence for each, for a person
	// Grants are the names for which the rules vouch for the key by this certificate. Only
	// a certificate that is expected has any, or would be but for another entry that names
	// another issuer; and only one whose issuer is proven.
	Grants []pins.Pattern
	// Records are the CAA records that it goes by, if the Standing had none: to be kept
	// with the certificate.
	Records string
	// IssuerKnown says that a signature proves the issuer's key, and that the key is one of
	// a CA that is known by its keys, or that a rule lists: nobody else can forge that.
	IssuerKnown bool
	// CAA is the CAA identity of the issuer, if its key is known to be that CA's.
	CAA string
	// ReportTo is where the CA takes reports of problems; "" when unknown.
	ReportTo string
}

// A Judge says whether a certificate should exist. It asks no network and no store,
// since it is called while a batch is written.
type Judge func(c *Certificate, k Standing) Judgment

// ReasonIssuerConflict is the reason of an alarm: entries with one TBSCertificate name
// the keys of different issuers.
const ReasonIssuerConflict = "issuer_conflict"

// CAARecords are the CAA records found for a certificate's names, as JSON that the
// policy writes and reads (Standing.CAA).
type CAARecords struct {
	Certificate Hash
	Records     string
}
