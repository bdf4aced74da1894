package entry

import (
	"bytes"
	"fmt"
	"net/netip"
	"unicode/utf8"

	"ctwatch/pins"
)

// MaxPlain is the length of the longest name that Plain takes. A DNS name has at
// most 253 octets (RFC 1035 §2.3.4).
const MaxPlain = 256

// maxName bounds what is kept of a name that is too long for DNS.
const maxName = 1024

// mark is the bit in plainForm that marks the characters of patterns.
const mark = 0x80

// plainForm maps each byte of an ordinary name to its canonical form, and all others to 0.
var plainForm = func() (form [256]byte) {
	for c := byte('0'); c <= '9'; c++ {
		form[c] = c
	}
	for c := byte('a'); c <= 'z'; c++ {
		form[c], form[c-'a'+'A'] = c, c
	}
	form['-'], form['_'], form['.'] = '-', '_', '.'
	form['*'], form['?'] = '*'|mark, '?'|mark
	return form
}()

// Plain writes the canonical form of an ordinary name into buf: a name of letters, digits,
// hyphens, underscores and dots; pattern reports whether it contains * or ?. It is the only
// form that Candidates has for such a name. For any other name ok is false. Plain does not
// allocate.
func Plain(buf *[MaxPlain]byte, name []byte) (canonical []byte, pattern, ok bool) {
	for len(name) > 0 && name[len(name)-1] == '.' {
		name = name[:len(name)-1]
	}
	if len(name) > MaxPlain {
		return nil, false, false
	}
	var seen byte
	for i, c := range name {
		f := plainForm[c]
		if f == 0 {
			return nil, false, false
		}
		seen |= f
		buf[i] = f &^ mark
	}
	return buf[:len(name)], seen&mark != 0, true
}

// Candidates visits the canonical forms of a name in a certificate: usually one,
// none for an empty name, and several where clients may disagree about what is
// meant. A canonical form is lower case, in punycode and without a trailing dot:
//
//   - white space around the name is dropped; if there is some inside, each word with
//     a dot is visited in addition to the whole;
//   - "http://", the part after a slash, a port, and the part before an @ are dropped;
//     a name with something after a slash is visited whole, too;
//   - a name with a NUL is visited up to the NUL, and whole;
//   - text beyond ASCII is read as UTF-8 if it is valid, and as Latin-1 if that gives
//     a name, or if it is not UTF-8;
//   - a label that is still invalid is kept, with every unprintable octet written as
//     \DDD (RFC 1035 §5.1): such a label may mean anything, and is safe to show;
//   - of a name with more than 1,024 octets only the last labels are kept, after a ?
//     that stands for the others.
//
// visit must not keep a form after it returns.
func Candidates(name []byte, visit func(canonical []byte)) {
	likely(name, visit)
	if isLatin1Too(name) {
		likely([]byte(fromLatin1(name)), func(c []byte) {
			// A name with an invalid label would match everything, although it most
			// likely is not Latin-1.
			if bytes.IndexByte(c, '\\') < 0 {
				visit(c)
			}
		})
	}
}

// isLatin1Too reports whether a name differs if it is read as UTF-8 and as Latin-1.
func isLatin1Too(name []byte) bool {
	return len(name) <= maxName && !isASCII(name) && utf8.Valid(name) && utf8.RuneCount(name) < len(name)
}

// likely visits the forms of Candidates, but reads valid UTF-8 as that only.
func likely(name []byte, visit func(canonical []byte)) {
	if i := bytes.IndexByte(name, 0); i >= 0 {
		visitHost(name[:i], visit)
	}
	visitHost(name, visit)
}

// visitHost visits the forms of a name, or of the part before its NUL.
func visitHost(name []byte, visit func(canonical []byte)) {
	name = bytes.TrimSpace(name)
	if i := bytes.Index(name, []byte("://")); i >= 0 {
		name = name[i+len("://"):]
	}
	if i := bytes.IndexByte(name, '/'); i >= 0 {
		if i+1 < len(name) {
			visitForm(name, visit)
		}
		name = name[:i]
	}
	name = name[bytes.LastIndexByte(name, '@')+1:]
	if i := bytes.IndexByte(name, ':'); i >= 0 && len(bytes.Trim(name[i+1:], "0123456789")) == 0 {
		name = name[:i]
	}
	name = bytes.TrimSpace(name)
	visitForm(name, visit)
	if bytes.ContainsAny(name, " \t\r\n") {
		for word := range bytes.FieldsSeq(name) {
			if bytes.IndexByte(word, '.') >= 0 {
				visitForm(word, visit)
			}
		}
	}
}

// visitForm visits the canonical form of a text as a name.
func visitForm(name []byte, visit func(canonical []byte)) {
	out := make([]byte, 0, min(len(name), maxName)+8)
	if len(name) > maxName {
		name = name[len(name)-maxName:]
		_, name, _ = bytes.Cut(name, []byte{'.'}) // the first label may be half of one
		out = append(out, "?."...)
	}
	text := string(name)
	if !utf8.ValidString(text) {
		text = fromLatin1(name)
	}
	for _, label := range pins.SplitLabels(text) {
		out = append(appendLabel(out, label), '.')
	}
	out = bytes.TrimRight(out, ".")
	if len(out) > 0 {
		visit(out)
	}
}

// appendLabel appends the canonical form of a label.
func appendLabel(dst []byte, label string) []byte {
	if ascii, err := pins.ASCIILabel(label); err == nil {
		label = ascii
	}
	for _, c := range []byte(label) {
		switch {
		case c <= ' ' || c >= 0x7f:
			dst = fmt.Appendf(dst, "\\%03d", c)
		case c == '\\':
			dst = append(dst, '\\', '\\')
		case 'A' <= c && c <= 'Z': // in a label that ASCIILabel refused
			dst = append(dst, c-'A'+'a')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// fromLatin1 converts ISO 8859-1 to UTF-8.
func fromLatin1(b []byte) string {
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes)
}

// Bounds of the length of an address as text.
const (
	minAddress = len("::")
	maxAddress = len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535")
)

// Address reads a name in canonical form as an IP address, with or without brackets and a
// port. It returns IPv4 addresses that are mapped into IPv6 as IPv4.
func Address(canonical []byte) (ip netip.Addr, ok bool) {
	if !mayBeAddress(canonical) {
		return ip, false
	}
	s := string(canonical)
	ip, err := netip.ParseAddr(s)
	if err != nil && s[0] == '[' {
		var p netip.AddrPort
		if p, err = netip.ParseAddrPort(s); err != nil {
			p, err = netip.ParseAddrPort(s + ":0")
		}
		ip = p.Addr()
	}
	return ip.Unmap(), err == nil && ip.Zone() == ""
}

// IP reads an address that a Visitor gets: the 4 or 16 octets of RFC 5280 §4.2.1.6, or a
// text, which some issuers use instead.
func IP(b []byte) (ip netip.Addr, ok bool) {
	if ip, ok = netip.AddrFromSlice(b); ok {
		return ip.Unmap(), true
	}
	return Address(bytes.TrimSpace(b))
}

// mayBeAddress quickly rules out nearly all names: no top-level domain ends in a digit, and
// no name has a colon.
func mayBeAddress(name []byte) bool {
	if len(name) < minAddress || len(name) > maxAddress {
		return false
	}
	last := name[len(name)-1]
	return '0' <= last && last <= '9' || bytes.IndexByte(name, ':') >= 0
}
