package format

import (
	"slices"
	"strings"
)

// blockOf returns the block of the expression at an index, in which its names are looked
// up. It fails unless the expression certainly runs with the declaration around it, and
// is its result: it must be the value of a declaration, the result of a function, a
// statement, or an argument in one of these, and no condition, loop, lambda or overridden
// member may be around it.
//
// Whether an app uses the declaration cannot be seen in one file. It is enough that
// nothing in the file makes another pinner with pins.
func (s *source) blockOf(start int) (int32, error) {
	at := start
	for s.among(start-1, "(", ",") && s.sign(int(s.tokens[start].in), "(") {
		open := int(s.tokens[start].in)
		call := open - 1
		if start = s.callStart(call); start < 0 {
			return 0, s.uncertain(at, call)
		}
	}
	if s.tokens[start].inner {
		return 0, s.uncertain(at, start-1)
	}
	in, before := s.tokens[start].scope, start-1
	if body, ok := s.bodies[before]; ok && s.sign(before, "=") {
		in = body
	}
	for outer := in; outer >= 0; outer = s.scopes[outer].parent {
		if err := s.checkBlock(s.scopes[outer], start, at); err != nil {
			return 0, err
		}
	}
	switch {
	case in != s.tokens[start].scope: // what a function returns
	case s.sign(before, "="):
		if err := s.checkHolder(before); err != nil {
			return 0, err
		}
	case s.word(before, "return") && s.scopes[in].kind == scopeFunction && (s.java || !s.newline(start)) && s.beginsStatement(before):
	case s.beginsStatement(start):
	default:
		return 0, s.uncertain(at, before)
	}
	return in, nil
}

func (s *source) uncertain(at, by int) error {
	return s.fail(at, "it is not certain that an app uses this pinner, because of the code at %s; %s", place(s.data, s.tokens[max(by, 0)].at), onePinner)
}

// callStart returns the start of the expression that calls the function at an index, as in
// a.b(c).call; -1 if that is not a function.
func (s *source) callStart(i int) int {
	if s.name(i) == "" || isStatement(s.name(i)) {
		return -1
	}
	for s.sign(i-1, ".") {
		s.work++
		before := i - 2
		if s.sign(before, "}") && !s.java { // a lambda is the last argument
			before = int(s.tokens[before].match) - 1
		}
		if s.among(before, ")", "]") {
			before = int(s.tokens[before].match) - 1
		}
		if s.name(before) == "" || isStatement(s.name(before)) {
			return -1
		}
		i = before
	}
	if s.java && s.word(i-1, "new") {
		i--
	}
	return i
}

// checkBlock fails if a block may not run, or its function may be replaced. at is the
// index of the pinner, and start that of its expression.
func (s *source) checkBlock(sc scope, start, at int) error {
	switch sc.kind {
	case scopeOpaque:
		return s.fail(at, "it is not certain what happens to this pinner in the block that begins at %s; %s", place(s.data, s.tokens[sc.open].at), onePinner)
	case scopeFunction:
		s.work += at - sc.open
		for i := sc.open + 1; i < at; i++ {
			if i != start-1 && s.among(i, "return", "throw", "break", "continue", "yield", "TODO", "error", "exitProcess") && !s.sign(i-1, ".") {
				return s.fail(at, "it is not certain that this pinner is made, because of %s at %s; %s", s.name(i), place(s.data, s.tokens[i].at), onePinner)
			}
		}
		if sc.method != "" {
			return s.checkMethod(sc, at)
		}
		if s.java {
			return nil
		}
		if s.scopes[sc.parent].iface {
			return s.fail(at, "a function of an interface may be overridden; %s", onePinner)
		}
		if s.word(sc.owner, "val") { // by lazy
			if err := s.checkLibrary("lazy", sc.parent); err != nil {
				return s.fail(at, "%w; %s", err, onePinner)
			}
		}
		return s.checkModifiers(sc.owner, at)
	}
	return nil
}

// checkMethod fails if a method of Java is overridden in the file.
func (s *source) checkMethod(sc scope, at int) error {
	count := 0
	s.work += len(s.words[sc.method])
	for _, i := range s.words[sc.method] {
		if s.sign(i+1, "(") && !s.among(i-1, "new", ".") {
			if next := int(s.tokens[i+1].match) + 1; s.among(next, "{", "throws") {
				count++
			}
		}
	}
	if count > 1 {
		return s.fail(at, "%s is declared several times, so another may take its place; %s", sc.method, onePinner)
	}
	return nil
}

func (s *source) checkModifiers(i, at int) error {
	if _, odd := s.modifiers(i); odd != "" {
		return s.fail(at, "the code around it is %s; %s", odd, onePinner)
	}
	return nil
}

// checkHolder fails if the variable of an assignment, whose = is at an index, may have
// another value, or is not understood.
func (s *source) checkHolder(equal int) error {
	if d := s.values[equal]; d != nil && !s.java {
		if d.opaque != "" {
			return s.fail(d.index, "it is not certain that %s has these pins: %s; %s", s.name(d.index), d.opaque, onePinner)
		}
		return nil
	}
	i := equal - 1
	name, first := s.name(i), i
	switch {
	case name == "":
		return s.uncertain(i, equal)
	case s.sign(i-1, ".") && s.word(i-2, "this"):
		first = i - 2
	case s.java && (s.name(i-1) != "" && !isKeyword(s.name(i-1)) || s.sign(i-1, ">")):
		first = -1 // a declaration
	}
	if first >= 0 && !s.beginsStatement(first) {
		return s.uncertain(i, first-1)
	}
	s.work += len(s.words[name])
	for _, j := range s.words[name] {
		if s.java && (s.name(j-1) != "" && !isKeyword(s.name(j-1)) || s.sign(j-1, ">")) {
			continue // another declaration
		}
		if j != i && s.sign(j+1, "=") && (s.java || !s.tokens[j].inner) {
			return s.fail(i, "it is not certain that %s has these pins, since it is assigned to at %s, too; %s", name, place(s.data, s.tokens[j].at), onePinner)
		}
	}
	return nil
}

