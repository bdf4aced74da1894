package pack

import (
	_ "embed"
	"encoding/base64"
	"strings"
)

// cas names issuing CAs of the Web, with what their certificates refer to: a line for each,
// the fields separated by tabs: attributes of the name, OCSP responder, certificate, CRL.
//
//go:embed cas.txt
var cas string

// certificateDictionary is the dictionary of certificates: what is the same in many of
// them, put together from names and numbers that are public. It is no valid DER.
var certificateDictionary = lazily(func() []byte {
	var out []byte
	add := func(parts ...string) {
		for _, p := range parts {
			out = append(out, p...)
		}
	}
	for line := range strings.Lines(knownLogs) {
		id, _, _ := strings.Cut(line, " ")
		b, _ := base64.StdEncoding.DecodeString(id) // a test reads them all
		add("\x00\x76\x00", string(b), "\x00\x00\x01\x9c")
	}
	for line := range strings.Lines(cas) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		add(sha256RSA, ecdsaSHA384, rdn(f[0]), validity, rsaKey)
		add(accessMethods(f[1], f[2]), policies, crl(f[3]))
	}
	// As a certificate has them in order.
	add(version, ecdsaSHA256, validity, "\x30\x00", ecP384, ecP256)
	add(keyUsageRSA, serverClient, keyUsage, server, noCA, keyID, authorityKeyID, policies)
	add(oids["CN"], "\x13\x03www.", ".com\x82\x03www.", altNames, sctList, poison)
	add(ecdsaSHA384, "\x03\x68\x00\x30\x65\x02\x31\x00", sha256RSA, "\x03\x82\x01\x01\x00", ecdsaSHA256, "\x03\x47\x00\x30\x45\x02\x21\x00", "\x03\x48\x00\x30\x46\x02\x21\x00", "\x02\x20")
	return out
})

// Pieces of certificates (RFC 5280 §4.1, RFC 6962 §3).
const (
	version     = "\xa0\x03\x02\x01\x02\x02\x10"
	sha256RSA   = "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00"
	ecdsaSHA256 = "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"
	ecdsaSHA384 = "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03"
	validity    = "\x30\x1e\x17\x0d26"
	rsaKey      = "\x02\x03\x01\x00\x01\xa3\x82\x30\x82\x01\x22\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03\x82\x01\x0f\x00\x30\x82\x01\x0a\x02\x82\x01\x01\x00"
	ecP256      = "\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04"
	ecP384      = "\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00\x04"

	keyUsageRSA    = "\x30\x0e\x06\x03\x55\x1d\x0f\x01\x01\xff\x04\x04\x03\x02\x05\xa0"
	keyUsage       = "\x30\x0e\x06\x03\x55\x1d\x0f\x01\x01\xff\x04\x04\x03\x02\x07\x80"
	serverClient   = "\x30\x1d\x06\x03\x55\x1d\x25\x04\x16\x30\x14\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02"
	server         = "\x30\x13\x06\x03\x55\x1d\x25\x04\x0c\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01"
	noCA           = "\x30\x0c\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x02\x30\x00"
	keyID          = "\x30\x1d\x06\x03\x55\x1d\x0e\x04\x16\x04\x14"
	authorityKeyID = "\x30\x1f\x06\x03\x55\x1d\x23\x04\x18\x30\x16\x80\x14"
	policies       = "\x30\x13\x06\x03\x55\x1d\x20\x04\x0c\x30\x0a\x30\x08\x06\x06\x67\x81\x0c\x01\x02\x02\x30\x13\x06\x03\x55\x1d\x20\x04\x0c\x30\x0a\x30\x08\x06\x06\x67\x81\x0c\x01\x02\x01"
	altNames       = "\x30\x0f\x06\x03\x55\x1d\x11\x01\x01\xff\x04\x05\x30\x03\x82\x30\x0f\x06\x03\x55\x1d\x11\x04\x05\x30\x03\x82"
	sctList        = "\x30\x82\x01\x04\x06\x0a\x2b\x06\x01\x04\x01\xd6\x79\x02\x04\x02\x04\x81\xf5\x04\x81\xf2\x00\xf0\x00\x76\x00"
	poison         = "\x30\x13\x06\x0a\x2b\x06\x01\x04\x01\xd6\x79\x02\x04\x03\x01\x01\xff\x04\x02\x05\x00"
)

var oids = map[string]string{
	"C": "\x06\x03\x55\x04\x06", "ST": "\x06\x03\x55\x04\x08", "L": "\x06\x03\x55\x04\x07",
	"O": "\x06\x03\x55\x04\x0a", "OU": "\x06\x03\x55\x04\x0b", "CN": "\x06\x03\x55\x04\x03",
}

// tlv encodes an element of less than 256 octets.
func tlv(tag byte, content string) string {
	if len(content) >= 0x80 {
		return string([]byte{tag, 0x81, byte(len(content))}) + content
	}
	return string([]byte{tag, byte(len(content))}) + content
}

// rdn encodes "C=…;O=…;CN=…" as a Name.
func rdn(attributes string) string {
	var out strings.Builder
	for a := range strings.SplitSeq(attributes, ";") {
		key, value, _ := strings.Cut(a, "=")
		out.WriteString(tlv(0x31, tlv(0x30, oids[key]+tlv(0x13, value)))) // PrintableString
	}
	return tlv(0x30, out.String())
}

// accessMethods encodes the extension with the addresses of the OCSP responder, if there is
// one, and of the issuer's certificate (RFC 5280 §4.2.2.1).
func accessMethods(ocsp, certificate string) string {
	const method = "\x06\x08\x2b\x06\x01\x05\x05\x07\x30"
	var all string
	if ocsp != "" {
		all = tlv(0x30, method+"\x01"+tlv(0x86, ocsp))
	}
	all += tlv(0x30, method+"\x02"+tlv(0x86, certificate))
	return tlv(0x30, "\x06\x08\x2b\x06\x01\x05\x05\x07\x01\x01"+tlv(0x04, tlv(0x30, all)))
}

// crl encodes the extension with the address of a CRL (RFC 5280 §4.2.1.13).
func crl(address string) string {
	points := tlv(0x30, tlv(0x30, tlv(0xa0, tlv(0xa0, tlv(0x86, address)))))
	return tlv(0x30, "\x06\x03\x55\x1d\x1f"+tlv(0x04, points))
}
