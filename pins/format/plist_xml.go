package format

import (
	"bytes"
	"encoding/xml"
	"strconv"
	"strings"
)

// parseXMLPlist reads a property list in XML (Apple's PropertyList-1.0.dtd). Unlike
// libraries, it returns errors with their place in the file.
func parseXMLPlist(data []byte) (*plistValue, error) {
	p := plistXML{xmlReader: newXMLReader(data, "plist")}
	root, err := p.root()
	if err != nil {
		return nil, err
	}
	if root.Name.Local != "plist" {
		return nil, p.pos.errorf("the root element is <%s>, and should be <plist>", plain(brief(root.Name.Local)))
	}
	pos := p.pos
	values, err := p.values("plist")
	if err != nil {
		return nil, err
	}
	if len(values) != 1 {
		return nil, pos.errorf("<plist> holds %d values, and should hold one", len(values))
	}
	return values[0], p.end()
}

type plistXML struct {
	*xmlReader
	count int // of values
}

// each calls f for every element in the current one. Between them only white space and
// comments are allowed.
func (p *plistXML) each(within string, f func(xml.StartElement) error) error {
	for {
		tok, err := p.next()
		if err != nil {
			return err
		}
		switch t := tok.(type) {
		case xml.EndElement:
			return nil
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return p.pos.errorf("text in <%s>, outside a <string> or <key>", within)
			}
		case xml.StartElement:
			if err := f(t.Copy()); err != nil {
				return err
			}
		}
	}
}

// values reads the values of an array.
func (p *plistXML) values(within string) (out []*plistValue, err error) {
	err = p.each(within, func(e xml.StartElement) error {
		v, err := p.value(e)
		out = append(out, v)
		return err
	})
	return out, err
}

// dict reads alternating keys and values.
func (p *plistXML) dict(v *plistValue) error {
	err := p.each("dict", func(e xml.StartElement) error {
		isKey := e.Name.Local == "key"
		switch wantKey := len(v.keys) == len(v.values); {
		case wantKey && !isKey:
			return p.pos.errorf("<%s> without a <key> before it", plain(brief(e.Name.Local)))
		case !wantKey && isKey:
			return p.pos.errorf("<key> where the value of the key %s belongs", quote(v.keys[len(v.keys)-1]))
		case isKey:
			key, err := p.text("key")
			v.keys = append(v.keys, key)
			return err
		}
		value, err := p.value(e)
		v.values = append(v.values, value)
		return err
	})
	if err == nil && len(v.keys) != len(v.values) {
		return v.pos.errorf("the key %s has no value", quote(v.keys[len(v.keys)-1]))
	}
	return err
}

// value reads the current element.
func (p *plistXML) value(e xml.StartElement) (*plistValue, error) {
	if p.count++; p.count > maxValues {
		return nil, p.pos.errorf("more than %d values", maxValues)
	}
	v := &plistValue{pos: p.pos}
	var err error
	switch tag := e.Name.Local; tag {
	case "dict":
		v.kind = plistDict
		err = p.dict(v)
	case "array":
		v.kind = plistArray
		v.values, err = p.values(tag)
	case "string":
		v.kind = plistString
		v.text, err = p.text(tag)
	case "true", "false":
		v.kind, v.yes = plistBool, tag == "true"
		var text string
		if text, err = p.text(tag); err == nil && strings.TrimSpace(text) != "" {
			err = v.pos.errorf("<%s> is not empty", tag)
		}
	case "integer":
		v.kind = plistInteger
		var text string
		if text, err = p.text(tag); err == nil {
			var n int64
			if n, err = strconv.ParseInt(strings.TrimSpace(text), 0, 64); err != nil {
				err = v.pos.errorf("%s is not an integer", quote(text))
			}
			v.yes = n != 0
		}
	case "real", "date", "data":
		_, err = p.text(tag)
	default:
		err = v.pos.errorf("<%s> is not an element of property lists", plain(brief(tag)))
	}
	return v, err
}
