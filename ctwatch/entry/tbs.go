// Package entry reads what a log's entry says: the names, the key and the identity
// of a certificate, straight from the bytes (RFC 5280 §4.1, RFC 6962 §3.2).
//
// A strict parser refuses certificates that clients accept, and a monitor must not
// overlook those. So each part is read on its own, by its place in the structure,
// and nothing is asked of the others: the names are found though the serial number
// is negative, the validity is no date and the key is noise. What cannot be read
// is an error or a problem to report; what could be is still given. Why names may
// have gone unread is one of a few reasons, see Reason.
//
// Encodings that BER allows and DER does not are read: lengths in more octets than
// are needed, strings in parts, and whatever stands behind or between the fields.
// Only a length that is indefinite, or reaches beyond what there is, is reported.
//
// Names is the only function that runs for every entry of a log, and it allocates
// nothing. All others are for certificates that match.
package entry

import (
	"errors"
	"fmt"
)

// TBS returns the TBSCertificate of a Certificate in DER, as it lies in the bytes.
// With an error it returns what to look for names in: what there is of the
// TBSCertificate, or else all of the certificate.
func TBS(cert []byte) ([]byte, error) {
	if len(cert) == 0 {
		return nil, NoCertificate
	}
	tag, start, end, _ := header(cert)
	if tag != tagSequence || start == end {
		return cert, NoCertificate
	}
	body := cert[start:end]
	tag, _, end, ok := header(body)
	switch {
	case tag != tagSequence:
		return cert, NoTBS
	case !ok:
		return body[:end], TruncatedTBS
	}
	return body[:end], nil
}

// SPKI returns the SubjectPublicKeyInfo of a Certificate in DER, as it lies in the
// bytes: what a pin is the hash of.
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

// fields are the elements of a TBSCertificate, each with its header, or empty where
// there is none.
type fields struct {
	serial, issuer, validity, subject, key []byte
	tail                                   []byte // what follows the key: among it the extensions
}

// Where the fields stand in a TBSCertificate, its version not counted.
const (
	atSerial = iota
	_        // signature algorithm
	atIssuer
	atValidity
	atSubject
	atKey
	maxFields = atKey + 3 // how far an uncommon TBSCertificate is looked through
)

// split finds the fields by their place, whatever they hold. With an error it
// returns those that it found.
func split(tbs []byte) (f fields, err error) {
	if len(tbs) == 0 {
		return f, NoTBS
	}
	tag, start, end, ok := header(tbs)
	if tag != tagSequence {
		return f, NoTBS
	}
	if !ok {
		err = TruncatedTBS
	}
	body := tbs[start:end]
	rest := body
	if len(rest) > 0 && rest[0] == tagVersion {
		_, _, end, _ := header(rest)
		rest = rest[end:]
	}
	var el [maxFields][]byte
	n := 0
	read := func(until int) {
		for n < until && len(rest) > 0 {
			_, _, end, ok := header(rest)
			if !ok && err == nil {
				err = TruncatedField
			}
			el[n], rest = rest[:end], rest[end:]
			n++
		}
	}
	read(atKey + 1)
	key := atKey
	f.tail = rest
	if !looksLikeKey(el[key]) {
		// Either the key is nonsense, or a field is missing or one too many. The
		// key is the one with an unmistakable shape: the others stand before it.
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
	tag, start, end, ok := header(b)
	if tag != tagSequence || !ok || start == end || b[start] != tagOID {
		return false
	}
	return end < len(b) && b[end] == tagBitString
}
