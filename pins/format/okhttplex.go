package format

import (
	"bytes"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of source code. Real files stay far below.
const (
	maxTokens  = 1 << 19
	maxNesting = 200 // of braces, templates and comments
	maxWork    = 1 << 24
)

const errTokens = "this is too much source code; use a file with only the pins"

// A token is a word, a literal or a sign of Kotlin or Java source code.
type token struct {
	kind  tokenKind
	inner bool   // in parentheses within its block
	scope int32  // its block: see source.scopes
	match int32  // of a bracket: the index of the matching one
	in    int32  // the index of the innermost bracket around it; -1 for none
	at    int    // offset
	end   int    // offset of what follows
	text  string // of a word or sign; why a text cannot be read, or "" if it can
	parts []part // of a text
}

type tokenKind uint8

const (
	tokenEnd  tokenKind = iota // of the file
	tokenWord                  // a name, keyword or number
	tokenSign
	tokenText // a string literal
	tokenChar // a character literal
)

// A part of a text is literal, or an expression in a template of Kotlin.
type part struct {
	text string
	expr []token // nil if literal; ends with a tokenEnd
}

// A lexer splits source code into tokens. The languages differ in comments, which nest
// only in Kotlin, and in what $, \ and """ mean in a text.
type lexer struct {
	data  []byte
	java  bool
	pos   int
	count int
	depth int
}

// lex returns the tokens of a file, the last of which is a tokenEnd. With an error, it
// returns the tokens before it.
func lex(data []byte, java bool) ([]token, error) {
	l := &lexer{data: data, java: java}
	return l.tokens(false)
}

// checkEscapes refuses escapes such as \u0022: Java decodes them before it finds quotation
// marks and ends of comments, Kotlin does not.
func checkEscapes(data []byte) error {
	l := &lexer{data: data, java: true}
	for i := 0; i < len(l.data); i++ {
		if l.data[i] != '\\' {
			continue
		}
		start := i
		i++
		if i == len(l.data) || l.data[i] != 'u' {
			continue
		}
		for i < len(l.data) && l.data[i] == 'u' {
			i++
		}
		if r, ok := l.hex(i); ok && r < utf8.RuneSelf {
			return errAt(l.data, start, "the escape of an ASCII character may end a text or a comment in Java; write the character itself")
		}
	}
	return nil
}

// hex reads four hexadecimal digits.
func (l *lexer) hex(at int) (rune, bool) {
	if at+4 > len(l.data) {
		return 0, false
	}
	n, err := strconv.ParseUint(string(l.data[at:at+4]), 16, 16)
	return rune(n), err == nil
}

// peek returns the byte n bytes ahead; 0 beyond the end.
func (l *lexer) peek(offset int) byte {
	if l.pos+offset < len(l.data) {
		return l.data[l.pos+offset]
	}
	return 0
}

func (l *lexer) has(prefix string) bool {
	return bytes.HasPrefix(l.data[l.pos:], []byte(prefix))
}

// tokens reads to the end of the file or, in a template, to the brace that ends it.
func (l *lexer) tokens(inTemplate bool) ([]token, error) {
	var out []token
	start, braces := l.pos, 0
	if l.depth++; l.depth > maxNesting {
		return nil, errAt(l.data, l.pos, "templates are nested too deeply")
	}
	defer func() { l.depth-- }()
	for {
		if err := l.space(); err != nil {
			return out, err
		}
		if l.pos == len(l.data) {
			if inTemplate {
				return out, errAt(l.data, start, "the template in a text is not closed")
			}
			return append(out, token{kind: tokenEnd, at: l.pos}), nil
		}
		if l.count++; l.count > maxTokens {
			return out, errAt(l.data, l.pos, errTokens)
		}
		t, err := l.token()
		if err != nil {
			return out, err
		}
		t.end = l.pos
		if inTemplate && t.kind == tokenSign {
			switch {
			case t.text == "{":
				braces++
			case t.text == "}" && braces == 0:
				return append(out, token{kind: tokenEnd, at: t.at}), nil
			case t.text == "}":
				braces--
			}
		}
		out = append(out, t)
	}
}

// space skips white space and comments.
func (l *lexer) space() error {
	for l.pos < len(l.data) {
		switch c := l.data[l.pos]; {
		case c == ' ', '\t' <= c && c <= '\r' && c != '\v':
			l.pos++
		case l.has("//"):
			for l.pos < len(l.data) && l.data[l.pos] != '\n' && l.data[l.pos] != '\r' {
				l.pos++
			}
		case l.has("/*"):
			start, depth := l.pos, 0
			for closed := false; !closed; {
				switch {
				case l.pos == len(l.data):
					return errAt(l.data, start, "the comment is not closed")
				case l.has("/*") && (depth == 0 || !l.java):
					depth++
					l.pos += 2
				case l.has("*/"):
					depth--
					l.pos += 2
					closed = depth == 0
				default:
					l.pos++
				}
			}
		default:
			return nil
		}
	}
	return nil
}

// signs are the signs of two characters.
var signs = [...]string{"==", "!=", "<=", ">=", "+=", "-=", "*=", "/=", "->", "::", "?.", "?:", "!!", "++", "--", "&&", "||"}

func (l *lexer) token() (token, error) {
	start := l.pos
	c := l.data[l.pos]
	switch {
	case c == '"':
		return l.literal()
	case c == '\'':
		return l.char()
	case c == '`' && !l.java:
		end := bytes.IndexAny(l.data[l.pos+1:], "`\n")
		if end < 0 || l.data[l.pos+1+end] == '\n' {
			return token{}, errAt(l.data, start, "the name in backticks is not closed")
		}
		l.pos += end + 2
		text := string(l.data[start+1 : l.pos-1])
		if isKeyword(text) {
			text = "`" + text + "`" // a name, not a keyword
		}
		return token{kind: tokenWord, at: start, text: text}, nil
	case l.wordByte(c):
		word := l.word()
		if i := strings.IndexFunc(word, func(r rune) bool { return r >= utf8.RuneSelf && !unicode.In(r, unicode.L, unicode.Nd, unicode.Mn) }); i >= 0 {
			return token{}, errAt(l.data, start+i, "a character that is invisible, or not allowed in a name; remove it")
		}
		return token{kind: tokenWord, at: start, text: word}, nil
	case strings.IndexByte(oneSigns, c) < 0:
		return token{}, errAt(l.data, start, "%s is not a sign of Kotlin or Java", strconv.QuoteRune(rune(c)))
	}
	for _, s := range signs {
		if l.has(s) {
			l.pos += len(s)
			return token{kind: tokenSign, at: start, text: s}, nil
		}
	}
	l.pos++
	return token{kind: tokenSign, at: start, text: string(rune(c))}, nil
}

// oneSigns are the signs of one character.
const oneSigns = "()[]{}<>,.;:?@=+-*/%&|^!~"

func (l *lexer) wordByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '_' || c >= utf8.RuneSelf || c == '$' && l.java
}

