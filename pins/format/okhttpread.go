package format

import (
	"fmt"
	"strings"
)

// Bounds of what a file may say: each is far more than an app has.
const (
	maxText = 512     // bytes of a text that is put together
	maxList = 1024    // texts of one list
	maxPins = 1 << 14 // pins in a file
	maxWild = 1 << 20 // pins of patterns, times hosts that may have them
)

// A value is a text, or a list of texts.
type value struct {
	texts  []located
	isList bool
}

// A located text knows where it begins.
type located struct {
	text string
	at   int
}

// A pinnerAdd is one call of CertificatePinner.Builder's add.
type pinnerAdd struct {
	pattern located
	pins    []located
}

// pinners reads each chain CertificatePinner.Builder().add(…)….build().
func (s *source) pinners() ([][]pinnerAdd, error) {
	var all [][]pinnerAdd
	count := 0
	for i := range s.tokens {
		if !s.word(i, "CertificatePinner") {
			continue
		}
		if s.word(i+1, "as") {
			return nil, errAt(s.data, s.tokens[i+1].at, "CertificatePinner under another name is not followed; call it by its own")
		}
		if !s.sign(i+1, ".") || !s.word(i+2, "Builder") {
			continue
		}
		c := &cursor{source: s, tokens: s.tokens[i+3:], scope: s.tokens[i].scope}
		adds, err := c.chain()
		if err != nil {
			return nil, err
		}
		for _, a := range adds {
			count += len(a.pins)
		}
		if count > maxPins {
			return nil, errAt(s.data, s.tokens[i].at, "there are more than %d pins", maxPins)
		}
		all = append(all, adds)
	}
	return all, nil
}

// A cursor reads expressions from tokens, the last of which is a tokenEnd.
type cursor struct {
	*source
	tokens []token
	i      int
	scope  int32
	depth  int
}

func (c *cursor) token() token { return c.tokens[c.i] }

func (c *cursor) next() {
	if c.token().kind != tokenEnd {
		c.i++
	}
}

func (c *cursor) ahead(n int) token { return c.tokens[min(c.i+n, len(c.tokens)-1)] }

// at reports whether a sign is n tokens ahead.
func (c *cursor) at(n int, sign string) bool {
	t := c.ahead(n)
	return t.kind == tokenSign && t.text == sign
}

// accept passes over a sign if it is next.
func (c *cursor) accept(sign string) bool {
	ok := c.at(0, sign)
	if ok {
		c.next()
	}
	return ok
}

func (c *cursor) expect(sign string) error {
	if !c.accept(sign) {
		return c.fail("want %s here", sign)
	}
	return nil
}

// fail returns an error about the next token.
func (c *cursor) fail(message string, args ...any) error {
	return errAt(c.data, c.token().at, message, args...)
}

// chain reads what follows CertificatePinner.Builder.
func (c *cursor) chain() ([]pinnerAdd, error) {
	const advice = "write the pins as one chain CertificatePinner.Builder().add(…).build()"
	if !c.at(0, "(") || !c.at(1, ")") {
		return nil, c.fail("a builder that is handed around cannot be followed; " + advice)
	}
	c.next()
	c.next()
	var adds []pinnerAdd
	total := 0
	for {
		if !c.accept(".") {
			return nil, c.fail("what becomes of the builder cannot be followed; " + advice)
		}
		call := c.token()
		c.next()
		switch {
		case call.kind == tokenWord && call.text == "add" && c.at(0, "("):
			a, err := c.add()
			if err != nil {
				return nil, err
			}
			if total += len(a.pins); total > maxPins {
				return nil, errAt(c.data, call.at, "there are more than %d pins", maxPins)
			}
			adds = append(adds, a)
		case call.kind == tokenWord && call.text == "build" && c.at(0, "(") && c.at(1, ")"):
			if len(adds) == 0 {
				return nil, errAt(c.data, call.at, "no pins are added, and nothing would be pinned")
			}
			return adds, nil
		default:
			return nil, errAt(c.data, call.at, "only add and build can be read here; "+advice)
		}
	}
}

