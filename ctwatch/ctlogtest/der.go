package ctlogtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"
)

// The extensions of Certificate Transparency (RFC 6962 §3.1, §3.3).
var (
	oidPoison  = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 3}
	oidSCTList = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}
	// oidCTSigning is the extended key usage of a precertificate signing certificate.
	oidCTSigning = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 4}
)

// A tbs is a TBSCertificate (RFC 5280 §4.1) in parts, each in DER. Unlike crypto/x509, it can
// make two certificates that differ only in one extension, and invalid ones.
type tbs struct {
	serial, algorithm, issuer, validity, subject, spki []byte
	extensions                                         [][]byte
	// place is the index of the poison or SCT list among the extensions.
	place int
	// encode changes the encoding; nil leaves it as it is.
	encode func(tbs []byte) ([]byte, error)
}

// marshal encodes the TBSCertificate, with one more extension if it is not nil.
func (t *tbs) marshal(more []byte) []byte {
	extensions := slices.Insert(slices.Clone(t.extensions), t.place, more)
	version := []byte{0xa0, 3, 2, 1, 2} // v3
	return der(0x30, version, t.serial, t.algorithm, t.issuer, t.validity, t.subject, t.spki,
		der(0xa3, der(0x30, extensions...)))
}

// encoded is marshal in the requested encoding.
func (t *tbs) encoded(more []byte) ([]byte, error) {
	if t.encode == nil {
		return t.marshal(more), nil
	}
	return t.encode(t.marshal(more))
}

// seal joins a TBSCertificate and its signature.
func seal(tbs, algorithm, signature []byte) []byte {
	return der(0x30, tbs, algorithm, der(0x03, []byte{0}, signature))
}

// der encodes one element: its tag, the length of its contents, and the contents.
func der(tag byte, contents ...[]byte) []byte {
	n := 0
	for _, c := range contents {
		n += len(c)
	}
	out := append(make([]byte, 0, n+6), tag)
	switch {
	case n < 1<<7:
		out = append(out, byte(n))
	case n < 1<<8:
		out = append(out, 0x81, byte(n))
	case n < 1<<16:
		out = append(out, 0x82, byte(n>>8), byte(n))
	default:
		out = append(out, 0x84, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
		if n < 1<<24 { // DER requires the shortest form
			out = append(out[:1], 0x83, byte(n>>16), byte(n>>8), byte(n))
		}
	}
	for _, c := range contents {
		out = append(out, c...)
	}
	return out
}

// extension encodes one extension.
func extension(id asn1.ObjectIdentifier, critical bool, value []byte) ([]byte, error) {
	oid, err := asn1.Marshal(id)
	if err != nil {
		return nil, fmt.Errorf("extension %v: %w", id, err)
	}
	if critical {
		oid = append(oid, 0x01, 1, 0xff)
	}
	return der(0x30, oid, der(0x04, value)), nil
}

// poison returns the extension that makes a precertificate unusable.
func poison() ([]byte, error) { return extension(oidPoison, true, []byte{0x05, 0x00}) }

// validity encodes a Validity: UTCTime up to 2049, GeneralizedTime from then on.
func validity(notBefore, notAfter time.Time) ([]byte, error) {
	v, err := asn1.Marshal(struct{ NotBefore, NotAfter time.Time }{notBefore.UTC(), notAfter.UTC()})
	if err != nil {
		return nil, fmt.Errorf("validity: %w", err)
	}
	return v, nil
}

// commonName encodes a Name that has only a common name; "" is an empty Name.
func commonName(cn string) []byte {
	if cn == "" {
		return der(0x30)
	}
	id := []byte{0x06, 3, 0x55, 0x04, 0x03} // 2.5.4.3
	return der(0x30, der(0x31, der(0x30, id, der(0x0c, []byte(cn)))))
}

// algorithmOf returns the AlgorithmIdentifier of a key's signatures, with SHA-256.
func algorithmOf(key crypto.Signer) ([]byte, error) {
	var id pkix.AlgorithmIdentifier
	switch key.Public().(type) {
	case *ecdsa.PublicKey:
		id.Algorithm = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2} // ecdsa-with-SHA256
	case *rsa.PublicKey:
		id.Algorithm = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11} // sha256WithRSAEncryption
		id.Parameters = asn1.NullRawValue
	default:
		return nil, fmt.Errorf("signing with a key of type %T: want ECDSA or RSA", key.Public())
	}
	return asn1.Marshal(id)
}

// errDER means that a certificate cannot be parsed.
var errDER = errors.New("not a version 3 certificate in DER")

// A parsed certificate is one in the parts that a log needs.
type parsed struct {
	head       []byte // of the TBSCertificate, up to the extensions
	spki       []byte
	extensions [][]byte // each in DER
	ids        []asn1.ObjectIdentifier
}

// parse parses a certificate.
func parse(der []byte) (*parsed, error) {
	in := cryptobyte.String(der)
	var cert, body, skip, spki cryptobyte.String
	if !in.ReadASN1(&cert, tag.SEQUENCE) || !in.Empty() || !cert.ReadASN1(&body, tag.SEQUENCE) {
		return nil, errDER
	}
	all := body
	if !body.SkipASN1(tag.Tag(0).ContextSpecific().Constructed()) || // version
		!body.SkipASN1(tag.INTEGER) || // serial number
		!body.SkipASN1(tag.SEQUENCE) || // signature algorithm
		!body.SkipASN1(tag.SEQUENCE) || // issuer
		!body.SkipASN1(tag.SEQUENCE) || // validity
		!body.SkipASN1(tag.SEQUENCE) || // subject
		!body.ReadASN1Element(&spki, tag.SEQUENCE) ||
		!body.SkipOptionalASN1(tag.Tag(1).ContextSpecific()) ||
		!body.SkipOptionalASN1(tag.Tag(2).ContextSpecific()) {
		return nil, errDER
	}
	p := &parsed{head: all[:len(all)-len(body)], spki: spki}
	var list cryptobyte.String
	if !body.ReadASN1(&skip, tag.Tag(3).ContextSpecific().Constructed()) || !body.Empty() ||
		!skip.ReadASN1(&list, tag.SEQUENCE) || !skip.Empty() {
		return nil, errDER
	}
	for !list.Empty() {
		var element, inner cryptobyte.String
		var id asn1.ObjectIdentifier
		if !list.ReadASN1Element(&element, tag.SEQUENCE) {
			return nil, errDER
		}
		if rest := element; !rest.ReadASN1(&inner, tag.SEQUENCE) || !inner.ReadASN1ObjectIdentifier(&id) {
			return nil, errDER
		}
		p.extensions, p.ids = append(p.extensions, element), append(p.ids, id)
	}
	return p, nil
}

// has reports whether there is an extension.
func (p *parsed) has(id asn1.ObjectIdentifier) bool {
	return slices.ContainsFunc(p.ids, id.Equal)
}

// without encodes the TBSCertificate without one of its extensions.
func (p *parsed) without(id asn1.ObjectIdentifier) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(p.head)
		b.AddASN1(tag.Tag(3).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
				for i, e := range p.extensions {
					if !p.ids[i].Equal(id) {
						b.AddBytes(e)
					}
				}
			})
		})
	})
	return b.Bytes()
}
