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

// maxName is how much is kept of a name that is no DNS name for its length alone.
const maxName = 1024

// mark is set in plainForm for the characters of patterns.
const mark = 0x80

// plainForm maps every byte that a name may hold as it is to its canonical form,
// and all others to 0.
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

// Plain writes the canonical form of an ordinary name into buf: one of letters,
// digits, hyphens, underscores and dots, with * and ? in it or not, which pattern
// says. For such a name Candidates has this form only; for any other one ok is
// false. Plain allocates nothing.
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
//   - white space around the name is dropped; inside, each word with a dot is
//     visited besides the whole;
//   - "http://" and what follows a slash, a port, and what precedes an @ are
//     dropped, and a name with something after the slash is visited whole as well;
//   - of a name with a NUL, the part before it is visited and the whole;
//   - text that is not ASCII is UTF-8 if it can be, and Latin-1 as well if that
//     makes a name, or if it is no UTF-8;
//   - a label that is still no label is kept, with every octet that is not
//     printable written \DDD (RFC 1035 §5.1): such a label may mean anything, and
//     the form is safe to show;
//   - of a name with more than 1,024 octets only the last labels are kept, behind
//     a ? that stands for the others.
//
// A form must not be kept after visit returns.
func Candidates(name []byte, visit func(canonical []byte)) {
	likely(name, visit)
	if isLatin1Too(name) {
		likely([]byte(fromLatin1(name)), func(c []byte) {
			// With a label that is none, which may mean anything, it would be a name
			// that concerns everyone, when most likely it is no Latin-1.
			if bytes.IndexByte(c, '\\') < 0 {
				visit(c)
			}
		})
	}
}

// isLatin1Too reports whether a name can be read as UTF-8 and as Latin-1, with
// another result.
func isLatin1Too(name []byte) bool {
	return len(name) <= maxName && !isASCII(name) && utf8.Valid(name) && utf8.RuneCount(name) < len(name)
}

// likely visits what Candidates does, but what is valid UTF-8 is no Latin-1.
func likely(name []byte, visit func(canonical []byte)) {
	if i := bytes.IndexByte(name, 0); i >= 0 {
		visitHost(name[:i], visit)
	}
	visitHost(name, visit)
}

// visitHost visits the forms of a name, whole or before its NUL.
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

// visitForm visits the one canonical form of text that is taken for a name.
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

// Bounds of the length of an address written out.
const (
	minAddress = len("::")
	maxAddress = len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535")
)

// Address reads an IP address that is written out in a name in canonical form, in
// brackets and with a port or not. One of IPv4 that is mapped into IPv6 is of IPv4.
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

// IP reads what a Visitor is told of an address: the 4 or 16 octets of RFC 5280
// §4.2.1.6, or an address written out, which some issuers put in their place.
func IP(b []byte) (ip netip.Addr, ok bool) {
	if ip, ok = netip.AddrFromSlice(b); ok {
		return ip.Unmap(), true
	}
	return Address(bytes.TrimSpace(b))
}

// mayBeAddress tells nearly every name from an address at a glance: no top-level
// domain ends in a digit, and no name has a colon.
func mayBeAddress(name []byte) bool {
	if len(name) < minAddress || len(name) > maxAddress {
		return false
	}
	last := name[len(name)-1]
	return '0' <= last && last <= '9' || bytes.IndexByte(name, ':') >= 0
}