func (l *lexer) word() string {
	start := l.pos
	for l.pos < len(l.data) && l.wordByte(l.data[l.pos]) {
		l.pos++
	}
	return string(l.data[start:l.pos])
}

// char skips a character literal.
func (l *lexer) char() (token, error) {
	start := l.pos
	for l.pos++; l.pos < len(l.data); l.pos++ {
		switch l.data[l.pos] {
		case '\\':
			l.pos++
		case '\'':
			l.pos++
			return token{kind: tokenChar, at: start}, nil
		case '\n':
			return token{}, errAt(l.data, start, "the character is not closed")
		}
	}
	l.pos = len(l.data)
	return token{}, errAt(l.data, start, "the character is not closed")
}

// literal reads a text.
func (l *lexer) literal() (token, error) {
	t := token{kind: tokenText, at: l.pos}
	raw := l.has(`"""`)
	if raw {
		l.pos += 3
		if l.java {
			t.text = "text blocks are not supported; write the text in quotation marks"
		}
	} else {
		l.pos++
	}
	var b strings.Builder
	for {
		if l.pos >= len(l.data) || !raw && (l.data[l.pos] == '\n' || l.data[l.pos] == '\r') {
			return t, errAt(l.data, t.at, "the text is not closed")
		}
		switch c := l.data[l.pos]; {
		case c == '"' && !raw, raw && l.has(`"""`):
			if raw {
				for ; !l.java && l.peek(3) == '"'; l.pos++ { // the last three quotes end a raw text
					b.WriteByte('"')
				}
				l.pos += 2
			}
			l.pos++
			if b.Len() > 0 || t.parts == nil {
				t.parts = append(t.parts, part{text: b.String()})
			}
			return t, nil
		case c == '\\' && (!raw || l.java):
			s, ok := l.escape()
			if !ok && t.text == "" {
				t.text = "it has an unknown escape"
			}
			b.WriteString(s)
		case c == '$' && !l.java && (l.peek(1) == '{' || l.peek(1) == '`' || l.wordByte(l.peek(1)) && !isDigit(l.peek(1))):
			expr, err := l.template()
			if err != nil {
				return t, err
			}
			if b.Len() > 0 {
				t.parts = append(t.parts, part{text: b.String()})
				b.Reset()
			}
			t.parts = append(t.parts, part{expr: expr})
		default:
			b.WriteByte(c)
			l.pos++
		}
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// template reads $name or ${expression} in a text of Kotlin.
func (l *lexer) template() ([]token, error) {
	l.pos++
	if l.peek(0) == '{' {
		l.pos++
		return l.tokens(true)
	}
	if l.count++; l.count > maxTokens {
		return nil, errAt(l.data, l.pos, errTokens)
	}
	t, err := l.token()
	return []token{t, {kind: tokenEnd, at: l.pos}}, err
}

// escape reads an escape in a text, and reports whether the language has it.
func (l *lexer) escape() (string, bool) {
	c := l.peek(1)
	l.pos = min(l.pos+2, len(l.data))
	switch c {
	case 't':
		return "\t", true
	case 'b':
		return "\b", true
	case 'n':
		return "\n", true
	case 'r':
		return "\r", true
	case '\'', '"', '\\':
		return string(rune(c)), true
	case '$':
		return "$", !l.java
	case 'f':
		return "\f", l.java
	case 's':
		return " ", l.java
	case 'u':
		for l.java && l.peek(0) == 'u' {
			l.pos++
		}
		r, ok := l.hex(l.pos)
		if ok {
			l.pos += 4
		}
		return string(r), ok
	}
	return "", false // octal escapes, too, which are unusual in pins
}
