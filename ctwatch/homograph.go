package ctwatch

import (
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// A homograph is text that people mistake for other text: "аpple.com" with a Cyrillic а.
// Names are shown as in DNS, in punycode, with their Unicode form beside; homographs are
// marked, there and in free text.

// mark is the beginning of what is added to a homograph.
const mark = "⚠ looks like "

// ShownName makes a name of a certificate safe to print, as Printable does, in at most
// limit runes plus what is added: the Unicode form of punycode, or what the name looks
// like. A name that is not in the form of DNS is converted first.
func ShownName(name string, limit int) string {
	const longest = 300 // a DNS name has 253 octets at most (RFC 1035 §2.3.4), and punycode is slow
	if len(name) > longest {
		return ShownText(name, limit)
	}
	shown, reads := name, name
	if !isASCII(name) { // ASCII that is not valid punycode is shown unchanged
		if a, err := idna.Punycode.ToASCII(name); err == nil {
			shown = a
		}
	}
	if u, err := idna.Punycode.ToUnicode(name); err == nil && !isASCII(u) {
		reads = u
	}
	out := visible(shown, limit)
	if plain, is := lookalike(reads); is {
		return out + " " + mark + visible(plain, limit)
	}
	if reads != shown {
		return out + " (" + visible(reads, limit) + ")"
	}
	return out
}

// ShownText makes text that others chose safe to print, as Printable does, in at most limit
// runes, and marks it if it contains homographs.
func ShownText(s string, limit int) string {
	out := visible(s, limit)
	if plain, is := lookalike(out); is {
		out += " " + mark + "“" + plain + "”"
	}
	return out
}

// visible is Printable, with a dash for text that would be invisible.
func visible(s string, limit int) string {
	if s = strings.TrimSpace(Printable(s, limit)); s == "" {
		return "–"
	}
	return s
}

// lookalike returns s with each letter that looks like an ASCII letter replaced by it, in
// words that are homographs: words that mix Latin letters with those of other alphabets, or
// that read as ASCII afterwards. It reports whether there is one. Words of one alphabet
// that do not look Latin are left alone.
func lookalike(s string) (plain string, is bool) {
	if isASCII(s) {
		return s, false
	}
	var b strings.Builder
	for s != "" {
		n := strings.IndexFunc(s, func(r rune) bool { return !isWord(r) })
		if n < 0 {
			n = len(s)
		}
		word, homograph := skeleton(s[:n])
		b.WriteString(word)
		is = is || homograph
		s = s[n:]
		if n = strings.IndexFunc(s, isWord); n < 0 {
			n = len(s)
		}
		b.WriteString(s[:n])
		s = s[n:]
	}
	return b.String(), is
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r) }

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// skeleton returns a word spelled with ASCII letters if it is a homograph, and unchanged
// otherwise.
func skeleton(word string) (string, bool) {
	if isASCII(word) {
		return word, false
	}
	var b strings.Builder
	latin, foreign, replaced := false, false, false
	for _, r := range word {
		p := asASCII(r)
		b.WriteRune(p)
		replaced = replaced || p != r
		latin = latin || unicode.Is(unicode.Latin, r)
		foreign = foreign || unicode.In(r, unicode.Cyrillic, unicode.Greek, unicode.Armenian, unicode.Cherokee)
	}
	if plain := b.String(); latin && foreign || replaced && isASCII(plain) {
		return plain, true
	}
	return word, false
}

// asASCII returns the ASCII letter or digit that r looks like in most typefaces, or r
// itself. The table has what is used to deceive, not everything that is similar.
func asASCII(r rune) rune {
	switch {
	case r < 0x80:
		return r
	case 0xFF10 <= r && r <= 0xFF5A: // full width
		return r - 0xFEE0
	case 0x1D400 <= r && r <= 0x1D6A3: // mathematical letters: 13 alphabets of A-Z, a-z
		n := (r - 0x1D400) % 52
		if n < 26 {
			return 'A' + n
		}
		return 'a' + n - 26
	case 0x1D7CE <= r && r <= 0x1D7FF: // mathematical digits
		return '0' + (r-0x1D7CE)%10
	}
	if i := strings.IndexRune(lookLike, r); i >= 0 {
		// Each group of the table begins with the ASCII letter.
		group := lookLike[strings.LastIndexByte(lookLike[:i], ' ')+1:]
		return rune(group[0])
	}
	return r
}

// lookLike lists letters that look like an ASCII letter, which begins each group.
const lookLike = "aаαɑ bЬƅ cсϲⅽ dԁⅾɗ eеҽ gɡց hһհ iіıɩιⅰ jјϳ kκк lӏǀⅼΙІ mмⅿ nոпη oоοօഠ pрρ qԛգ rгⲅ sѕꜱ tтτ uυսʋ vνѵⅴ wԝաѡ xхχⅹ yуγү zᴢ " +
	"AАΑᎪ BВΒᏴ CСϹⅭᏟ DᎠⅮ EЕΕᎬ FϜ GᏀԌ HНΗᎻ JЈᎫ KКΚᏦ LⅬᏞ MМΜᎷⅯ NΝ OОΟՕ PРΡᏢ QԚ SЅՏᏚ TТΤᎢ UՍ VⅤᏙѴ WᎳԜ XХΧⅩ YΥҮ ZΖᏃ 3ЗӠ"
