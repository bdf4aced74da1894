package ctlogtest

import (
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net/netip"

	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"
)

var oidAuthorityKeyID = asn1.ObjectIdentifier{2, 5, 29, 35}

func authorityKeyID(id []byte) []byte {
	return append([]byte{0x30, byte(len(id) + 2), 0x80, byte(len(id))}, id...)
}

// leafExtensions returns the extensions that leaves have today, but for the SAN.
func leafExtensions(name string, issuerKeyID, spki []byte) ([]pkix.Extension, error) {
	keyID := sha256.Sum256(spki)
	var access cryptobyte.Builder
	access.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 2}) // caIssuers
			b.AddASN1(tag.Tag(6).ContextSpecific(), bytesOf([]byte("http://ca.invalid/intermediate.der")))
		})
	})
	info, err := access.Bytes()
	if err != nil {
		return nil, fmt.Errorf("extensions of CA %q: %w", name, err)
	}
	return []pkix.Extension{
		{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: []byte{0x03, 0x02, 0x07, 0x80}},             // digitalSignature
		{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Value: []byte("\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01")}, // serverAuth
		{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 0x00}},                         // no CA
		{Id: asn1.ObjectIdentifier{2, 5, 29, 14}, Value: append([]byte{0x04, 20}, keyID[:20]...)},
		{Id: oidAuthorityKeyID, Value: authorityKeyID(issuerKeyID)},
		{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 1}, Value: info},
		{Id: asn1.ObjectIdentifier{2, 5, 29, 32}, Value: []byte("\x30\x0a\x30\x08\x06\x06\x67\x81\x0c\x01\x02\x01")}, // domain validated
	}, nil
}

// subjectAltName encodes names as dNSName and iPAddress (RFC 5280 §4.2.1.6).
func subjectAltName(names []string, ips []netip.Addr, critical bool) (pkix.Extension, error) {
	var b cryptobyte.Builder
	b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, n := range names {
			b.AddASN1(tag.Tag(2).ContextSpecific(), bytesOf([]byte(n)))
		}
		for _, ip := range ips {
			b.AddASN1(tag.Tag(7).ContextSpecific(), bytesOf(ip.AsSlice()))
		}
	})
	value, err := b.Bytes()
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: critical, Value: value}, err
}