// add reads the arguments of add.
func (c *cursor) add() (a pinnerAdd, err error) {
	start := c.token().at
	hasPattern := false
	err = c.list("(", ")", func() error {
		name := ""
		if t := c.token(); !c.java && t.kind == tokenWord && c.at(1, "=") {
			name = t.text
			c.next()
			c.next()
		} else if !hasPattern {
			name = "pattern"
		} else {
			name = "pins"
		}
		at := c.token().at
		c.acceptSpread()
		v, err := c.expression()
		switch {
		case err != nil:
			return err
		case name == "pattern" && (v.isList || hasPattern):
			return errAt(c.data, at, "want one pattern, a text")
		case name == "pattern":
			hasPattern = true
			a.pattern = v.texts[0]
		case name == "pins":
			a.pins = append(a.pins, v.texts...)
		default:
			return errAt(c.data, at, "add has no parameter %s", name)
		}
		if len(a.pins) > maxList {
			return errAt(c.data, at, "there are more than %d pins for one pattern", maxList)
		}
		return nil
	})
	switch {
	case err != nil:
		return a, err
	case !hasPattern:
		return a, errAt(c.data, start, "no pattern is given")
	case len(a.pins) == 0:
		return a, errAt(c.data, start, "%q has no pins, and would not be pinned", a.pattern.text)
	}
	return a, nil
}

// acceptSpread passes over Kotlin's *, which makes arguments of a list.
func (c *cursor) acceptSpread() {
	if !c.java {
		c.accept("*")
	}
}

// list reads items that commas part, between two signs. One may follow the last.
func (c *cursor) list(open, end string, item func() error) error {
	if err := c.expect(open); err != nil {
		return err
	}
	for !c.accept(end) {
		if err := item(); err != nil {
			return err
		}
		if !c.at(0, end) {
			if !c.at(0, ",") {
				return c.fail("what stands here cannot be read: want texts, constants of this file, and + between them")
			}
			c.next()
		}
	}
	return nil
}

// expression reads texts that + joins, or a list.
func (c *cursor) expression() (value, error) {
	if c.depth++; c.depth > maxNesting {
		return value{}, c.fail("expressions are nested too deeply")
	}
	defer func() { c.depth-- }()
	v, err := c.operand()
	if err != nil || !c.at(0, "+") {
		return v, err
	}
	var b strings.Builder
	start := c.token().at
	if !v.isList {
		start = v.texts[0].at
	}
	for {
		if v.isList {
			return v, errAt(c.data, start, "lists cannot be joined here; write them one after another")
		}
		b.WriteString(v.texts[0].text)
		if b.Len() > maxText {
			return v, errAt(c.data, start, "the text is longer than %d bytes", maxText)
		}
		if !c.accept("+") {
			return value{texts: []located{{b.String(), start}}}, nil
		}
		if v, err = c.operand(); err != nil {
			return v, err
		}
	}
}

// operand reads a literal, a constant, a list, or an expression in parentheses.
func (c *cursor) operand() (value, error) {
	t := c.token()
	switch {
	case t.kind == tokenText:
		c.next()
		text, err := c.text(t)
		return value{texts: []located{{text, t.at}}}, err
	case c.at(0, "("):
		c.next()
		v, err := c.expression()
		if err == nil {
			err = c.expect(")")
		}
		return v, err
	case c.java && c.at(0, "{"):
		return c.items("{", "}")
	case c.java && t.text == "new" && t.kind == tokenWord:
		if c.ahead(1).text != "String" || !c.at(2, "[") || !c.at(3, "]") {
			return value{}, c.fail("what is made here cannot be read: want texts")
		}
		c.i += 4
		return c.items("{", "}")
	case t.kind == tokenWord:
		return c.reference()
	}
	return value{}, c.fail("what stands here cannot be read: want a text, or a constant of this file")
}

