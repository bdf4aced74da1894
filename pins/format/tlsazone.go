package format

import (
	"strings"
)

// A zone reads a zone file entry by entry (RFC 1035 §5.1).
type zone struct {
	data []byte
	pos  int

	origin string // as $ORIGIN said; "" before it did
	owner  string // of the last record, with the origin
}

// A word is one item of an entry.
type word struct {
	text   string
	at     int // its offset
	quoted bool
	first  bool // it is at the very beginning of a line
}

// entry reads the words of the next entry that has any: those of a line, or of
// several that parentheses join. It returns nil at the end.
func (z *zone) entry() ([]word, error) {
	var words []word
	open := -1 // the offset of an open parenthesis
	for z.pos < len(z.data) {
		switch c := z.data[z.pos]; c {
		case '\n':
			z.pos++
			if open < 0 && len(words) > 0 {
				return words, nil
			}
		case ' ', '\t', '\r':
			z.pos++
		case ';':
			for z.pos < len(z.data) && z.data[z.pos] != '\n' {
				z.pos++
			}
		case '(':
			if open >= 0 {
				return nil, errAt(z.data, z.pos, "a second ( before the first is closed")
			}
			open = z.pos
			z.pos++
		case ')':
			if open < 0 {
				return nil, errAt(z.data, z.pos, ") without (")
			}
			open = -1
			z.pos++
		default:
			w, err := z.word()
			if err != nil {
				return nil, err
			}
			words = append(words, w)
		}
	}
	if open >= 0 {
		return nil, errAt(z.data, open, "( is not closed")
	}
	return words, nil
}

// word reads one word, of which quotes and backslashes may be a part. What a
// backslash stands for is not worked out: no name or number that matters has one.
func (z *zone) word() (word, error) {
	start := z.pos
	w := word{at: start, first: start == 0 || z.data[start-1] == '\n'}
	w.quoted = z.data[start] == '"'
	if w.quoted {
		z.pos++
	}
	for ; z.pos < len(z.data); z.pos++ {
		c := z.data[z.pos]
		switch {
		case c == '\\':
			z.pos++
		case w.quoted && c == '"':
			z.pos++
			w.text = string(z.data[start+1 : z.pos-1])
			return w, nil
		case w.quoted && c == '\n':
			return w, errAt(z.data, start, "the quotation is not closed")
		case !w.quoted && strings.IndexByte(" \t\r\n;()\"", c) >= 0:
			w.text = string(z.data[start:z.pos])
			return w, nil
		}
	}
	z.pos = len(z.data) // a backslash may have been the last
	if w.quoted {
		return w, errAt(z.data, start, "the quotation is not closed")
	}
	w.text = string(z.data[start:])
	return w, nil
}

// fields notes the owner of an entry and returns what follows its class and TTL: the
// type and its data. It returns nothing for a directive.
func (z *zone) fields(words []word) ([]word, error) {
	if words[0].first {
		switch name := words[0].text; strings.ToUpper(name) {
		case "$ORIGIN":
			if len(words) < 2 || !strings.HasSuffix(words[1].text, ".") {
				return nil, errAt(z.data, words[0].at, "want a name that ends with a dot after $ORIGIN")
			}
			z.origin = words[1].text
			return nil, nil
		case "$TTL":
			return nil, nil
		default:
			if strings.HasPrefix(name, "$") {
				return nil, errAt(z.data, words[0].at, "%s is not followed, so there may be records that are not seen; write them here", quote(name))
			}
			z.owner = z.absolute(name)
		}
		words = words[1:]
	}
	for len(words) > 0 && (isClass(words[0].text) || isTTL(words[0].text)) {
		words = words[1:]
	}
	return words, nil
}

// absolute adds the origin to a name that does not end with a dot.
func (z *zone) absolute(name string) string {
	switch {
	case name == "@":
		return z.origin
	case strings.HasSuffix(name, "."), z.origin == "":
		return name
	}
	return name + "." + strings.TrimPrefix(z.origin, ".")
}

func isClass(s string) bool {
	switch strings.ToUpper(s) {
	case "IN", "CH", "CS", "HS":
		return true
	}
	return false
}

// isTTL reports whether a word is a TTL, in seconds or as servers write it: 1h30m.
func isTTL(s string) bool {
	return s != "" && s[0] >= '0' && s[0] <= '9' && strings.Trim(strings.ToLower(s), "0123456789smhdw") == ""
}
