package entry_test

import (
	"encoding/hex"
	"strings"
	"testing"
)

// der encodes an element from its parts.
func der(tag byte, parts ...[]byte) []byte {
	var content []byte
	for _, p := range parts {
		content = append(content, p...)
	}
	out := []byte{tag}
	switch n := len(content); {
	case n < 0x80:
		out = append(out, byte(n))
	case n < 0x100:
		out = append(out, 0x81, byte(n))
	case n < 0x10000:
		out = append(out, 0x82, byte(n>>8), byte(n))
	default:
		out = append(out, 0x83, byte(n>>16), byte(n>>8), byte(n))
	}
	return append(out, content...)
}

func str(tag byte, s string) []byte { return der(tag, []byte(s)) }

func seq(parts ...[]byte) []byte { return der(0x30, parts...) }

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

const (
	oidCN      = "\x55\x04\x03"
	oidO       = "\x55\x04\x0a"
	oidSAN     = "\x55\x1d\x11"
	oidKeyUse  = "\x55\x1d\x0f"
	oidPoison  = "\x2b\x06\x01\x04\x01\xd6\x79\x02\x04\x03"
	oidSCTList = "\x2b\x06\x01\x04\x01\xd6\x79\x02\x04\x02"
)

// attr is an RDN of one attribute.
func attr(oid string, tag byte, value string) []byte {
	return der(0x31, seq(str(0x06, oid), str(tag, value)))
}

func ext(oid string, value []byte) []byte {
	return seq(str(0x06, oid), der(0x04, value))
}

func dns(name string) []byte { return str(0x82, name) }

func san(names ...[]byte) []byte { return ext(oidSAN, seq(names...)) }

var (
	keyUse  = ext(oidKeyUse, []byte{0x03, 0x02, 0x07, 0x80})
	poison  = seq(str(0x06, oidPoison), []byte{1, 1, 0xff}, der(0x04, []byte{5, 0}))
	sctList = ext(oidSCTList, der(0x04, make([]byte, 241)))
)

// A template is a TBSCertificate in parts; build leaves out what is nil.
type template struct {
	version, serial, alg, issuer, validity, subject, key []byte
	exts                                                 [][]byte
	tail                                                 []byte // after the extensions
}

func newTemplate(exts ...[]byte) template {
	return template{
		version:  der(0xa0, []byte{2, 1, 2}),
		serial:   []byte{2, 3, 0x00, 0xab, 0xcd},
		alg:      seq(unhex("06 08 2a8648ce3d040302")),
		issuer:   seq(attr("\x55\x04\x06", 0x13, "US"), attr(oidO, 0x13, "Let's Encrypt"), attr(oidCN, 0x13, "E7")),
		validity: seq(str(0x17, "261120000000Z"), str(0x17, "270218000000Z")),
		subject:  seq(),
		key: seq(seq(unhex("06 07 2a8648ce3d0201"), unhex("06 08 2a8648ce3d030107")), der(0x03, unhex(
			"00 04 6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"+
				"4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"))),
		exts: exts,
	}
}

func (c template) build() []byte {
	var exts []byte
	if c.exts != nil {
		exts = der(0xa3, seq(c.exts...))
	}
	return seq(c.version, c.serial, c.alg, c.issuer, c.validity, c.subject, c.key, exts, c.tail)
}

// certificate wraps a TBSCertificate.
func certificate(tbs []byte) []byte {
	return seq(tbs, seq(unhex("06 08 2a8648ce3d040302")), der(0x03, make([]byte, 71)))
}

// typical is a TBSCertificate of about the size that logs hold.
func typical(tb testing.TB) []byte {
	tb.Helper()
	c := newTemplate(keyUse, ext("\x55\x1d\x25", make([]byte, 20)), ext("\x55\x1d\x13", make([]byte, 2)), ext("\x55\x1d\x0e", make([]byte, 22)),
		ext("\x55\x1d\x23", make([]byte, 24)), ext("\x2b\x06\x01\x05\x05\x07\x01\x01", make([]byte, 180)),
		san(dns("example.com"), dns("www.example.com"), dns("api.example.com")), ext("\x55\x1d\x20", make([]byte, 40)), ext("\x55\x1d\x1f", make([]byte, 660)))
	c.subject = seq(attr(oidCN, 0x13, "example.com"))
	c.key = seq(seq(unhex("06092a864886f70d010101"), []byte{5, 0}), der(0x03, make([]byte, 271)))
	return c.build()
}