// text puts a literal together.
func (c *cursor) text(t token) (string, error) {
	if t.text != "" {
		return "", errAt(c.data, t.at, "the text cannot be read: %s", t.text)
	}
	var b strings.Builder
	for _, p := range t.parts {
		if p.expr == nil {
			b.WriteString(p.text)
		} else {
			inner := &cursor{source: c.source, tokens: p.expr, scope: c.scope, depth: c.depth}
			v, err := inner.expression()
			if err != nil {
				return "", err
			}
			if inner.token().kind != tokenEnd || v.isList {
				return "", inner.fail("the template cannot be read: want a constant of this file")
			}
			b.WriteString(v.texts[0].text)
		}
		if b.Len() > maxText {
			return "", errAt(c.data, t.at, "the text is longer than %d bytes", maxText)
		}
	}
	return b.String(), nil
}

// items reads the items of a list.
func (c *cursor) items(open, end string) (value, error) {
	v := value{isList: true}
	return v, c.list(open, end, func() error {
		at := c.token().at
		c.acceptSpread()
		item, err := c.expression()
		v.texts = append(v.texts, item.texts...)
		if err == nil && len(v.texts) > maxList {
			err = errAt(c.data, at, "the list has more than %d items", maxList)
		}
		return err
	})
}

// reference reads the name of a constant, or a call that makes a list.
func (c *cursor) reference() (value, error) {
	start := c.token()
	path := []string{start.text}
	for c.next(); c.at(0, ".") && c.ahead(1).kind == tokenWord && len(path) < maxNesting; c.next() {
		c.next()
		path = append(path, c.token().text)
	}
	if !c.at(0, "(") {
		return c.constant(path, start.at)
	}
	switch last := path[len(path)-1]; {
	case last == "toTypedArray" && len(path) > 1 && c.at(1, ")"):
		c.next()
		c.next()
		return c.constant(path[:len(path)-1], start.at)
	case last == "arrayOf", last == "listOf", last == "setOf":
		v, err := c.items("(", ")")
		if err == nil && c.at(0, ".") && c.ahead(1).text == "toTypedArray" && c.at(2, "(") && c.at(3, ")") {
			c.i += 4
		}
		return v, err
	}
	return value{}, errAt(c.data, start.at, "what %s() returns cannot be known; write the text here", strings.Join(path, "."))
}

// constant returns the value of a declaration.
func (c *cursor) constant(path []string, at int) (value, error) {
	name := strings.Join(path, ".")
	d, err := c.find(path, c.scope)
	if err != nil {
		return value{}, errAt(c.data, at, "%w; write the text here, or declare it with a literal value", err)
	}
	if d.opaque != "" {
		return value{}, errAt(c.data, at, "the value of %s cannot be known: %s", name, d.opaque)
	}
	if d.busy {
		return value{}, errAt(c.data, at, "%s is declared by itself", name)
	}
	if !d.done {
		d.busy = true
		inner := &cursor{source: c.source, tokens: d.tokens, scope: d.scope, depth: c.depth}
		d.value, d.err = inner.expression()
		if d.err == nil && !inner.ends() {
			d.err = inner.fail("what stands here cannot be read, and so the value of %s cannot be known", name)
		}
		d.busy, d.done = false, true
	}
	if d.err != nil {
		return value{}, fmt.Errorf("%w", d.err)
	}
	return d.value, nil
}

// ends reports whether the expression of a declaration ends here: whether nothing
// follows that would change its value.
func (c *cursor) ends() bool {
	t := c.token()
	switch {
	case t.kind == tokenEnd, c.at(0, ";"), c.at(0, "}"), c.at(0, "@"):
		return true
	case c.java:
		return c.at(0, ",") // another declaration
	case t.kind != tokenWord || c.i == 0:
		return false
	}
	// A name on a line of its own begins the next statement.
	return strings.ContainsAny(string(c.data[c.tokens[c.i-1].end:t.at]), "\n\r")
}
