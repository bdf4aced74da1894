package format

import (
	"errors"
	"slices"
	"strings"
)

// onePinner is the advice for what cannot be read.
const onePinner = "write the pins as literals in one chain CertificatePinner.Builder().add(…).build(), in its own file"

// A source is a file of Kotlin or Java. The reader understands as much of the languages as
// it needs to be certain of the pins: blocks (okhttpscope.go), names (okhttpnames.go),
// whether code runs (okhttpplace.go), and the calls of a chain (okhttpread.go). All of
// these accept what they know and refuse the rest.
type source struct {
	data     []byte
	java     bool
	tokens   []token
	words    map[string][]int // indexes of each word, outside texts
	template map[string]int   // offsets of words in templates

	scopes []scope
	bodies map[int]int32        // scopes of functions, by the index of their { or =
	values map[int]*declaration // by the index of their =
	names  map[scopedName][]*declaration

	hasPackage bool
	imports    []imported

	consumed map[int]bool // tokens that were read as parts of a pinner
	lists    []*declaration
	work     int
}

// An imported is a line of imports.
type imported struct {
	path  string // "okhttp3.CertificatePinner"
	name  string // its name in this file; "" for everything
	index int    // of its first token
	end   int    // of the token after it
}

// readSource reads a file in either language.
func readSource(data []byte) (*source, error) {
	if err := checkEscapes(data); err != nil {
		return nil, err
	}
	java, javaErr := lexSource(data, true)
	kotlin, kotlinErr := lexSource(data, false)
	var s *source
	switch {
	case kotlinErr != nil && (javaErr != nil || !java.makesNew()):
		return nil, kotlinErr
	case kotlinErr != nil: // not Kotlin
		s = java
	case javaErr != nil:
		s = kotlin
	default:
		// Comments nest only in Kotlin, and texts end differently. The word new identifies
		// Java only if both languages see the same pinners.
		at, same := java.differs(kotlin)
		if !same {
			return nil, errAt(data, at, "Java and Kotlin differ about whether CertificatePinner is in a comment or text here; remove commented-out code, and /* in comments")
		}
		if s = kotlin; java.makesNew() {
			s = java
		}
	}
	if err := s.findBrackets(); err != nil {
		return nil, err
	}
	s.findImports()
	s.findScopes()
	s.findDeclarations()
	return s, nil
}

func lexSource(data []byte, java bool) (*source, error) {
	tokens, err := lex(data, java)
	if err != nil {
		return nil, err
	}
	s := &source{
		data: data, java: java, tokens: tokens,
		words:    make(map[string][]int),
		template: make(map[string]int),
		bodies:   make(map[int]int32),
		values:   make(map[int]*declaration),
		names:    make(map[scopedName][]*declaration),
		consumed: make(map[int]bool),
	}
	for i, t := range tokens {
		if t.kind == tokenWord {
			s.words[t.text] = append(s.words[t.text], i)
		}
		s.noteTemplates(t)
	}
	return s, nil
}

func (s *source) noteTemplates(t token) {
	for _, p := range t.parts {
		for _, inner := range p.expr {
			if inner.kind == tokenWord {
				s.template[inner.text] = inner.at
			}
			s.noteTemplates(inner)
		}
	}
}

// makesNew reports whether the file has "new CertificatePinner", which is Java.
func (s *source) makesNew() bool {
	return slices.ContainsFunc(s.words[pinnerClass], func(i int) bool {
		return s.word(i-1, "new") || s.sign(i-1, ".") && s.word(i-2, "okhttp3") && s.word(i-3, "new")
	})
}

// differs compares the places of CertificatePinner, and of new before it, with another
// reading of the file, and returns the first offset at which they differ.
func (s *source) differs(other *source) (at int, same bool) {
	offsets := func(s *source) (out []int) {
		for _, i := range s.words[pinnerClass] {
			out = append(out, s.tokens[i].at)
			if s.word(i-1, "new") {
				out = append(out, s.tokens[i-1].at)
			}
		}
		return out
	}
	a, b := offsets(s), offsets(other)
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	if rest := slices.Concat(a, b); len(rest) > 0 {
		return slices.Min(rest), false
	}
	return 0, true
}

// word and sign report whether a given word or sign is at an index.
func (s *source) word(i int, text string) bool { return s.is(i, tokenWord, text) }
func (s *source) sign(i int, text string) bool { return s.is(i, tokenSign, text) }

func (s *source) is(i int, kind tokenKind, text string) bool {
	return i >= 0 && i < len(s.tokens) && s.tokens[i].kind == kind && s.tokens[i].text == text
}

