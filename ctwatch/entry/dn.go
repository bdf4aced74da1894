package entry

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"unicode/utf8"

	"ctwatch/ctwatch"
)

// Bounds of a distinguished name that is shown.
const (
	maxAttributes = 64
	maxDN         = 1024 // runes
)

// distinguishedName returns a Name in the form of RFC 2253, safe to print. With an error it
// returns what could be read.
func distinguishedName(name []byte) (string, error) {
	if len(name) == 0 {
		return "", errors.New("it is missing")
	}
	tag, start, stop, _, f := header(name)
	if tag != tagSequence {
		return "", fmt.Errorf("it is no SEQUENCE but has tag %#02x", tag)
	}
	var err error
	note := func(e error) {
		if err == nil {
			err = e
		}
	}
	if f&truncated != 0 {
		note(errTruncated)
	}
	var seq pkix.RDNSequence
	n := 0
	for rdns := name[start:stop]; len(rdns) > 0; {
		_, start, stop, next, f := header(rdns)
		if f&truncated != 0 {
			note(errTruncated)
		}
		var set pkix.RelativeDistinguishedNameSET
		for attrs := rdns[start:stop]; len(attrs) > 0; {
			_, start, stop, end, _ := header(attrs)
			if n++; n > maxAttributes {
				note(fmt.Errorf("it has more than %d attributes", maxAttributes))
				break
			}
			attr, attrErr := attribute(attrs[start:stop])
			if attrErr != nil {
				note(fmt.Errorf("attribute %d: %w", n, attrErr))
			}
			if attr.Type != nil {
				set = append(set, attr)
			}
			attrs = attrs[end:]
		}
		if n > maxAttributes {
			break
		}
		if len(set) > 0 {
			seq = append(seq, set)
		}
		rdns = rdns[next:]
	}
	return ctwatch.Printable(seq.String(), maxDN), err
}

// attribute reads the type and the value of an AttributeTypeAndValue.
func attribute(b []byte) (a pkix.AttributeTypeAndValue, err error) {
	if len(b) == 0 {
		return a, errors.New("it is empty")
	}
	_, _, _, end, _ := header(b)
	if a.Type, err = objectIdentifier(b); err != nil {
		return a, errors.New("its type is no object identifier")
	}
	a.Value = ""
	value := b[end:]
	if len(value) == 0 {
		return a, errors.New("it has no value")
	}
	tag, start, stop, end, f := header(value)
	if f&truncated != 0 {
		err = errTruncated
	}
	content := value[start:stop]
	if tag&constructed == 0 {
		content = content[:min(len(content), 4*maxDN)] // more is not shown
	}
	switch tag &^ constructed {
	case tagUTF8, tagNumeric, tagPrintable, tagT61, tagIA5, tagVisible, tagUniversal, tagBMP:
		s, textErr := text(tag, content)
		if textErr != nil {
			err = textErr
		}
		if !utf8.Valid(s) {
			a.Value = fromLatin1(s)
		} else {
			a.Value = string(s)
		}
	default: // a type that is no text: RFC 2253 §2.4 shows it in hex
		a.Value = "#" + hex.EncodeToString(value[:min(end, 4*maxDN)])
	}
	return a, err
}

// objectIdentifier reads the OBJECT IDENTIFIER at the start of b, with any form of tag and
// length.
func objectIdentifier(b []byte) (oid asn1.ObjectIdentifier, err error) {
	content := inside(b, tagOID)
	if len(content) >= 0x80 {
		return nil, errors.New("an object identifier is too long")
	}
	_, err = asn1.Unmarshal(append([]byte{tagOID, byte(len(content))}, content...), &oid)
	return oid, err
}
