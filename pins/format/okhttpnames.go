package format

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

type scopedName struct {
	scope int32
	name  string
}

// A declaration is that of a constant, of a class, or of something without a known value.
type declaration struct {
	index int   // of its name
	scope int32 // where it is declared

	isClass bool
	body    int32 // of a class: its scope; 0 if it is not known

	opaque  string // why its value is not known; "" if it may be
	at      int    // the index of what follows the =
	fixed   bool   // const in Kotlin, final in Java: it has its value before any code runs
	private bool   // not accessible from other files

	busy, done bool
	value      value
	err        error
}

// findDeclarations records constants, and variables of the same types.
func (s *source) findDeclarations() {
	for i, t := range s.tokens {
		if t.kind != tokenWord || t.inner || s.scopes[t.scope].kind == scopeOpaque || s.among(i-1, ".", "::") {
			continue
		}
		switch {
		case s.java && (t.text == "String" || t.text == "var"):
			s.declareJava(i)
		case !s.java && (t.text == "val" || t.text == "var") && s.name(i+1) != "":
			s.declareKotlin(i)
		}
	}
}

// declareKotlin records val NAME [: Type] = …
func (s *source) declareKotlin(i int) {
	d := &declaration{index: i + 1}
	next := i + 2
	if s.sign(next, ":") {
		next = s.typeEnd(next + 1)
	}
	modifiers, odd := s.modifiers(i)
	d.fixed, d.private = slices.Contains(modifiers, "const"), slices.Contains(modifiers, "private")
	switch {
	case s.word(i, "var"):
		d.opaque = "it is a variable, which may be assigned to; make it a val"
	case odd != "":
		d.opaque = "it is " + odd
	case !s.sign(next, "="):
		d.opaque = "it is computed"
	case s.scopes[s.tokens[i].scope].iface:
		d.opaque = "it may be overridden"
	}
	if d.at = next + 1; s.sign(next, "=") {
		s.values[next] = d
	}
	s.declare(s.tokens[i].scope, s.name(i+1), d)
}

// declareJava records String NAME = …, String[] NAME = … and var NAME = …
func (s *source) declareJava(i int) {
	next := i + 1
	for s.sign(next, "[") && s.sign(next+1, "]") {
		next += 2
	}
	if s.name(next) == "" || s.sign(next+1, "(") {
		return
	}
	d := &declaration{index: next}
	modifiers, _ := s.modifiers(i)
	in := s.scopes[s.tokens[i].scope]
	d.fixed, d.private = slices.Contains(modifiers, "final") || in.iface, slices.Contains(modifiers, "private")
	for next++; s.sign(next, "[") && s.sign(next+1, "]"); {
		next += 2
	}
	switch {
	case !s.sign(next, "="):
		d.opaque = "it is assigned elsewhere"
	case in.kind == scopeClass && !d.fixed:
		d.opaque = "it may be assigned to; make it final"
	}
	if d.at = next + 1; s.sign(next, "=") {
		s.values[next] = d
	}
	s.declare(s.tokens[i].scope, s.name(d.index), d)
}

func (s *source) declare(in int32, name string, d *declaration) {
	d.scope = in
	key := scopedName{in, name}
	s.names[key] = append(s.names[key], d)
}

// modifiers returns the modifiers before the first word of a declaration. odd is the
// reason why the declaration may be overridden, or mean something else elsewhere.
func (s *source) modifiers(i int) (all []string, odd string) {
	for i--; i >= 0; i-- {
		switch w := s.name(i); {
		case s.sign(i, ")") || s.sign(i, "]"):
			start := int(s.tokens[i].match)
			for start--; s.name(start) != "" && s.among(start-1, ".", ":"); {
				start -= 2
			}
			if s.word(start, "context") {
				return all, "in the context of something else"
			}
			if !s.sign(start-1, "@") && !s.sign(start, "@") {
				return all, odd
			}
			i = start
			if s.sign(start-1, "@") {
				i--
			}
		case w == "":
			return all, odd
		case s.annotates(i) >= 0:
			i = s.annotates(i)
		case s.java:
			if !s.among(i, "public", "private", "protected", "static", "final", "transient", "synchronized", "default", "strictfp") {
				return all, odd
			}
			all = append(all, w)
		case s.among(i, "public", "private", "protected", "internal", "const", "final", "inline", "suspend", "tailrec", "infix", "operator"):
			all = append(all, w)
		case s.among(i, "open", "override", "abstract"):
			odd = w + ", so another may take its place"
		case s.among(i, "expect", "actual", "external", "lateinit"):
			odd = w + ", so it is defined elsewhere"
		default:
			if s.newline(i + 1) {
				return all, odd
			}
			odd = fmt.Sprintf("declared with %q, which is unknown", w)
		}
	}
	return all, odd
}