// name returns the word at an index, or "".
func (s *source) name(i int) string {
	if i >= 0 && i < len(s.tokens) && s.tokens[i].kind == tokenWord {
		return s.tokens[i].text
	}
	return ""
}

// among reports whether one of some words or signs is at an index.
func (s *source) among(i int, texts ...string) bool {
	return i >= 0 && i < len(s.tokens) && (s.tokens[i].kind == tokenWord || s.tokens[i].kind == tokenSign) && slices.Contains(texts, s.tokens[i].text)
}

// newline reports whether a token is on another line than the one before it.
func (s *source) newline(i int) bool {
	return i <= 0 || strings.ContainsAny(string(s.data[s.tokens[i-1].end:s.tokens[i].at]), "\n\r")
}

// fail returns an error about the token at an index.
func (s *source) fail(i int, message string, args ...any) error {
	return errAt(s.data, s.tokens[max(i, 0)].at, message, args...)
}

// findBrackets records matching brackets, and the block of each token.
func (s *source) findBrackets() error {
	s.scopes = []scope{{parent: -1, kind: scopeFile, open: -1}}
	closing := map[string]string{"(": ")", "[": "]", "{": "}"}
	var open []int
	at := int32(0)
	for i := range s.tokens {
		t := &s.tokens[i]
		t.match, t.in, t.scope = -1, -1, at
		if len(open) > 0 {
			t.in = int32(open[len(open)-1])
			t.inner = !s.sign(int(t.in), "{")
		}
		if t.kind != tokenSign {
			continue
		}
		switch t.text {
		case "(", "[", "{":
			if open = append(open, i); len(open) > maxNesting {
				return s.fail(i, "brackets are nested too deeply")
			}
			if t.text == "{" {
				s.scopes = append(s.scopes, scope{parent: at, open: i})
				at = int32(len(s.scopes) - 1)
				s.bodies[i] = at
			}
		case ")", "]", "}":
			if len(open) == 0 || closing[s.tokens[t.in].text] != t.text {
				return s.fail(i, "%s without the bracket that it closes", t.text)
			}
			t.match, s.tokens[t.in].match = t.in, int32(i)
			open = open[:len(open)-1]
			if t.text == "}" {
				at = s.scopes[at].parent
			}
			t.scope, t.inner, t.in = s.tokens[t.match].scope, s.tokens[t.match].inner, s.tokens[t.match].in
		}
	}
	if len(open) > 0 {
		i := open[len(open)-1]
		return s.fail(i, "the %s is not closed", s.tokens[i].text)
	}
	return nil
}

// findImports records the imports, and whether the file has a package.
func (s *source) findImports() {
	for _, i := range s.words["package"] {
		s.hasPackage = s.hasPackage || s.tokens[i].scope == 0
	}
	for _, i := range s.words["import"] {
		if s.tokens[i].scope != 0 || s.tokens[i].inner {
			continue
		}
		next := i + 1
		if s.java && s.word(next, "static") {
			next++
		}
		m := imported{index: i, name: s.name(next)}
		path := []string{s.name(next)}
		for next++; s.sign(next, "."); next += 2 {
			m.name = s.name(next + 1) // "" for *
			path = append(path, m.name)
		}
		m.path = strings.Join(path, ".")
		if s.word(next, "as") {
			m.name = s.name(next + 1)
			next += 2
		}
		m.end = next
		s.imports = append(s.imports, m)
	}
}

const pinnerClass = "CertificatePinner"

