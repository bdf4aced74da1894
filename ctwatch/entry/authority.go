package entry

import (
	"bytes"
	"iter"
)

// oidBasicConstraints says whether a certificate is one of a CA (RFC 5280 §4.2.1.9).
const oidBasicConstraints = "\x55\x1d\x13" // 2.5.29.19

// IsCA reports whether a TBSCertificate says of itself that it is a CA's. One of
// version 1 says nothing, and is none by this.
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

// elements yields the elements of a content, each with its header, until one is not
// all there.
func elements(content []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for element, rest := cut(content); element != nil && yield(element); element, rest = cut(rest) {
		}
	}
}