// ends reports whether an expression ends before the token at an index, so that nothing
// changes its value.
func (s *source) ends(i int) bool {
	t := s.tokens[i]
	switch {
	case t.kind == tokenEnd, s.among(i, ";", ",", ")"):
		return true
	case s.java:
		return false
	case s.sign(i, "}"):
		return true
	}
	return s.newline(i) && (s.sign(i, "@") || t.kind == tokenWord && !s.among(i, "as", "in", "is"))
}

// checkAccessor fails if the Kotlin property whose value contains an index has a getter or
// setter.
func (s *source) checkAccessor(i int) error {
	in := s.tokens[i].scope
	for ; s.tokens[i].kind != tokenEnd; i++ {
		s.work++
		t := s.tokens[i]
		if t.scope == in && !t.inner && (s.sign(i, ";") || s.newline(i) && !s.among(i, ".", "?.", "?:", "&&", "||", "as", ")", "}")) {
			break
		}
		if t.scope == s.scopes[in].parent && s.sign(i, "}") {
			return nil
		}
	}
	if s.hasAccessor(i) {
		return s.fail(i, "a property with a getter or setter may have another value; %s", onePinner)
	}
	return nil
}

// hasAccessor reports whether the property whose value ends before an index has a
// getter or setter.
func (s *source) hasAccessor(i int) bool {
	if s.sign(i, ";") {
		i++
	}
	for {
		next := s.annotationEnd(i)
		if next == i && s.among(i, "public", "private", "protected", "internal", "inline", "external", "final", "open", "override") {
			next++
		}
		if next == i {
			return s.among(i, "get", "set")
		}
		i = next
	}
}

// comparePinners fails if two pinners of a file have different pins, since either may be in
// use.
func (s *source) comparePinners(all []pinner) error {
	key := func(p pinner) string {
		of := make(map[string][]string)
		for _, h := range p.hosts {
			name := h.Pattern.String()
			for _, pin := range h.Pins {
				of[name] = append(of[name], name+" "+pin.String())
			}
		}
		var lines []string
		for _, l := range of {
			lines = append(lines, l...)
		}
		slices.Sort(lines)
		return strings.Join(slices.Compact(lines), "\n")
	}
	for _, p := range all[1:] {
		if key(p) != key(all[0]) {
			return s.fail(p.index, "this pinner and the one at %s have different pins, and it is not certain which an app uses; put each in its own file", place(s.data, s.tokens[all[0].index].at))
		}
	}
	return nil
}

// checkClients fails if a client of the file has a pinner from another file, or a second
// one that replaces the first, or if all clients of the file have pinners without pins.
// empty are the indexes of the first tokens of such pinners.
func (s *source) checkClients(empty []int) error {
	without := map[string]bool{"DEFAULT": true} // names of pinners without pins
	for _, i := range empty {
		if s.sign(i-1, "=") {
			if name := s.name(i - 2); s.sign(i-3, ":") {
				without[s.name(i-4)] = true // with a type in between
			} else {
				without[name] = true
			}
		}
	}
	first, pinned := -1, false
	for _, i := range s.words["certificatePinner"] {
		if !s.sign(i-1, ".") || !s.sign(i+1, "(") || s.sign(i+2, ")") {
			continue
		}
		if first < 0 {
			first = i
		}
		after := int(s.tokens[i+1].match) + 1
		bare := after == i+4 && without[s.name(i+2)] || after > 2 && without[s.name(after-2)] && s.sign(after-3, ".") || slices.Contains(empty, i+2)
		pinned = pinned || !bare
		for s.sign(after, ".") && s.name(after+1) != "" && s.sign(after+2, "(") {
			if s.word(after+1, "certificatePinner") {
				return s.fail(after+1, "this pinner replaces the one before it in the same client; keep one")
			}
			after = int(s.tokens[after+2].match) + 1
		}
		last := i + 2
		for s.name(last) != "" && s.sign(last+1, ".") {
			last += 2
		}
		end := last + 1
		if s.sign(end, "(") {
			end = int(s.tokens[end].match) + 1
		}
		if name := s.name(last); name == "" || name == "it" || name == "DEFAULT" || end != int(s.tokens[i+1].match) {
			continue // a chain, or an expression
		}
		if err := s.spend(len(s.words[s.name(last)])); err != nil {
			return err
		}
		if !slices.ContainsFunc(s.words[s.name(last)], func(j int) bool {
			return s.name(j-1) != "" && !s.word(j-1, "return") || s.sign(j-1, ">") || s.among(j+1, ":", "->")
		}) {
			return s.fail(last, "this pinner is declared in another file, so it is not certain that an app uses the one in this file; import that file, or keep one pinner")
		}
	}
	if first >= 0 && !pinned {
		return s.fail(first, "the clients of this file have pinners without pins, so it is not certain that an app uses the one with pins")
	}
	return nil
}
