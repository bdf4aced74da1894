package format

import (
	"slices"
	"strings"
)

// A scope is a block, or the expression of a function. The first is the file.
type scope struct {
	kind   scopeKind
	parent int32
	name   string // of a class
	head   int    // the start of its header after the name; the header ends at open
	open   int    // the index of its {, or of the = of a function

	// hides is what may give names of outer blocks another meaning, such as the members
	// of a superclass; "" for nothing.
	hides string
	// static is set if members are accessed by the name of the class: in Java, and for
	// objects.
	static    bool
	companion int32  // of a class: the scope of its companion object; 0 if it has none
	iface     bool   // it is an interface
	owner     int    // of a function or lazy value: the index of its fun, val or name
	method    string // of a method of Java: its name
}

type scopeKind uint8

const (
	// An opaque block may not run, may run several times, or may give names another
	// meaning: conditions, loops, lambdas, anonymous classes.
	scopeOpaque scopeKind = iota
	scopeFile
	scopeClass
	scopeFunction // runs from its start to its end
)

// isKeyword reports whether the reader gives a word a meaning.
func isKeyword(word string) bool {
	return isStatement(word) || slices.Contains(strings.Fields(`abstract actual annotation by companion const
		constructor enum expect external final get init inline inner internal lateinit lazy open operator override
		private protected public set suspend tailrec`), word)
}

// isStatement reports whether a word cannot be the name of a function.
func isStatement(word string) bool {
	return slices.Contains(strings.Fields(`as assert break catch class continue do else finally for fun if import
		in interface is new object package return switch synchronized throw try typealias val var when while`), word)
}

// findScopes finds the blocks of classes and functions.
func (s *source) findScopes() {
	for i, t := range s.tokens {
		switch {
		case t.kind != tokenWord || s.among(i-1, ".", "?.", "::", "@"):
		case s.java && s.among(i, "class", "interface", "record"):
			s.findJavaClass(i)
		case s.java && !t.inner && s.scopes[t.scope].kind == scopeClass && (s.sign(i+1, "(") || s.word(i, "static") && s.sign(i+1, "{")):
			s.findMethod(i)
		case s.java:
		case s.among(i, "class", "interface", "object"):
			s.findClass(i)
		case s.word(i, "fun"):
			s.findFunction(i)
		case s.word(i, "init") && s.sign(i+1, "{") && s.scopes[t.scope].kind == scopeClass && s.beginsStatement(i):
			s.setFunction(i+1, i+1, i)
		case s.word(i, "val") && s.name(i+1) != "":
			next := i + 2
			if s.sign(next, ":") {
				next = s.typeEnd(next + 1)
			}
			if !s.word(next, "by") || !s.word(next+1, "lazy") {
				continue
			}
			if next += 2; s.sign(next, "(") {
				next = int(s.tokens[next].match) + 1
			}
			if s.sign(next, "{") {
				s.setFunction(next, next, i)
			}
		}
	}
}

// typeEnd returns the index of what follows the name of a type, or -1 if the type is
// of another kind.
func (s *source) typeEnd(i int) int {
	for {
		if s.name(i) == "" {
			return -1
		}
		if i++; s.sign(i, "<") {
			if i = s.angleEnd(i); i < 0 {
				return -1
			}
		}
		if !s.sign(i, ".") {
			break
		}
		i++
	}
	for s.java && s.sign(i, "[") && s.sign(i+1, "]") {
		i += 2
	}
	if !s.java && s.sign(i, "?") {
		i++
	}
	return i
}

// angleEnd returns the index of what follows <…>, or -1.
func (s *source) angleEnd(i int) int {
	for depth := 0; ; i++ {
		switch {
		case s.sign(i, "<"):
			depth++
		case s.sign(i, ">"):
			if depth--; depth == 0 {
				return i + 1
			}
		case s.name(i) == "" && !s.among(i, ".", ",", "?", "*", ":", "&", "[", "]"):
			return -1
		}
	}
}

// annotationEnd returns the index after the annotation that starts at an index; the index
// itself if there is none.
func (s *source) annotationEnd(i int) int {
	if !s.sign(i, "@") {
		return i
	}
	next := i + 1
	if s.name(next) != "" && s.sign(next+1, ":") {
		next += 2 // @field:Inject
	}
	if s.sign(next, "[") {
		return int(s.tokens[next].match) + 1
	}
	if next = s.typeEnd(next); next < 0 {
		return i
	}
	if s.sign(next, "(") && !s.newline(next) {
		next = int(s.tokens[next].match) + 1
	}
	return next
}

