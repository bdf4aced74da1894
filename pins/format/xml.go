package format

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"ctwatch/files"
)

// maxDepth bounds the nesting of elements and property lists. Files of apps have a dozen
// levels.
const maxDepth = 100

// An xmlReader reads XML 1.0 strictly, in one pass and in bounded depth. It supports only
// XML's five predefined entities, so it fetches nothing and expands nothing.
type xmlReader struct {
	dec     *xml.Decoder
	doctype string // the name in the document type that is allowed; "" for none
	err     error  // if the text cannot be decoded
	depth   int
	pos     position // where the last token began
}

func newXMLReader(data []byte, doctype string) *xmlReader {
	text, err := files.Text(data)
	utf16 := files.IsUTF16(data)
	r := &xmlReader{doctype: doctype, err: err}
	r.dec = xml.NewDecoder(bytes.NewReader(text))
	r.dec.CharsetReader = func(label string, in io.Reader) (io.Reader, error) { return charset(label, in, utf16) }
	return r
}

// charset decodes the encodings, besides UTF-8, that expat supports by itself: Android's
// resource compiler reads XML with expat. UTF-16 is already decoded.
func charset(label string, in io.Reader, utf16 bool) (io.Reader, error) {
	last := byte(0xff) // the greatest byte allowed
	switch label := strings.ToLower(label); label {
	case "utf-16", "utf-16le", "utf-16be":
		if !utf16 {
			return nil, fmt.Errorf("the file declares %s but is in another encoding; save it as UTF-8 and declare that", quote(label))
		}
		return in, nil
	case "us-ascii", "ascii":
		last = 0x7f
	case "iso-8859-1", "latin1":
	default:
		return nil, fmt.Errorf("the encoding %s is not supported; save the file as UTF-8", quote(label))
	}
	data, err := io.ReadAll(in)
	if err != nil {
		return nil, err
	}
	text := make([]byte, 0, len(data))
	for _, b := range data {
		if b > last {
			return nil, fmt.Errorf("the byte %#x is not a character of %s, the declared encoding", b, quote(label))
		}
		text = utf8.AppendRune(text, rune(b)) // the bytes are code points of Unicode
	}
	return bytes.NewReader(text), nil
}

// next returns the next token, which is valid until the next call; io.EOF at the end of a
// whole document.
func (r *xmlReader) next() (xml.Token, error) {
	if r.err != nil {
		return nil, fmt.Errorf("not XML: %w", r.err)
	}
	begin := r.dec.InputOffset()
	r.pos.line, r.pos.column = r.dec.InputPos()
	tok, err := r.dec.Token()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return nil, err
		}
		var bad *xml.SyntaxError
		line, column := r.dec.InputPos()
		if errors.As(err, &bad) {
			return nil, position{line, column}.errorf("not XML: %s", plain(brief(bad.Msg)))
		}
		if cause := errors.Unwrap(err); cause != nil { // of charset, which is brief
			return nil, position{line, column}.errorf("not XML: %w", cause)
		}
		return nil, position{line, column}.errorf("not XML: %s", plain(brief(err.Error())))
	}
	switch t := tok.(type) {
	case xml.StartElement:
		if r.depth++; r.depth > maxDepth {
			return nil, r.pos.errorf("elements are nested more than %d deep", maxDepth)
		}
		for i, a := range t.Attr {
			if slices.ContainsFunc(t.Attr[:i], func(b xml.Attr) bool { return a.Name == b.Name }) {
				return nil, r.pos.errorf("the attribute %s occurs twice", quote(a.Name.Local))
			}
		}
	case xml.EndElement:
		r.depth--
	case xml.CharData:
		if r.depth == 0 && len(bytes.TrimSpace(t)) > 0 {
			return nil, r.pos.errorf("text outside the root element")
		}
	case xml.ProcInst:
		if t.Target == "xml" && begin != 0 {
			return nil, r.pos.errorf("the XML declaration is not at the beginning")
		}
	case xml.Directive:
		words := strings.Fields(string(t))
		if r.doctype == "" || len(words) < 2 || words[0] != "DOCTYPE" || words[1] != r.doctype || bytes.ContainsRune(t, '[') {
			return nil, r.pos.errorf("unexpected document type or other declaration")
		}
	}
	return tok, nil
}

// root reads up to the start of the root element.
func (r *xmlReader) root() (xml.StartElement, error) {
	for {
		tok, err := r.next()
		if errors.Is(err, io.EOF) {
			return xml.StartElement{}, r.pos.errorf("not XML: there is no element")
		}
		if err != nil {
			return xml.StartElement{}, err
		}
		if t, ok := tok.(xml.StartElement); ok {
			return t.Copy(), nil
		}
	}
}

// end reads to the end of the document, and fails if more than comments follow the root.
func (r *xmlReader) end() error {
	for {
		tok, err := r.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, ok := tok.(xml.StartElement); ok {
			return r.pos.errorf("a second root element")
		}
	}
}

// children calls each for every element in the current one, and returns at its end. each
// must read its element to the end; r.pos is the element's start.
func (r *xmlReader) children(each func(xml.StartElement) error) error {
	for {
		tok, err := r.next()
		if err != nil {
			return err
		}
		switch t := tok.(type) {
		case xml.EndElement:
			return nil
		case xml.StartElement:
			if err := each(t.Copy()); err != nil {
				return err
			}
		}
	}
}

// skip reads the current element to its end.
func (r *xmlReader) skip() error {
	return r.children(func(xml.StartElement) error { return r.skip() })
}

// text reads the current element to its end, and returns its text. It fails if there are
// elements in it.
func (r *xmlReader) text(name string) (string, error) {
	var b []byte
	for {
		tok, err := r.next()
		if err != nil {
			return "", err
		}
		switch t := tok.(type) {
		case xml.CharData:
			b = append(b, t...)
		case xml.StartElement:
			return "", r.pos.errorf("an element within <%s>, where text belongs", name)
		case xml.EndElement:
			return string(b), nil
		}
	}
}

// attr returns the value of an attribute without a namespace.
func attr(e xml.StartElement, name string) (string, bool) {
	for _, a := range e.Attr {
		if a.Name.Space == "" && a.Name.Local == name {
			return a.Value, true
		}
	}
	return "", false
}

// xmlComment returns lines as a comment. It puts a space between two hyphens, which would
// end the comment, and which every punycode name has.
func xmlComment(lines []string) string {
	var b strings.Builder
	b.WriteString("<!--\n")
	for _, line := range lines {
		for strings.Contains(line, "--") {
			line = strings.ReplaceAll(line, "--", "- -")
		}
		b.WriteString("  " + line + "\n")
	}
	b.WriteString("-->\n")
	return b.String()
}
