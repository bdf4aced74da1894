package ctlogtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
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

// poison returns the extension that makes a precertificate unusable.
func poison() pkix.Extension {
	return pkix.Extension{Id: oidPoison, Critical: true, Value: []byte{0x05, 0x00}}
}

// A tbs is a TBSCertificate (RFC 5280 §4.1) in pieces. crypto/x509 has no way to
// make two certificates that differ in one extension and nothing else, nor any
// that are not quite right; this has.
type tbs struct {
	serial              *big.Int
	algorithm           []byte // AlgorithmIdentifier
	issuer, subject     []byte // Name
	notBefore, notAfter time.Time
	spki                []byte
	extensions          []pkix.Extension
	// place is the index among the extensions where poison or SCT list go.
	place int
}

// marshal encodes the TBSCertificate, with one more extension if it is not nil.
func (t *tbs) marshal(more *pkix.Extension) ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, 1024))
	b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(tag.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1Int64(2) // v3
		})
		b.AddASN1BigInt(t.serial)
		b.AddBytes(t.algorithm)
		b.AddBytes(t.issuer)
		b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
			addTime(b, t.notBefore)
			addTime(b, t.notAfter)
		})
		b.AddBytes(t.subject)
		b.AddBytes(t.spki)
		b.AddASN1(tag.Tag(3).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
				for i, e := range t.extensions {
					if i == t.place && more != nil {
						addExtension(b, *more)
					}
					addExtension(b, e)
				}
				if t.place >= len(t.extensions) && more != nil {
					addExtension(b, *more)
				}
			})
		})
	})
	return b.Bytes()
}

// addTime encodes a Time: UTCTime to 2049, GeneralizedTime from then on.
func addTime(b *cryptobyte.Builder, t time.Time) {
	if y := t.UTC().Year(); y >= 1950 && y < 2050 {
		b.AddASN1UTCTime(t.UTC())
	} else {
		b.AddASN1GeneralizedTime(t.UTC())
	}
}

func addExtension(b *cryptobyte.Builder, e pkix.Extension) {
	b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(e.Id)
		if e.Critical {
			b.AddASN1Boolean(true)
		}
		b.AddASN1OctetString(e.Value)
	})
}

// seal puts a TBSCertificate and its signature together.
func seal(tbs, algorithm, signature []byte) ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, len(tbs)+len(signature)+32))
	b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		b.AddBytes(algorithm)
		b.AddASN1BitString(signature)
	})
	return b.Bytes()
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

// errDER is all that is said of a certificate that cannot be taken apart.
var errDER = errors.New("not a version 3 certificate in DER")

// A parsed certificate is one in as many pieces as a log needs.
type parsed struct {
	head       []byte // of the TBSCertificate, up to the extensions
	spki       []byte
	extensions [][]byte // each in DER
	ids        []asn1.ObjectIdentifier
}

// parse takes a certificate apart.
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
