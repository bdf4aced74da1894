package format

import (
	"fmt"
	"slices"
	"strings"
)

// A source is a file of Kotlin or Java: its tokens, the blocks that braces make, and
// what is declared in them. It is read as far as pinners need it: chains of calls of
// which the arguments are texts, constants of the same file, and lists of these.
type source struct {
	data   []byte
	java   bool
	tokens []token
	scopes []scope
	names  map[scopedName]*declaration
	// members are what classes and objects declare, by the name of the class. What
	// two classes of one name declare is nil.
	members map[[2]string]*declaration
}

// A scope is a block. The first is the file.
type scope struct {
	parent int32
	class  string // whose body it is; "" for other blocks
}

type scopedName struct {
	scope int32
	name  string
}

// A declaration is of a constant, or of something that hides constants of its name.
type declaration struct {
	opaque string // why it has no value that can be known; "" if it may have
	tokens []token
	scope  int32

	busy, done bool
	value      value
	err        error
}

// readSource reads a file. It is Java if something in it is made by "new
// CertificatePinner", and Kotlin otherwise, which has no such word.
func readSource(data []byte) (*source, error) {
	s := &source{
		data: data, java: true,
		names:   make(map[scopedName]*declaration),
		members: make(map[[2]string]*declaration),
	}
	var err error
	if s.tokens, err = lex(data, true); !s.makesNew() {
		s.java = false
		s.tokens, err = lex(data, false)
	} else if err := checkEscapes(data); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	if err := s.findScopes(); err != nil {
		return nil, err
	}
	s.findDeclarations()
	return s, nil
}

func (s *source) makesNew() bool {
	for i := range s.tokens {
		if s.word(i, "new") && (s.word(i+1, "CertificatePinner") || s.word(i+1, "okhttp3") && s.word(i+3, "CertificatePinner")) {
			return true
		}
	}
	return false
}

// word and sign report whether a certain word or sign stands at an index.
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

// findScopes notes for each token the block that it stands in.
func (s *source) findScopes() error {
	s.scopes = []scope{{parent: -1}}
	at, depth := int32(0), 0
	parens := []int{0} // that are open, for each block around
	class := ""        // whose body the next brace opens
	for i := range s.tokens {
		t := &s.tokens[i]
		switch {
		case s.sign(i, "{"):
			if depth++; depth > maxNesting {
				return errAt(s.data, t.at, "braces are nested too deeply")
			}
			s.scopes = append(s.scopes, scope{at, class})
			at, class = int32(len(s.scopes)-1), ""
			parens = append(parens, 0)
		case s.sign(i, "}"):
			if depth--; depth < 0 {
				return errAt(s.data, t.at, "} without {")
			}
			at, class = s.scopes[at].parent, ""
			parens = parens[:depth+1]
		case s.sign(i, "("):
			parens[depth]++
		case s.sign(i, ")"):
			parens[depth]--
		case s.sign(i-1, "."), s.sign(i-1, "::"): // X.class, X::class
		case s.word(i, "companion") && s.word(i+1, "object"):
			class = "Companion"
		case s.word(i, "class"), s.word(i, "interface"), s.word(i, "enum"), s.word(i, "record"), s.word(i, "object"):
			if n := s.name(i + 1); n != "" && class != "Companion" {
				class = n
			}
		case s.word(i, "fun"):
			class = ""
		}
		t.scope, t.inner = at, parens[depth] > 0
	}
	if depth > 0 {
		return errAt(s.data, len(s.data), "a { is not closed")
	}
	return nil
}

// findDeclarations notes what constants there are, and what hides them.
func (s *source) findDeclarations() {
	for i, t := range s.tokens {
		switch {
		case s.sign(i, "->"):
			s.declareParameters(i-1, -1)
		case t.kind != tokenWord:
		case s.java && (t.text == "String" || t.text == "var"):
			s.declareString(i)
		case s.java:
		case t.text == "val" && s.name(i+1) != "":
			s.declareVal(i)
		case t.text == "var" && s.name(i+1) != "":
			s.declare(i+1, "it is a variable", 0)
		case t.text == "val" && s.sign(i+1, "("), t.text == "for" && s.sign(i+1, "(") && s.sign(i+2, "("):
			s.declareParameters(i+1, 1)
		case s.sign(i+1, ":") && !s.word(i-1, "val") && !s.word(i-1, "var"), s.word(i+1, "in"):
			s.declare(i, "it is a parameter", 0)
		}
	}
	for i := range s.tokens {
		if s.name(i) == "" || !s.sign(i+1, "=") && !s.sign(i+1, "+=") {
			continue
		}
		switch {
		case s.word(i-1, "val"), s.word(i-1, "var"), s.word(i-1, "String"), s.java && s.sign(i-1, "]"):
			// declared right here
		case !s.java && s.tokens[i].inner:
			// the name of an argument
		default:
			if d, _ := s.find([]string{s.name(i)}, s.tokens[i].scope); d != nil {
				d.opaque = "it is assigned to elsewhere, too"
			}
		}
	}
}

