package configs

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"ctwatch/files"
)

// maxDepth bounds the nesting of a file; the schema needs seven levels. The parser is
// recursive and takes time quadratic in the depth.
const maxDepth = 32

// maxTokens bounds the tokens of a file: for some files the parser takes time quadratic in
// their number, too.
const maxTokens = 50_000

// parse returns the only document of a file; nil for an empty file.
func parse(name string, data []byte) (root ast.Node, err error) {
	fail := func(line, column int, format string, args ...any) error {
		return Errors{{File: name, Line: line, Column: column, Msg: fmt.Sprintf(format, args...)}}
	}
	if len(data) > maxFile {
		return nil, fail(0, 0, "is larger than %d bytes; want a configuration file (long lists of domains belong in watch_files)", maxFile)
	}
	if data, err = files.Text(data); err != nil {
		return nil, fail(0, 0, "cannot be read: %v", err)
	}
	if line, column := invalidText(data); line > 0 {
		return nil, fail(line, column, "not readable as text; want UTF-8 without control characters")
	}
	// The parser may panic on hostile text. A bad file must not end a daemon that reloads
	// it.
	defer func() {
		if r := recover(); r != nil {
			root, err = nil, fail(0, 0, "cannot be parsed: %v; want YAML", r)
		}
	}()
	tokens := lexer.Tokenize(string(data))
	if len(tokens) > maxTokens {
		p := tokens[maxTokens].Position
		return nil, fail(p.Line, p.Column, "more than %d words and signs come before this; want long lists of domains in watch_files", maxTokens)
	}
	if tk, wrong := refused(tokens); tk != nil {
		return nil, fail(tk.Position.Line, tk.Position.Column, "%s", wrong)
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var ye yaml.Error
		if !errors.As(err, &ye) || ye.GetToken() == nil {
			return nil, fail(0, 0, "cannot be parsed: %v; want YAML", err)
		}
		p := ye.GetToken().Position
		return nil, fail(p.Line, p.Column, "%s; want YAML%s", ye.GetMessage(), syntaxHint(ye.GetToken()))
	}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if root != nil {
			p := nodePlace(doc.Body)
			return nil, fail(p.line, p.column, "a second document; want one document per file")
		}
		root = doc.Body
	}
	return root, nil
}

// syntaxHint returns a hint for a likely mistake: an unquoted ${NAME} within braces.
func syntaxHint(tk *token.Token) string {
	for t, n := tk, 0; t != nil && n < 4; t, n = t.Prev, n+1 {
		if strings.Contains(t.Value, "$") {
			return " (within braces, write \"${NAME}\" in quotes)"
		}
	}
	return ""
}

// invalidText returns the place of the first byte that is not part of a text file, as line
// and column from 1; 0 if there is none.
func invalidText(data []byte) (line, column int) {
	line, column = 1, 1
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		switch {
		case r == utf8.RuneError && n == 1, r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0x7f, r == '\ufeff':
			return line, column
		case r == '\n':
			line, column = line+1, 0
		}
		column++
		data = data[n:]
	}
	return 0, 0
}

// refused returns the first token that the parser must not get, and what is wrong with it:
// a tag, an anchor, an alias, a merge key, or a token that is nested too deep. In block
// style each level takes a column, or an indicator on the same line, so it is enough to
// bound brackets, columns of indicators, and runs of indicators.
func refused(tokens token.Tokens) (*token.Token, string) {
	const wrong = "nested too deep; want the settings of the example file"
	brackets, run, line := 0, 0, 0
	for _, tk := range tokens {
		if brackets == 0 && tk.Position.Line != line {
			run, line = 0, tk.Position.Line
		}
		switch tk.Type {
		case token.TagType:
			return tk, "a tag; want plain YAML without tags (quote a value that begins with \"!\")"
		case token.MergeKeyType:
			return tk, "a merge key; want the settings written out"
		case token.AnchorType, token.AliasType:
			return tk, "an anchor or alias; want the value written out (quote a value that begins with \"*\" or \"&\")"
		case token.MappingStartType, token.SequenceStartType:
			brackets++
			run = 0
		case token.MappingEndType, token.SequenceEndType:
			brackets--
			run = 0
		case token.CollectEntryType:
			run = 0
		case token.SequenceEntryType, token.MappingKeyType, token.MappingValueType:
			run++
			if tk.Position.IndentNum > 8*maxDepth {
				return tk, wrong
			}
		}
		if brackets > maxDepth || run > maxDepth {
			return tk, wrong
		}
	}
	return nil, ""
}

// scalarText returns the text of a scalar, so that the version 5.10 is not the number 5.1.
func scalarText(n ast.Node) (text string, quoted, ok bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		t := n.GetToken().Type
		return n.Value, t == token.SingleQuoteType || t == token.DoubleQuoteType, true
	case *ast.LiteralNode:
		return n.Value.Value, true, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, false, true
	}
	return "", false, false
}

// placeOf returns the place of a setting: that of its value, or of its key if the value has
// several lines or is absent.
func placeOf(n ast.Node, key place) place {
	switch n.(type) {
	case *ast.NullNode, *ast.SequenceNode, ast.MapNode:
		return key
	}
	return nodePlace(n)
}

// nodePlace returns the place where a value begins.
func nodePlace(n ast.Node) place {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		n = m.Values[0].Key // the node's own token is the colon
	}
	p := n.GetToken().Position
	return place{p.Line, p.Column}
}

// describe returns what a node is, for an error.
func describe(n ast.Node) string {
	switch n.(type) {
	case *ast.SequenceNode:
		return "a list"
	case ast.MapNode:
		return "a mapping"
	case *ast.NullNode:
		return "empty"
	case ast.ScalarNode:
		return "a single value"
	}
	return "something else"
}