// findClass reads the header of a class, interface or object of Kotlin.
func (s *source) findClass(i int) {
	sc := scope{kind: scopeClass, iface: s.word(i, "interface"), static: s.word(i, "object")}
	companion := s.word(i, "object") && s.word(i-1, "companion")
	next := i + 1
	if !companion || s.name(next) != "" {
		sc.name = s.name(next)
		if next++; sc.name == "" {
			return // an anonymous object
		}
	}
	sc.head = next
	var body int32
	defer func() {
		in := s.tokens[i].scope
		switch {
		case companion && body > 0 && s.scopes[in].kind == scopeClass && s.scopes[in].companion == 0:
			s.scopes[in].companion = body
			if sc.hides != "" {
				s.scopes[in].hides = sc.hides
			}
		case companion:
			s.scopes[in].hides = "what a companion object inherits"
		default:
			s.declare(in, sc.name, &declaration{index: i + 1, isClass: true, body: body, opaque: "it is a class"})
		}
	}()
	if s.among(i-1, "enum", "annotation") {
		return
	}
	if s.sign(next, "<") {
		if next = s.angleEnd(next); next < 0 {
			return
		}
	}
	for s.among(next, "private", "protected", "internal", "public", "constructor") || s.annotationEnd(next) != next {
		next = max(next+1, s.annotationEnd(next))
	}
	if s.sign(next, "(") {
		next = int(s.tokens[next].match) + 1
	}
	if s.sign(next, ":") {
		for more := true; more; more = s.sign(next, ",") {
			if next = s.typeEnd(next + 1); next < 0 {
				return
			}
			if s.sign(next, "(") {
				next = int(s.tokens[next].match) + 1
			}
		}
		sc.hides = strings.TrimSpace("what "+sc.name) + " inherits"
	}
	if _, odd := s.modifiers(i); strings.Contains(odd, "context") {
		sc.hides = "its context"
	}
	if s.sign(next, "{") {
		body = s.set(next, sc)
	}
}

// findJavaClass reads the header of a class, interface or record of Java.
func (s *source) findJavaClass(i int) {
	sc := scope{kind: scopeClass, iface: s.word(i, "interface"), static: true, name: s.name(i + 1), head: i + 2}
	next := sc.head
	if sc.name == "" || s.word(i, "record") && !s.among(next, "(", "<") {
		return
	}
	var body int32
	defer func() {
		s.declare(s.tokens[i].scope, sc.name, &declaration{index: i + 1, isClass: true, body: body, opaque: "it is a class"})
	}()
	if s.sign(next, "<") {
		if next = s.angleEnd(next); next < 0 {
			return
		}
	}
	if s.sign(next, "(") {
		next = int(s.tokens[next].match) + 1
	}
	for s.among(next, "extends", "implements", "permits") {
		sc.hides = "what " + sc.name + " inherits"
		if next = s.typesEnd(next + 1); next < 0 {
			return
		}
	}
	if s.sign(next, "{") {
		body = s.set(next, sc)
	}
}

// typesEnd returns the index after a list of type names, or -1.
func (s *source) typesEnd(i int) int {
	for {
		if i = s.typeEnd(i); i < 0 || !s.sign(i, ",") {
			return i
		}
		i++
	}
}

// findMethod reads the header of a method or constructor of Java, or of a static
// initializer, in the body of a class.
func (s *source) findMethod(i int) {
	if s.sign(i+1, "{") {
		s.setFunction(i+1, i+1, i)
		return
	}
	class := s.scopes[s.tokens[i].scope].name
	if s.word(i-1, "new") || s.name(i-1) == "" && !s.among(i-1, ">", "]") && s.name(i) != class {
		return // a call
	}
	next := int(s.tokens[i+1].match) + 1
	if s.word(next, "throws") {
		next = s.typesEnd(next + 1)
	}
	if s.sign(next, "{") {
		in := s.setFunction(next, i+1, i)
		if s.name(i) != class {
			s.scopes[in].method = s.name(i)
		}
	}
}

// findFunction reads the header of a function of Kotlin.
func (s *source) findFunction(i int) {
	next, receiver := i+1, false
	if s.sign(next, "<") {
		next = s.angleEnd(next)
	}
	for next > 0 && s.name(next) != "" && !s.sign(next+1, "(") {
		receiver = true
		if next++; s.sign(next, "<") {
			next = s.angleEnd(next)
		}
		if s.sign(next, "?") {
			next++
		}
		if !s.among(next, ".", "?.") {
			return
		}
		next++
	}
	if next < 0 || s.name(next) == "" {
		return
	}
	name := s.name(next)
	head := next + 1
	if next = int(s.tokens[head].match) + 1; s.sign(next, ":") {
		next = s.typeEnd(next + 1)
	}
	if !s.sign(next, "{") && !s.sign(next, "=") {
		return
	}
	in := s.setFunction(next, head, i)
	if receiver {
		s.scopes[in].hides = "the receiver of " + name
	}
}

// setFunction makes a function of a block, or of what follows the = at an index.
func (s *source) setFunction(open, head, owner int) int32 {
	return s.set(open, scope{kind: scopeFunction, head: head, owner: owner})
}

func (s *source) set(open int, sc scope) int32 {
	in, ok := s.bodies[open]
	if !ok {
		in = int32(len(s.scopes))
		s.scopes = append(s.scopes, scope{})
		s.bodies[open] = in
	}
	sc.open, sc.parent = open, s.tokens[open].scope
	s.scopes[in] = sc
	return in
}

// beginsStatement reports whether a token starts a statement, so that nothing before it in
// its block is a condition for it.
func (s *source) beginsStatement(i int) bool {
	if i == 0 || s.among(i-1, "{", "}", ";") {
		return true
	}
	if s.java || !s.newline(i) {
		return false
	}
	switch before := s.tokens[i-1]; before.kind {
	case tokenText, tokenChar:
		return true
	case tokenWord:
		return !isKeyword(before.text) || slices.ContainsFunc(s.imports, func(m imported) bool { return m.end == i })
	case tokenSign:
		return before.text == "]" || before.text == ")" && !isKeyword(s.name(int(before.match)-1))
	}
	return false
}
