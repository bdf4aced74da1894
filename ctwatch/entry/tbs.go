// Package entry reads the entries of logs: the names, the key and the identity of a
// certificate, directly from DER (RFC 5280 §4.1, RFC 6962 §3.2).
//
// A strict parser refuses certificates that clients accept, and a monitor must not miss
// those. So each part is read independently, by its place in the structure: the names are
// found even if the serial number is negative, the validity is not a date and the key is
// noise. A part that cannot be read is an error or a problem; the others are still returned.
// The reasons why names may be missing are few, see Reason.
//
// Encodings that BER allows and DER does not are read, since OpenSSL and programs that use it
// accept them: tag numbers in the long form, lengths in more octets than needed or
// indefinite, strings in parts, and elements after or between the fields. They are problems
// of a certificate that matches (see Encoding). The forms that no CA is known to use, the
// long form of tag numbers and indefinite lengths, are reported for every entry, and so is a
// length beyond the end of its element.
//
// Names is the only function that runs for every entry of a log. It does not allocate. All
// others are for certificates that match.
package entry

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
)

// TBS returns the TBSCertificate of a Certificate in DER, as a slice of it. With an error it
// returns the bytes to search for names: the part of the TBSCertificate that exists, or the
// whole certificate.
func TBS(cert []byte) ([]byte, error) {
	if len(cert) == 0 {
		return nil, NoCertificate
	}
	tag, start, stop, _, _ := header(cert)
	if tag != tagSequence || start == stop {
		return cert, NoCertificate
	}
	body := cert[start:stop]
	tag, _, _, end, f := header(body)
	switch {
	case tag != tagSequence:
		return cert, NoTBS
	case f&truncated != 0:
		return body[:end], TruncatedTBS
	}
	return body[:end], nil
}

// SPKI returns the SubjectPublicKeyInfo of a Certificate in DER, as a slice of it. Its hash
// is a pin.
func SPKI(cert []byte) ([]byte, error) {
	tbs, err := TBS(cert)
	if err != nil {
		return nil, err
	}
	return TBSKey(tbs)
}

// TBSKey returns the SubjectPublicKeyInfo of a TBSCertificate, as SPKI does.
func TBSKey(tbs []byte) ([]byte, error) {
	f, err := split(tbs)
	if len(f.key) == 0 {
		return nil, fmt.Errorf("finding the key: %w", err)
	}
	if inside(f.key, tagSequence) == nil {
		return nil, errors.New("finding the key: no SubjectPublicKeyInfo where it belongs")
	}
	return f.key, nil
}

// fields are the elements of a TBSCertificate, each with its header; absent ones are empty.
type fields struct {
	serial, issuer, validity, subject, key []byte
	tail                                   []byte // what follows the key: among it the extensions
	form                                   form   // of all these, and of what they stand in
}

// The indexes of the fields in a TBSCertificate, without its version.
const (
	atSerial = iota
	_        // signature algorithm
	atIssuer
	atValidity
	atSubject
	atKey
	maxFields = atKey + 3 // how far an uncommon TBSCertificate is looked through
)

// split finds the fields by their place, whatever they contain. With an error it returns
// those that it found.
func split(tbs []byte) (f fields, err error) {
	if len(tbs) == 0 {
		return f, NoTBS
	}
	tag, start, stop, _, form := header(tbs)
	if tag != tagSequence {
		return f, NoTBS
	}
	if form&truncated != 0 {
		err = TruncatedTBS
	}
	f.form = form
	body := tbs[start:stop]
	rest := body
	if tagOf(rest) == tagVersion {
		_, _, _, end, form := header(rest)
		f.form |= form
		rest = rest[end:]
	}
	var el [maxFields][]byte
	n := 0
	read := func(until int) {
		for n < until && len(rest) > 0 {
			_, _, _, end, form := header(rest)
			if form&truncated != 0 && err == nil {
				err = TruncatedField
			}
			f.form |= form
			el[n], rest = rest[:end], rest[end:]
			n++
		}
	}
	read(atKey + 1)
	key := atKey
	f.tail = rest
	if !looksLikeKey(el[key]) {
		// Either the key is invalid, or there is a field too few or too many. Only the
		// key has a unique shape: the others are before it.
		read(maxFields)
		for i := atSubject; i < n; i++ {
			if looksLikeKey(el[i]) {
				key, f.tail = i, body
				break
			}
		}
	}
	if n <= atKey && err == nil {
		err = MissingFields
	}
	shift := key - atKey
	f.serial, f.issuer = el[max(atSerial+shift, 0)], el[atIssuer+shift]
	f.validity, f.subject, f.key = el[atValidity+shift], el[atSubject+shift], el[key]
	return f, err
}

// looksLikeKey reports whether an element has the shape of a SubjectPublicKeyInfo:
// an AlgorithmIdentifier that begins with an OID, and a BIT STRING.
func looksLikeKey(b []byte) bool {
	b = inside(b, tagSequence)
	if len(b) == 0 {
		return false
	}
	tag, start, stop, end, f := header(b)
	return tag == tagSequence && f&truncated == 0 && tagOf(b[start:stop]) == tagOID && tagOf(b[end:])&^constructed == tagBitString
}

// oidBasicConstraints is the extension that marks certificates of CAs (RFC 5280 §4.2.1.9).
const oidBasicConstraints = "\x55\x1d\x13" // 2.5.29.19

// IsCA reports whether a TBSCertificate claims to be that of a CA. Version 1 has no such
// claim.
func IsCA(tbs []byte) bool {
	for field := range elements(inside(tbs, tagSequence)) {
		for extension := range elements(inside(inside(field, tagExtensions), tagSequence)) {
			id, value := cut(inside(extension, tagSequence))
			if string(inside(id, tagOID)) != oidBasicConstraints {
				continue
			}
			ca := inside(inside(whole(afterCritical(value), tagOctetString), tagSequence), tagBoolean)
			return len(bytes.Trim(ca, "\x00")) > 0
		}
	}
	return false
}

// elements yields the elements of a content, each with its header, up to the first that is
// truncated.
func elements(content []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for element, rest := cut(content); element != nil && yield(element); element, rest = cut(rest) {
		}
	}
}

// A Reason is an error: why a part of an entry cannot be read. Reasons contain nothing of
// the certificate, so that a thousand entries of one broken issuer have the same, and make
// one alarm. They are stored: another wording would raise old alarms again.
type Reason string

// Error returns the text of the reason.
func (r Reason) Error() string { return string(r) }

// The reasons why names may be missing: all that TBS, Names and Visit return.
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