// checkPinnerClass fails unless CertificatePinner is always OkHttp's, and each of its uses
// can be followed. It returns the indexes of "Builder" in the chains that make pinners.
func (s *source) checkPinnerClass() (chains []int, err error) {
	known := !s.hasPackage && len(s.imports) == 0 // part of a file, which can only mean OkHttp's
	for _, m := range s.imports {
		hasName := m.name == pinnerClass || slices.Contains(strings.Split(m.path, "."), pinnerClass)
		switch {
		case m.path == "okhttp3."+pinnerClass && m.name == pinnerClass:
			known = true
		case hasName && strings.HasPrefix(m.path, "okhttp3."+pinnerClass):
			return nil, s.fail(m.index, "%s under another name or in parts cannot be followed; write import okhttp3.%s and call it by this name", pinnerClass, pinnerClass)
		case hasName:
			return nil, s.fail(m.index, "%s is not OkHttp's here, so what it does is unknown; import okhttp3.%s", pinnerClass, pinnerClass)
		case m.name == "add" || m.name == "build":
			return nil, s.fail(m.index, "what %s does is unknown; import nothing of this name next to a %s", m.name, pinnerClass)
		}
	}
	for _, i := range s.words["okhttp3"] {
		if !s.sign(i+1, ".") && !s.sign(i-1, ".") && !s.word(i-1, "package") {
			return nil, s.fail(i, "okhttp3 is not OkHttp's package here; rename it")
		}
	}
	for _, i := range s.words[pinnerClass] {
		if s.inImport(i) {
			continue
		}
		start := i
		if s.among(i-1, ".", "?.", "::") {
			if start = i - 2; !s.sign(i-1, ".") || !s.word(start, "okhttp3") || s.among(start-1, ".", "?.", "::") {
				return nil, s.fail(i, "this %s is not OkHttp's; write okhttp3.%s", pinnerClass, pinnerClass)
			}
		}
		makes := s.sign(i+1, ".") && s.word(i+2, "Builder") && s.sign(i+3, "(")
		switch {
		case start == i && !known && (makes || s.isType(i)):
			return nil, s.fail(i, "it is not certain which %s this is: write import okhttp3.%s by name, since a class of the same package comes before import okhttp3.*", pinnerClass, pinnerClass)
		case makes && s.java != s.word(start-1, "new"):
			return nil, s.fail(i, "this is neither Kotlin nor Java, where new makes a %s; %s", pinnerClass, onePinner)
		case makes:
			chains = append(chains, i+2)
		case s.sign(i+1, ".") && s.word(i+2, "DEFAULT") && !s.sign(i+3, "("), !s.sign(i+1, ".") && s.isType(i):
			// Nothing is pinned by it.
		case s.sign(i+1, ".") && s.word(i+2, "Builder"):
			return nil, s.fail(i+2, "a builder that is passed around cannot be followed; %s", onePinner)
		default:
			return nil, s.fail(i, "this use of %s cannot be followed; %s", pinnerClass, onePinner)
		}
	}
	if len(chains) == 0 {
		return nil, errors.New("CertificatePinner.Builder() is not called in the file")
	}
	return chains, s.checkTricks()
}

func (s *source) inImport(i int) bool {
	return slices.ContainsFunc(s.imports, func(m imported) bool { return m.index < i && i < m.end })
}

// isType reports whether a name is a type: that of a declaration, or an argument of another
// type.
func (s *source) isType(i int) bool {
	start := i
	for s.sign(start-1, ".") {
		start -= 2
	}
	if !s.java {
		return s.among(start-1, ":", "<", "is", "as") && !s.among(i+1, ".", "?.", "::", "(", "!!")
	}
	return !s.among(start-1, "class", "interface", "enum", "record", "new", "extends", "implements", "permits", "@") &&
		(s.sign(i+1, ">") || s.name(i+1) != "" && !s.among(i+1, "extends", "super", "implements", "permits"))
}

// checkTricks refuses files that may change a class, such as by reflection.
func (s *source) checkTricks() error {
	for _, word := range []string{
		"reflect", "forName", "getDeclaredField", "getDeclaredFields", "getDeclaredMethod", "getDeclaredConstructor", "getDeclaredConstructors",
		"setAccessible", "trySetAccessible", "isAccessible", "declaredMemberProperties", "Unsafe", "VarHandle", "MethodHandles",
	} {
		if at := s.words[word]; at != nil {
			return s.fail(at[0], "reflection (%s) may change any pins; %s", word, onePinner)
		}
		if at, ok := s.template[word]; ok {
			return errAt(s.data, at, "reflection (%s) may change any pins; %s", word, onePinner)
		}
	}
	if at, ok := s.template[pinnerClass]; ok {
		return errAt(s.data, at, "a %s in a text cannot be followed; %s", pinnerClass, onePinner)
	}
	for _, i := range slices.Concat(s.words["add"], s.words["build"]) {
		if !s.java && s.sign(i-1, ".") && s.inFunctionHeader(i) {
			return s.fail(i, "a function of the file named %s may hide OkHttp's; %s", s.name(i), onePinner)
		}
	}
	return nil
}

// inFunctionHeader reports whether a word is the name of an extension function.
func (s *source) inFunctionHeader(i int) bool {
	for j := i - 1; j >= 0 && j > i-maxNesting && !s.among(j, "{", "}", "(", "=", ";"); j-- {
		if s.word(j, "fun") {
			return true
		}
	}
	return false
}
