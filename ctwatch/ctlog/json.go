package ctlog

import (
	"bytes"
	"encoding/json"
	"errors"
)

// Most of what an RFC 6962 log sends are replies to get-entries, and most of each is never
// needed: extra_data matters only for matches. So the reply is not unmarshaled. Its strings
// are located, and decoded only when an entry is read.

// A span locates the two strings of an entry in a reply, without their quotes.
type span struct{ leafStart, leafEnd, extraStart, extraEnd int }

var errJSON = errors.New("the reply to get-entries is not valid JSON of that form")

// A cursor parses JSON text.
type cursor struct {
	b []byte
	i int
}

// findEntries finds the entries of a reply to get-entries:
//
//	{"entries": [{"leaf_input": "base64", "extra_data": "base64"}, …]}
//
// Other members are skipped. It appends to spans, and more than most are an error.
func findEntries(b []byte, spans []span, most uint64) ([]span, error) {
	c := &cursor{b: b}
	found := false
	err := c.object(func(key []byte) error {
		if string(key) != "entries" {
			return c.skip(0)
		}
		if found {
			return errJSON // ambiguous
		}
		found = true
		return c.array(func() error {
			s := span{leafStart: -1, extraStart: -1}
			if uint64(len(spans)) == most {
				return errTooMany
			}
			err := c.object(func(key []byte) (err error) {
				switch string(key) {
				case "leaf_input":
					s.leafStart, s.leafEnd, err = c.str()
				case "extra_data":
					s.extraStart, s.extraEnd, err = c.str()
				default:
					err = c.skip(0)
				}
				return err
			})
			if err == nil && s.leafStart < 0 {
				err = errJSON
			}
			spans = append(spans, s)
			return err
		})
	})
	if err == nil && (!found || c.next() != 0) {
		err = errJSON
	}
	return spans, err
}

var errTooMany = errors.New("the log gave more entries than were requested")

// next skips white space and returns the next byte without taking it; 0 at the end.
func (c *cursor) next() byte {
	for c.i < len(c.b) {
		switch ch := c.b[c.i]; ch {
		case ' ', '\t', '\r', '\n':
			c.i++
		default:
			return ch
		}
	}
	return 0
}

// take takes a byte if it is next.
func (c *cursor) take(ch byte) bool {
	if c.next() != ch {
		return false
	}
	c.i++
	return true
}

// object parses an object. It calls value with each key; value must take the key's value.
func (c *cursor) object(value func(key []byte) error) error {
	if !c.take('{') {
		return errJSON
	}
	if c.take('}') {
		return nil
	}
	for {
		c.next()
		start, end, err := c.str()
		if err != nil {
			return err
		}
		if !c.take(':') {
			return errJSON
		}
		if err := value(c.b[start:end]); err != nil {
			return err
		}
		if c.take('}') {
			return nil
		}
		if !c.take(',') {
			return errJSON
		}
	}
}

// array parses an array. It calls element for each element, which must take it.
func (c *cursor) array(element func() error) error {
	if !c.take('[') {
		return errJSON
	}
	if c.take(']') {
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		if c.take(']') {
			return nil
		}
		if !c.take(',') {
			return errJSON
		}
	}
}

// str takes a string and returns its position. Escapes are kept.
func (c *cursor) str() (start, end int, err error) {
	if !c.take('"') {
		return 0, 0, errJSON
	}
	start = c.i
	for {
		n := bytes.IndexByte(c.b[c.i:], '"')
		if n < 0 {
			return 0, 0, errJSON
		}
		end = c.i + n
		c.i = end + 1
		if !escaped(c.b[start:end]) {
			return start, end, nil
		}
	}
}

// escaped reports whether a quote after b is escaped: by an odd number of backslashes.
func escaped(b []byte) bool {
	n := 0
	for n < len(b) && b[len(b)-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}

// maxDepth bounds the nesting of values that are skipped.
const maxDepth = 16

// skip takes any value.
func (c *cursor) skip(depth int) error {
	if depth > maxDepth {
		return errJSON
	}
	switch c.next() {
	case '{':
		return c.object(func([]byte) error { return c.skip(depth + 1) })
	case '[':
		return c.array(func() error { return c.skip(depth + 1) })
	case '"':
		_, _, err := c.str()
		return err
	}
	start := c.i
	for c.i < len(c.b) && bytes.IndexByte([]byte(",]} \t\r\n"), c.b[c.i]) < 0 {
		c.i++
	}
	if !json.Valid(c.b[start:c.i]) { // a number, true, false or null
		return errJSON
	}
	return nil
}

// plain returns a string without escapes. In base64, some encoders write "/" as "\/".
func plain(b []byte) ([]byte, error) {
	if bytes.IndexByte(b, '\\') < 0 {
		return b, nil
	}
	var s string
	quoted := append(append([]byte{'"'}, b...), '"')
	if err := json.Unmarshal(quoted, &s); err != nil {
		return nil, errJSON
	}
	return []byte(s), nil
}