// declareParameters notes names in a list of them, such as those before -> and those
// that val (a, b) takes apart, from an index forwards or backwards.
func (s *source) declareParameters(i, step int) {
	for ; s.name(i) != "" || s.sign(i, ",") || s.sign(i, "(") || s.sign(i, ")"); i += step {
		switch n := s.name(i); n {
		case "":
		case "val", "for":
			return // another list, which is noted by itself
		default:
			s.declare(i, "it is a parameter", 0)
		}
	}
}

// declareVal notes val NAME [: Type] = … of Kotlin.
func (s *source) declareVal(i int) {
	next := i + 2
	if s.sign(next, ":") {
		next += 2
		for s.sign(next, ".") {
			next += 2
		}
		if s.sign(next, "<") {
			for next++; s.name(next) != "" || s.sign(next, "."); next++ {
			}
			next++
		}
		if s.sign(next, "?") {
			next++
		}
	}
	switch {
	case s.tokens[i].inner: // of a constructor
		s.declare(i+1, "it is a parameter", 0)
	case s.sign(next, "="):
		s.declare(i+1, "", next+1)
	default:
		s.declare(i+1, "it is computed", 0)
	}
}

// declareString notes String NAME = …, String[] NAME = … and var NAME = … of Java.
func (s *source) declareString(i int) {
	next := i + 1
	for s.sign(next, "[") || s.sign(next, "]") || s.sign(next, ".") { // String[], String...
		next++
	}
	if s.name(next) == "" {
		return
	}
	at := next
	for next++; s.sign(next, "[") && s.sign(next+1, "]"); {
		next += 2
	}
	if s.sign(next, "=") {
		s.declare(at, "", next+1)
	} else if !s.sign(next, "(") { // a method is no variable
		s.declare(at, "it is a parameter, or gets its value elsewhere", 0)
	}
}

// declare notes a name, and where the expression of its value begins.
func (s *source) declare(i int, opaque string, value int) {
	in := s.tokens[i].scope
	class := s.scopes[in].class
	if class == "Companion" { // its members are those of the class around it
		in = s.scopes[in].parent
		class = s.scopes[in].class
	}
	d := &declaration{opaque: opaque, scope: s.tokens[i].scope}
	if opaque == "" {
		d.tokens = s.tokens[value:]
	}
	key := scopedName{in, s.tokens[i].text}
	if before := s.names[key]; before != nil {
		before.opaque = "it is declared twice"
		return
	}
	s.names[key] = d
	if class != "" {
		member := [2]string{class, key.name}
		if _, twice := s.members[member]; twice {
			d = nil
		}
		s.members[member] = d
	}
}

// find looks a name up from a block outwards, or in the class that qualifies it.
func (s *source) find(path []string, in int32) (*declaration, error) {
	name := path[len(path)-1]
	qualifiers := slices.DeleteFunc(slices.Clone(path[:len(path)-1]), func(q string) bool {
		return q == "this" || q == "Companion"
	})
	if len(qualifiers) == 0 {
		for ; in >= 0; in = s.scopes[in].parent {
			if d := s.names[scopedName{in, name}]; d != nil {
				return d, nil
			}
		}
		return nil, fmt.Errorf("%s is not a constant of this file", name)
	}
	class := qualifiers[len(qualifiers)-1]
	d, known := s.members[[2]string{class, name}]
	if d == nil && known {
		return nil, fmt.Errorf("there are several classes %s with a %s", class, name)
	}
	if d == nil {
		return nil, fmt.Errorf("%s is not a constant of this file", strings.Join(path, "."))
	}
	return d, nil
}
