package format

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// A jsonReader reads a JSON document (RFC 8259) member by member, with offsets, which
// json.Unmarshal does not provide. It rejects duplicate names, since parsers differ in
// which of them they use (RFC 8259 §4).
type jsonReader struct {
	data []byte
	dec  *json.Decoder
}

// readJSON returns a reader of a document, after it has checked the whole syntax.
func readJSON(data []byte) (*jsonReader, error) {
	data, err := readText(data)
	if err != nil {
		return nil, err
	}
	var all json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, errAt(data, int(syntax.Offset)-1, "not JSON: %w", err)
		}
		return nil, errAt(data, 0, "not JSON: %w", err)
	}
	return &jsonReader{data: data, dec: json.NewDecoder(bytes.NewReader(data))}, nil
}

// next returns the offset of the next value or name.
func (r *jsonReader) next() int {
	at := int(r.dec.InputOffset())
	for at < len(r.data) && bytes.IndexByte([]byte(" \t\r\n,:"), r.data[at]) >= 0 {
		at++
	}
	return at
}

// starts reports whether the next value starts with a byte: '{', '[' or '"'.
func (r *jsonReader) starts(c byte) bool {
	at := r.next()
	return at < len(r.data) && r.data[at] == c
}

// object calls visit for each member of an object, to read the member's value. Errors name
// the object by what.
func (r *jsonReader) object(what string, visit func(name string, at int) error) error {
	if !r.starts('{') {
		return errAt(r.data, r.next(), "want an object here: %s", what)
	}
	if _, err := r.dec.Token(); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for r.dec.More() {
		at := r.next()
		t, err := r.dec.Token()
		if err != nil {
			return err
		}
		name, ok := t.(string)
		switch {
		case !ok:
			return errAt(r.data, at, "want a name here")
		case seen[name]:
			return errAt(r.data, at, "%s occurs twice", quote(name))
		}
		seen[name] = true
		if err := visit(name, at); err != nil {
			return err
		}
	}
	_, err := r.dec.Token()
	return err
}

// texts calls visit for each element of an array of texts.
func (r *jsonReader) texts(what string, visit func(text string, at int) error) error {
	if !r.starts('[') {
		return errAt(r.data, r.next(), "want an array here: %s", what)
	}
	if _, err := r.dec.Token(); err != nil {
		return err
	}
	for r.dec.More() {
		at := r.next()
		if !r.starts('"') {
			return errAt(r.data, at, "want a text here: %s", what)
		}
		t, err := r.dec.Token()
		if err != nil {
			return err
		}
		text, _ := t.(string)
		if err := visit(text, at); err != nil {
			return err
		}
	}
	_, err := r.dec.Token()
	return err
}

// skip skips a value of any kind.
func (r *jsonReader) skip() error {
	var any json.RawMessage
	if err := r.dec.Decode(&any); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