// annotates returns the index of the @ of an annotation without arguments, given the index
// of its last word; -1 if there is no annotation.
func (s *source) annotates(i int) int {
	for s.name(i) != "" && s.among(i-1, ".", ":") {
		i -= 2
	}
	if s.name(i) != "" && s.sign(i-1, "@") {
		return i - 1
	}
	return -1
}

// spend counts the work of name lookups, which a file can make quadratic.
func (s *source) spend(n int) error {
	if s.work += n; s.work > maxWork {
		return errors.New(errTokens)
	}
	return nil
}

// find returns the declaration of a name that is used at an index, searching from a block
// outward. It fails if unknown code may give the name another meaning. A name that
// qualifies another is a class or an object.
func (s *source) find(name string, use int, in int32, qualifies bool) (*declaration, error) {
	for ; in >= 0; in = s.scopes[in].parent {
		d, err := s.findIn(name, use, in)
		if d != nil || err != nil {
			return d, err
		}
		if hides := s.scopes[in].hides; hides != "" && !qualifies {
			return nil, fmt.Errorf("%s may be something else here, because of %s", name, hides)
		}
	}
	return nil, errUnknownName
}

var errUnknownName = errors.New("it is not a constant of this file")

// findIn returns the declaration of a name in a block.
func (s *source) findIn(name string, use int, in int32) (*declaration, error) {
	sc := s.scopes[in]
	all := s.words[name]
	if err := s.spend(len(all)); err != nil {
		return nil, err
	}
	if sc.kind == scopeClass || sc.kind == scopeFunction {
		for _, i := range all {
			if sc.head <= i && i < sc.open {
				return nil, fmt.Errorf("the value of %s cannot be known: it is a parameter", name)
			}
		}
	}
	found := s.names[scopedName{in, name}]
	if sc.companion > 0 && in != sc.companion {
		if inner := s.names[scopedName{sc.companion, name}]; inner != nil {
			if sc.hides != "" && !inner[0].isClass {
				return nil, fmt.Errorf("%s may be something else here, because of %s; write %s.%s", name, sc.hides, sc.name, name)
			}
			found = slices.Concat(found, inner)
		}
	}
	if len(found) > 1 {
		return nil, fmt.Errorf("%s is declared twice", name)
	}
	var d *declaration
	if len(found) == 1 {
		d = found[0]
	}
	switch sc.kind {
	case scopeFile:
		for _, m := range s.imports {
			if m.name == name {
				return nil, fmt.Errorf("%s is imported, and is not a constant of this file", name)
			}
		}
		return d, s.checkMember(name, in, d)
	case scopeClass:
		return d, s.checkMember(name, in, d)
	case scopeFunction:
		return d, s.checkLocal(name, use, sc, d)
	}
	return nil, fmt.Errorf("%s is in a block that cannot be followed", name)
}

// checkMember fails if the body of a class may declare a name in another way.
func (s *source) checkMember(name string, in int32, d *declaration) error {
	for _, i := range s.words[name] {
		if t := s.tokens[i]; t.scope != in || t.inner || d != nil && i == d.index || s.inImport(i) {
			continue
		}
		if s.among(i-1, "=", "+", ".") || s.among(i+1, ".", "(") {
			continue // a use, or a function
		}
		return fmt.Errorf("%s may be something else, because of the code at %s", name, place(s.data, s.tokens[i].at))
	}
	return nil
}

// checkLocal fails if a function may declare a name in another way, or change its value,
// before it is used.
func (s *source) checkLocal(name string, use int, sc scope, d *declaration) error {
	if d != nil && (!s.java || d.fixed) && !d.isClass && d.index < use && !s.isList(d) {
		return nil // the compiler guarantees it
	}
	for _, i := range s.words[name] {
		if i <= sc.open || i >= use || s.consumed[i] || d != nil && i == d.index {
			continue
		}
		if (d == nil || !s.isList(d)) && s.sign(i+1, ".") {
			continue
		}
		return fmt.Errorf("%s may be something else, or changed, because of the code at %s", name, place(s.data, s.tokens[i].at))
	}
	if d != nil && d.index > use {
		return fmt.Errorf("%s is declared below", name)
	}
	return nil
}

