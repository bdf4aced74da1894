package format

import "slices"

// Bounds of a file, far above those of any app.
const (
	maxText = 512     // bytes of a text
	maxList = 1024    // texts of one list
	maxPins = 1 << 14 // pins in a file
	maxWild = 1 << 20 // pins of patterns × hosts
)

// A pinnerAdd is a call of CertificatePinner.Builder.add.
type pinnerAdd struct {
	pattern located
	pins    []located
}

// A pinner is a chain CertificatePinner.Builder().add(…)….build().
type pinner struct {
	index int // of its first token
	adds  []pinnerAdd
	hosts []hostPins
}

// pinners returns the pinners with pins, at least one.
func (s *source) pinners() ([]pinner, error) {
	chains, err := s.checkPinnerClass()
	if err != nil {
		return nil, err
	}
	var all []pinner
	var empty []int
	count := 0
	for _, i := range chains {
		p, err := s.pinner(i)
		if err != nil {
			return nil, err
		}
		for _, a := range p.adds {
			count += len(a.pins)
		}
		if count > maxPins {
			return nil, s.fail(i, "there are more than %d pins", maxPins)
		}
		if len(p.adds) > 0 {
			all = append(all, p)
		} else {
			empty = append(empty, p.index)
		}
	}
	if len(all) == 0 {
		return nil, s.fail(chains[0], "no pins are added, and nothing would be pinned")
	}
	if err := s.checkLists(); err != nil {
		return nil, err
	}
	return all, s.checkClients(empty)
}

// pinner reads the chain whose "Builder" is at an index.
func (s *source) pinner(i int) (pinner, error) {
	p := pinner{index: s.callStart(i)}
	if err := s.spend(0); err != nil {
		return p, s.fail(i, "%w", err)
	}
	c := &cursor{source: s, tokens: s.tokens, i: i + 1, use: -1}
	if c.at(1, ")") && c.at(2, ".") && s.word(c.i+3, "build") && c.at(4, "(") && c.at(5, ")") {
		return p, nil // it pins nothing
	}
	var err error
	if c.scope, err = s.blockOf(p.index); err != nil {
		return p, err
	}
	if p.adds, err = c.chain(); err != nil {
		return p, err
	}
	if !s.ends(c.i) {
		return p, c.fail("how the file uses the pinner cannot be followed; " + onePinner)
	}
	if s.java {
		return p, nil
	}
	return p, s.checkAccessor(c.i - 1)
}

// chain reads what follows CertificatePinner.Builder.
func (c *cursor) chain() ([]pinnerAdd, error) {
	if !c.at(0, "(") || !c.at(1, ")") {
		return nil, c.fail("a builder that is passed around cannot be followed; " + onePinner)
	}
	c.next()
	c.next()
	var adds []pinnerAdd
	total := 0
	for {
		if !c.accept(".") {
			return nil, c.fail("how the file uses the builder cannot be followed; " + onePinner)
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
			c.next()
			c.next()
			return adds, nil
		default:
			return nil, errAt(c.data, call.at, "only add and build can be read here; "+onePinner)
		}
	}
}

// An argument of add is a text, or in Kotlin a spread array, perhaps with a name.
type argument struct {
	name   string
	spread bool
	value  value
	at     int
}

// add reads the arguments of add.
func (c *cursor) add() (a pinnerAdd, err error) {
	start := c.token().at
	var args []argument
	err = c.list("(", ")", func() (err error) {
		arg := argument{}
		if t := c.token(); !c.java && t.kind == tokenWord && c.at(1, "=") {
			arg.name = t.text
			c.next()
			c.next()
		}
		arg.at = c.token().at
		arg.spread = !c.java && c.accept("*")
		arg.value, err = c.expression()
		if args = append(args, arg); err == nil && len(args) > maxList {
			err = errAt(c.data, arg.at, "there are more than %d pins for one pattern", maxList)
		}
		return err
	})
	if err != nil {
		return a, err
	}
	named := func(name string) bool {
		return slices.ContainsFunc(args, func(a argument) bool { return a.name == name })
	}
	if len(args) == 2 && named("pattern") && named("pins") && args[1].name == "pattern" {
		slices.Reverse(args)
	}
	if len(args) == 0 || args[0].value.kind != kindText || args[0].spread {
		return a, errAt(c.data, start, "the pattern is missing; want a text")
	}
	a.pattern = args[0].value.texts[0]
	for i, arg := range args {
		isArray := arg.value.kind == kindArray
		switch {
		case arg.name != "" && (len(args) != 2 || arg.name != [...]string{"pattern", "pins"}[i]):
			return a, errAt(c.data, arg.at, "named arguments cannot be read; write the pattern, and then its pins, without names")
		case i == 0:
			continue
		case arg.spread && !isArray, arg.value.kind == kindList, !arg.spread && isArray && !c.java && arg.name == "",
			c.java && isArray && len(args) != 2, arg.name != "" && !isArray:
			return a, errAt(c.data, arg.at, "OkHttp's add takes texts, or one array; write the pins as texts")
		}
		a.pins = append(a.pins, arg.value.texts...)
	}
	switch {
	case len(a.pins) == 0:
		return a, errAt(c.data, start, "%s has no pins, and would not be pinned", quote(a.pattern.text))
	case len(a.pins) > maxList:
		return a, errAt(c.data, start, "there are more than %d pins for one pattern", maxList)
	}
	return a, nil
}
