package entry

// A Reason is an error that says why a part of an entry cannot be read. There are
// few, and none quotes the certificate or counts its bytes: what a thousand
// entries of one broken issuer have in common is told once.
type Reason string

// Error returns the reason in words.
func (r Reason) Error() string { return string(r) }

// The reasons why names may have gone unread: all that TBS, Names and Visit return.
const (
	NoCertificate        Reason = "the certificate is no SEQUENCE"
	NoTBS                Reason = "the TBSCertificate is no SEQUENCE"
	TruncatedTBS         Reason = "the TBSCertificate is cut short"
	TruncatedField       Reason = "a field of the TBSCertificate is longer than what it stands in"
	MissingFields        Reason = "the TBSCertificate has too few fields"
	TruncatedSubject     Reason = "the subject is longer than what it stands in"
	UnreadableCommonName Reason = "a common name cannot be decoded"
	LongCommonName       Reason = "a common name in UTF-16 or UTF-32 is so long that only its end was read"
	TruncatedExtensions  Reason = "an extension has another length than what it holds"
	UnreadableAltName    Reason = "the subject alternative name is no OCTET STRING"
	TruncatedAltName     Reason = "the subject alternative name is longer than what it stands in"

	// OddEncoding says that all names were read, but are encoded as no CA encodes them.
	OddEncoding Reason = "strict parsers refuse its encoding, which hides names from them: long tag numbers, indefinite lengths, or parts in parts"
)

// Reasons lists them all.
func Reasons() []Reason {
	return []Reason{
		NoCertificate, NoTBS, TruncatedTBS, TruncatedField, MissingFields, TruncatedSubject, UnreadableCommonName,
		LongCommonName, TruncatedExtensions, UnreadableAltName, TruncatedAltName, OddEncoding,
	}
}
