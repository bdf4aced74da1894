package format

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A value is a text, or a list of texts.
type value struct {
	texts []located
	kind  valueKind
}

type valueKind uint8

const (
	kindText  valueKind = iota
	kindArray           // String[], Array<String>
	kindList            // List<String>, Set<String>
)

// A located text has its offset.
type located struct {
	text string
	at   int
}

// A cursor reads expressions from tokens, the last of which is a tokenEnd.
type cursor struct {
	*source
	tokens []token
	i      int
	use    int // in a template: the index of its text in the file; -1 otherwise
	scope  int32
	depth  int
	parens int
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

// accept skips a sign if it is next.
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

// list reads items separated by commas, between two signs. A comma may follow the last.
func (c *cursor) list(open, end string, item func() error) error {
	if err := c.expect(open); err != nil {
		return err
	}
	c.parens++
	defer func() { c.parens-- }()
	for !c.accept(end) {
		if err := item(); err != nil {
			return err
		}
		if !c.at(0, end) {
			if !c.at(0, ",") {
				return c.fail("this cannot be read: want texts, constants of this file, and + between them")
			}
			c.next()
		}
	}
	return nil
}

// expression reads texts joined by +, or a list.
func (c *cursor) expression() (value, error) {
	if c.depth++; c.depth > maxNesting {
		return value{}, c.fail("expressions are nested too deeply")
	}
	defer func() { c.depth-- }()
	start := c.token().at
	v, err := c.operand()
	if err != nil || !c.at(0, "+") {
		return v, err
	}
	var b strings.Builder
	for {
		if v.kind != kindText {
			return v, errAt(c.data, start, "lists cannot be joined here; write them one after another")
		}
		b.WriteString(v.texts[0].text)
		if b.Len() > maxText {
			return v, errAt(c.data, start, "the text is longer than %d bytes", maxText)
		}
		if !c.at(0, "+") {
			return value{texts: []located{{b.String(), start}}}, nil
		}
		if !c.java && c.parens == 0 && c.use < 0 && c.newline(c.i) {
			return v, c.fail("in Kotlin a + at the beginning of a line joins nothing; put it at the end of the line before")
		}
		c.next()
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
		text, err := c.text(t)
		c.next()
		return value{texts: []located{{text, t.at}}}, err
	case c.at(0, "("):
		c.next()
		c.parens++
		v, err := c.expression()
		c.parens--
		if err == nil {
			err = c.expect(")")
		}
		if err == nil && v.kind != kindText {
			err = errAt(c.data, t.at, "a list in parentheses cannot be followed; remove them")
		}
		return v, err
	case c.java && c.at(0, "{"):
		return c.items("{", "}", kindArray)
	case c.java && t.text == "new" && t.kind == tokenWord:
		if c.ahead(1).text != "String" || !c.at(2, "[") || !c.at(3, "]") {
			return value{}, c.fail("this object cannot be read: want texts")
		}
		c.i += 4
		return c.items("{", "}", kindArray)
	case t.kind == tokenWord:
		return c.reference()
	}
	return value{}, c.fail("this cannot be read: want a text, or a constant of this file")
}

// text returns the text of a literal, with its templates.
func (c *cursor) text(t token) (string, error) {
	if t.text != "" {
		return "", errAt(c.data, t.at, "the text cannot be read: %s", t.text)
	}
	var b strings.Builder
	for _, p := range t.parts {
		if p.expr == nil {
			b.WriteString(p.text)
		} else {
			inner := &cursor{source: c.source, tokens: p.expr, use: c.index(), scope: c.scope, depth: c.depth}
			v, err := inner.expression()
			if err != nil {
				return "", err
			}
			if inner.token().kind != tokenEnd || v.kind != kindText {
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

// index returns the index of the cursor in the file.
func (c *cursor) index() int {
	if c.use >= 0 {
		return c.use
	}
	return c.i
}

// items reads the items of a list.
func (c *cursor) items(open, end string, kind valueKind) (value, error) {
	v := value{kind: kind}
	return v, c.list(open, end, func() error {
		at := c.token().at
		spread := !c.java && c.accept("*")
		item, err := c.expression()
		v.texts = append(v.texts, item.texts...)
		switch {
		case err != nil:
		case spread != (item.kind == kindArray), item.kind == kindList:
			err = errAt(c.data, at, "this is not a list of texts; write them one after another")
		case len(v.texts) > maxList:
			err = errAt(c.data, at, "the list has more than %d items", maxList)
		}
		return err
	})
}

// reference reads a constant, or a call that makes a list.
func (c *cursor) reference() (value, error) {
	start, use := c.token(), c.index()
	path := []string{start.text}
	last := c.i
	for c.next(); c.at(0, ".") && c.ahead(1).kind == tokenWord && c.ahead(1).text != "toTypedArray" && len(path) < maxNesting; c.next() {
		c.next()
		last = c.i
		path = append(path, c.token().text)
	}
	var v value
	var err error
	switch name := strings.Join(path, "."); {
	case !c.at(0, "("):
		if v, err = c.constant(path, start.at, use); err == nil && c.use < 0 {
			c.consumed[last] = true
			c.consumed[use] = true
		}
	case c.java:
		return value{}, errAt(c.data, start.at, "what %s() returns cannot be known; write the text here", name)
	case name == "arrayOf":
		v, err = c.items("(", ")", kindArray)
	case name == "listOf", name == "setOf":
		v, err = c.items("(", ")", kindList)
	default:
		return value{}, errAt(c.data, start.at, "what %s() returns cannot be known; write the text here", name)
	}
	if err == nil && len(path) == 1 && slices.Contains([]string{"arrayOf", "listOf", "setOf"}, path[0]) {
		err = c.library(path[0], start.at)
	}
	if err != nil || !c.at(0, ".") || c.ahead(1).text != "toTypedArray" {
		return v, err
	}
	if v.kind != kindList || !c.at(2, "(") || !c.at(3, ")") {
		return v, c.fail("only a list can be made an array; write the pins as texts")
	}
	c.i += 4
	v.kind = kindArray
	return v, c.library("toTypedArray", start.at)
}

func (c *cursor) library(name string, at int) error {
	if err := c.checkLibrary(name, c.scope); err != nil {
		return errAt(c.data, at, "%w; write the pins as texts", err)
	}
	return nil
}

// constant returns the value of a declaration.
func (c *cursor) constant(path []string, at, use int) (value, error) {
	name := strings.Join(path, ".")
	d, err := c.find(path[0], use, c.scope, len(path) > 1)
	for _, member := range path[1:] {
		if err == nil && !d.isClass {
			err = fmt.Errorf("%s is not a constant of this file", name)
		}
		if err == nil {
			d, err = c.member(d, member)
		}
	}
	if errors.Is(err, errUnknownName) {
		err = fmt.Errorf("%s is not a constant of this file", name)
	}
	if err != nil {
		return value{}, errAt(c.data, at, "%w; write the text here, or declare it once with a literal value", err)
	}
	if d.opaque != "" {
		return value{}, errAt(c.data, at, "the value of %s cannot be known: %s", name, d.opaque)
	}
	v, err := c.valueOf(d, name, at)
	if err == nil {
		if err = c.checkOrder(d, use, c.scope, v.kind != kindText); err != nil {
			err = errAt(c.data, at, "%w", err)
		}
	}
	return v, err
}

// valueOf reads the value of a declaration once.
func (c *cursor) valueOf(d *declaration, name string, at int) (value, error) {
	if d.busy {
		return value{}, errAt(c.data, at, "the value of %s depends on itself", name)
	}
	if d.done {
		return d.value, d.err
	}
	d.busy = true
	inner := &cursor{source: c.source, tokens: c.source.tokens, i: d.at, use: -1, scope: d.scope, depth: c.depth}
	d.value, d.err = inner.expression()
	switch {
	case d.err != nil:
	case !c.ends(inner.i) || c.source.sign(inner.i, ")"):
		d.err = inner.fail("this cannot be read, and so the value of %s cannot be known", name)
	case !c.java && c.hasAccessor(inner.i):
		d.err = inner.fail("a property with a getter or setter may have another value than %s is declared with", name)
	case d.value.kind != kindText && !c.isList(d):
		d.err = errAt(c.data, c.source.tokens[d.at].at, "a list under two names cannot be followed; write its texts here")
	case d.value.kind != kindText:
		c.lists = append(c.lists, d)
	}
	d.busy, d.done = false, true
	return d.value, d.err
}