// isList reports whether a constant seems to be a list of texts.
func (s *source) isList(d *declaration) bool {
	return s.among(d.at, "{", "new", "arrayOf", "listOf", "setOf") || s.sign(d.index-1, "]") || s.sign(d.index+1, "[")
}

// member returns the declaration of a member of a class.
func (s *source) member(class *declaration, name string) (*declaration, error) {
	in := class.body
	if in > 0 && !s.scopes[in].static {
		in = s.scopes[in].companion
	}
	found := s.names[scopedName{in, name}]
	switch {
	case in == 0 || len(found) == 0:
		return nil, errUnknownName
	case len(found) > 1:
		return nil, fmt.Errorf("%s is declared twice", name)
	}
	if err := s.spend(len(s.words[name])); err != nil {
		return nil, err
	}
	return found[0], s.checkMember(name, in, found[0])
}

// checkOrder fails if a Kotlin constant or a list may not yet have its value where it is
// used, or may have changed by then.
func (s *source) checkOrder(d *declaration, use int, in int32, isList bool) error {
	name := s.name(d.index)
	switch {
	case s.scopes[d.scope].kind == scopeFunction:
		if isList && d.scope != in {
			return fmt.Errorf("the list %s may be changed before this happens; declare it where it is used", name)
		}
	case isList && d.index > use:
		return fmt.Errorf("%s is declared below, and may not have its value yet; declare it above", name)
	case !isList && !d.fixed && (d.index > use || d.scope != in && !s.isQuiet(d)):
		return fmt.Errorf("%s may not have its value yet; make it a const val", name)
	}
	return nil
}

// isQuiet reports whether no code of a class runs before a constant has its value, so that
// no code can see it without.
func (s *source) isQuiet(d *declaration) bool {
	sc := s.scopes[d.scope]
	if s.spend(d.index-sc.open) != nil || sc.hides != "" {
		return false
	}
	for i := sc.open + 1; i < d.index; i++ {
		if t := s.tokens[i]; t.scope != d.scope || t.inner {
			continue
		}
		other := s.values[i]
		switch {
		case s.among(i, "by", "init"):
			return false
		case !s.sign(i, "="), s.bodies[i] > 0, other != nil && other.fixed:
		case s.tokens[i+1].kind == tokenText && !slices.ContainsFunc(s.tokens[i+1].parts, func(p part) bool { return p.expr != nil }) && s.ends(i+2):
		default:
			return false
		}
	}
	return true
}

// checkLibrary fails if a name may not be the function of Kotlin's library here.
func (s *source) checkLibrary(name string, in int32) error {
	s.work += len(s.words[name])
	for _, i := range s.words[name] {
		if s.inFunctionHeader(i) || s.among(i-1, "fun", "val", "var", "class", "object") {
			return fmt.Errorf("%s is not Kotlin's here", name)
		}
	}
	for _, m := range s.imports {
		if (m.name == name || m.name == "") && !strings.HasPrefix(m.path, "kotlin.") && !strings.HasPrefix(m.path, "java.") {
			return fmt.Errorf("%s may not be Kotlin's, because of import %s", name, m.path)
		}
	}
	for ; in >= 0; in = s.scopes[in].parent {
		if hides := s.scopes[in].hides; hides != "" {
			return fmt.Errorf("%s may not be Kotlin's, because of %s", name, hides)
		}
		if sc := s.scopes[in]; sc.kind == scopeFunction {
			for _, i := range s.words[name] {
				if sc.head <= i && i < sc.open {
					return fmt.Errorf("%s is not Kotlin's here", name)
				}
			}
		}
	}
	return nil
}

// checkLists fails if a list of a pinner may have been changed: if it is an array that
// other files can reach, or is used elsewhere.
func (s *source) checkLists() error {
	for _, d := range s.lists {
		name := s.name(d.index)
		if s.scopes[d.scope].kind == scopeFunction {
			continue // see checkLocal
		}
		if at, ok := s.template[name]; ok {
			return errAt(s.data, at, "the list %s may be changed here; %s", name, onePinner)
		}
		for _, i := range s.words[name] {
			if !s.consumed[i] && i != d.index {
				return s.fail(i, "the list %s may be changed here; %s", name, onePinner)
			}
		}
		if d.value.kind == kindArray && !d.private {
			return s.fail(d.index, "other files may change the array %s; make it private", name)
		}
	}
	return nil
}
