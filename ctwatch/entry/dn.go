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

// Bounds of a distinguished name when it is shown.
const (
	maxAttributes = 64
	maxDN         = 1024 // runes
)

// distinguishedName writes a Name in the form of RFC 2253, safe to print. With an
// error it writes what could be read.
func distinguishedName(name []byte) (string, error) {
	if len(name) == 0 {
		return "", errors.New("it is missing")
	}
	tag, start, end, ok := header(name)
	if tag != tagSequence {
		return "", fmt.Errorf("it is no SEQUENCE but has tag %#02x", tag)
	}
	var err error
	note := func(e error) {
		if err == nil {
			err = e
		}
	}
	if !ok {
		note(errTruncated)
	}
	var seq pkix.RDNSequence
	n := 0
	for rdns := name[start:end]; len(rdns) > 0; {
		_, start, end, ok := header(rdns)
		if !ok {
			note(errTruncated)
		}
		var set pkix.RelativeDistinguishedNameSET
		for attrs := rdns[start:end]; len(attrs) > 0; {
			_, start, end, _ := header(attrs)
			if n++; n > maxAttributes {
				note(fmt.Errorf("it has more than %d attributes", maxAttributes))
				break
			}
			attr, attrErr := attribute(attrs[start:end])
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
		rdns = rdns[end:]
	}
	return ctwatch.Printable(seq.String(), maxDN), err
}

// attribute reads the type and the value of an AttributeTypeAndValue.
func attribute(b []byte) (a pkix.AttributeTypeAndValue, err error) {
	if len(b) == 0 {
		return a, errors.New("it is empty")
	}
	_, _, end, _ := header(b)
	if _, err := asn1.Unmarshal(b[:end], &a.Type); err != nil {
		return pkix.AttributeTypeAndValue{}, errors.New("its type is no object identifier")
	}
	a.Value = ""
	value := b[end:]
	if len(value) == 0 {
		return a, errors.New("it has no value")
	}
	tag, start, end, ok := header(value)
	if !ok {
		err = errTruncated
	}
	content := value[start:min(end, start+4*maxDN)] // more is not shown
	switch tag {
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
