package ctlogtest

import (
	"crypto/sha256"
	"encoding/asn1"
	"net/netip"

	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"
)

// authorityKeyID encodes the extension that identifies the issuer's key.
func authorityKeyID(id []byte) ([]byte, error) {
	return extension(asn1.ObjectIdentifier{2, 5, 29, 35}, false, der(0x30, der(0x80, id)))
}

// leafExtensions returns the extensions that leaves have today, except the SAN.
func leafExtensions(issuerKeyID, spki []byte) (out [][]byte, err error) {
	keyID := sha256.Sum256(spki)
	caIssuers := []byte("\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x02")
	for _, e := range []struct {
		id       asn1.ObjectIdentifier
		critical bool
		value    []byte
	}{
		{asn1.ObjectIdentifier{2, 5, 29, 15}, true, []byte{0x03, 0x02, 0x07, 0x80}},                              // digitalSignature
		{asn1.ObjectIdentifier{2, 5, 29, 37}, false, []byte("\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01")}, // serverAuth
		{asn1.ObjectIdentifier{2, 5, 29, 19}, true, der(0x30)},                                                   // no CA
		{asn1.ObjectIdentifier{2, 5, 29, 14}, false, der(0x04, keyID[:20])},
		{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 1}, false, der(0x30, der(0x30, caIssuers, der(0x86, []byte("http://ca.invalid/intermediate.der"))))},
		{asn1.ObjectIdentifier{2, 5, 29, 32}, false, []byte("\x30\x0a\x30\x08\x06\x06\x67\x81\x0c\x01\x02\x01")}, // domain validated
		{asn1.ObjectIdentifier{2, 5, 29, 31}, false, der(0x30, der(0x30, der(0xa0, der(0xa0, der(0x86, []byte("http://ca.invalid/crl/17.crl"))))))},
	} {
		x, err := extension(e.id, e.critical, e.value)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	authority, err := authorityKeyID(issuerKeyID)
	return append(out, authority), err
}

// subjectAltName encodes names as dNSName and iPAddress (RFC 5280 §4.2.1.6).
func subjectAltName(names []string, ips []netip.Addr, critical bool) ([]byte, error) {
	var all [][]byte
	for _, n := range names {
		all = append(all, der(0x82, []byte(n)))
	}
	for _, ip := range ips {
		all = append(all, der(0x87, ip.AsSlice()))
	}
	return extension(asn1.ObjectIdentifier{2, 5, 29, 17}, critical, der(0x30, all...))
}

// sctList encodes an SCT list as the value of its X.509 extension (RFC 6962
// §3.3).
func sctList(scts [][]byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(tag.OCTET_STRING, func(b *cryptobyte.Builder) {
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			for _, sct := range scts {
				b.AddUint16LengthPrefixed(bytesOf(sct))
			}
		})
	})
	return b.Bytes()
}
