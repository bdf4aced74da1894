package entry

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"ctwatch/ctwatch"
)

// The encoded OIDs of the extensions that Certificate Transparency adds (RFC 6962 §3.1 and
// §3.3).
const (
	oidPoison  = "\x2b\x06\x01\x04\x01\xd6\x79\x02\x04\x03" // 1.3.6.1.4.1.11129.2.4.3
	oidSCTList = "\x2b\x06\x01\x04\x01\xd6\x79\x02\x04\x02" // 1.3.6.1.4.1.11129.2.4.2

	oidAuthorityKeyID = "\x55\x1d\x23" // 2.5.29.35 (RFC 5280 §4.2.1.1)
)

// Identity returns the identity that a precertificate and its certificate share, and the
// bytes of which it is the SHA-256: the TBSCertificate without the poison and SCT-list
// extensions. They are cut out of the bytes. Lengths around them are corrected, an empty list
// of extensions is removed with its [3], and every other byte is unchanged. A TBSCertificate
// without the two, as in a log's precertificate entry (RFC 6962 §3.2), is hashed unchanged.
//
// A TBSCertificate that cannot be read is hashed unchanged, too, with an error that says why:
// its identity may differ from that of its precertificate.
func Identity(tbs []byte) (id ctwatch.Hash, without []byte, err error) {
	without, err = withoutCT(tbs)
	if err != nil {
		without = tbs
		err = fmt.Errorf("finding what precertificate and certificate share: %w", err)
	}
	return sha256.Sum256(without), without, err
}

// withoutCT cuts the two extensions out.
func withoutCT(tbs []byte) ([]byte, error) {
	if !bytes.Contains(tbs, []byte(oidPoison)) && !bytes.Contains(tbs, []byte(oidSCTList)) {
		if inside(tbs, tagSequence) == nil {
			return nil, errors.New("the TBSCertificate is no SEQUENCE, or is cut short")
		}
		return tbs, nil
	}
	out, err := rebuild(tbs, tagSequence, func(field []byte) ([]byte, error) {
		if tagOf(field) != tagExtensions {
			return field, nil
		}
		return withoutExtensions(field, oidPoison, oidSCTList)
	})
	if err == nil && len(out) == 0 {
		err = errors.New("the TBSCertificate has nothing else in it")
	}
	return out, err
}

// withoutExtensions cuts the extensions of some OIDs out of a [3].
func withoutExtensions(field []byte, oids ...string) ([]byte, error) {
	return rebuild(field, tagExtensions, func(list []byte) ([]byte, error) {
		return rebuild(list, tagSequence, func(ext []byte) ([]byte, error) {
			if slices.Contains(oids, string(inside(inside(ext, tagSequence), tagOID))) {
				return nil, nil
			}
			return ext, nil
		})
	})
}

// rebuild returns an element with each child replaced by the result of change; nil removes a
// child. It returns the element itself if nothing changes, and nil if all children are
// removed. It keeps what follows the element in b.
func rebuild(b []byte, want byte, change func(child []byte) ([]byte, error)) ([]byte, error) {
	tag, start, stop, _, f := header(b)
	if tag != want {
		return nil, fmt.Errorf("want tag %#02x, have %#02x", want, tag)
	}
	if f&truncated != 0 {
		return nil, errTruncated
	}
	// Copy nothing before the first change. Replacements are not longer than the children,
	// and so neither is the header: there is room for it before the content.
	var out []byte
	for rest := b[start:stop]; len(rest) > 0; {
		_, _, _, end, f := header(rest)
		if f&truncated != 0 {
			return nil, errTruncated
		}
		child := rest[:end]
		repl, err := change(child)
		if err != nil {
			return nil, err
		}
		if out == nil && len(repl) != len(child) {
			out = make([]byte, 0, len(b))
			out = append(out, b[:stop-len(rest)]...)
		}
		if out != nil {
			out = append(out, repl...)
		}
		rest = rest[end:]
	}
	switch {
	case out == nil:
		return b, nil
	case len(out) == start:
		return nil, nil
	}
	h := appendHeader(nil, b[:start], stop-start, len(out)-start)
	from := start - len(h)
	copy(out[from:], h)
	return append(out, b[stop:]...)[from:], nil
}

// SamePrecertificate reports whether the TBSCertificate of a log's precertificate entry is
// that of the submitted precertificate. Besides the poison, only issuer and authority key
// identifier may differ: the log replaces those of a precertificate signing certificate by
// the final issuer's (RFC 6962 §3.2).
func SamePrecertificate(leaf, precert []byte) bool {
	a, err := withoutCT(leaf)
	if err != nil {
		return false
	}
	b, err := withoutCT(precert)
	if err != nil {
		return false
	}
	if bytes.Equal(a, b) {
		return true
	}
	if a, err = withoutIssuer(a); err != nil {
		return false
	}
	b, err = withoutIssuer(b)
	return err == nil && bytes.Equal(a, b)
}

// withoutIssuer cuts out the issuer and the authority key identifier.
func withoutIssuer(tbs []byte) ([]byte, error) {
	f, err := split(tbs)
	if err != nil {
		return nil, err
	}
	return rebuild(tbs, tagSequence, func(field []byte) ([]byte, error) {
		switch {
		case len(f.issuer) > 0 && &field[0] == &f.issuer[0]: // in the same place
			return nil, nil
		case tagOf(field) == tagExtensions:
			return withoutExtensions(field, oidAuthorityKeyID)
		}
		return field, nil
	})
}
