package policy

import "ctwatch/ctwatch"

// The reasons of a verdict: stable codes for certificate objects, worst first. The first
// group makes a certificate unexpected, the second unreviewed, and the third says why
// it is expected.
const (
	NameNever           = "name_never"                 // a name that is never to be issued
	KeyCompromised      = "key_compromised"            // somebody else has the private key
	IssuerConflict      = ctwatch.ReasonIssuerConflict // entries with one TBSCertificate name different issuers
	IssuerNotAllowed    = "issuer_not_allowed"         // not a CA that the rule allows
	IssuerUnproven      = "issuer_unproven"            // the rule names issuers, and no CA's signature proves who issued
	KeyNotAllowed       = "key_not_allowed"            // the rule lists keys, and not this one
	CAAForbids          = "caa_forbids"                // the domain's CAA records do not permit the CA
	WildcardNotAllowed  = "wildcard_not_allowed"       // a name with a wildcard
	AlgorithmNotAllowed = "algorithm_not_allowed"      // of the key
	ValidityTooLong     = "validity_too_long"          // from notBefore to notAfter

	IssuerUnknown = "issuer_unknown" // the issuer's key is needed for a verdict, and is not known
	NoRule        = "no_rule"        // nothing says that it may exist, nor that it may not

	KeyAuthorized = "key_authorized" // by a rule, or by a person for this name
	KeyServed     = "key_served"     // for this name by an endpoint of ours, already before
	IssuerAllowed = "issuer_allowed" // a CA that the rule allows
	CAAUnknown    = "caa_unknown"    // the records could not be asked for; decides nothing
)

// A code is a reason's place in the order in which reasons are told.
type code uint8

const (
	nameNever code = iota
	keyCompromised
	issuerConflict
	issuerNotAllowed
	issuerUnproven
	keyNotAllowed
	caaForbids
	wildcardNotAllowed
	algorithmNotAllowed
	validityTooLong

	issuerUnknown
	noRule

	keyAuthorized
	keyServed
	issuerAllowed
	caaUnknown

	codes // how many there are
)

// forbids reports whether the reason makes a certificate unexpected.
func (c code) forbids() bool { return c <= validityTooLong }

// undecided reports whether the reason keeps a certificate from being expected.
func (c code) undecided() bool { return c == issuerUnknown || c == noRule }

// String returns the reason as it stands in certificate objects.
func (c code) String() string {
	return [codes]string{
		nameNever: NameNever, keyCompromised: KeyCompromised, issuerConflict: IssuerConflict,
		issuerNotAllowed: IssuerNotAllowed, issuerUnproven: IssuerUnproven,
		keyNotAllowed: KeyNotAllowed, caaForbids: CAAForbids, wildcardNotAllowed: WildcardNotAllowed,
		algorithmNotAllowed: AlgorithmNotAllowed, validityTooLong: ValidityTooLong,
		issuerUnknown: IssuerUnknown, noRule: NoRule,
		keyAuthorized: KeyAuthorized, keyServed: KeyServed, issuerAllowed: IssuerAllowed, caaUnknown: CAAUnknown,
	}[c]
}
