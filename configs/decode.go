package configs

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// A decoder fills a Config from a YAML document, by the tags of its fields. The decoder
// of the YAML library stops at the first mistake and loses the places of values.
//
// A tag is `yaml:"name,option..."`. The options are:
//
//   - short: a single value is short for a mapping with only this setting
//   - path: a file or directory
//   - cred: a file, or the name of a credential
//   - location: a URL or a file
//   - listkey: a file or the name of a known key
//   - auto: a list, or the word "auto" for nil; an empty list is not nil
//   - omitempty: Show leaves an empty value out
//
// A field of type Secret has two settings, NAME and NAME_file.
type decoder struct {
	*source
	env  Env
	dir  string // of the file, absolute as far as known
	errs Errors
}

// fail records a mistake about the setting at path.
func (d *decoder) fail(path, format string, args ...any) {
	if path == "" {
		d.errs = append(d.errs, &Error{File: d.file, Line: 1, Column: 1, Msg: fmt.Sprintf(format, args...)})
		return
	}
	d.errs = append(d.errs, d.errorf(path, format, args...))
	d.taint(path)
}

// taint marks the value at path as wrong, so that it is not checked further.
func (d *decoder) taint(path string) {
	d.failed[path] = true
	for path != "" {
		d.tainted[path] = true
		path = parent(path)
	}
}

// document decodes the file.
func (d *decoder) document(root ast.Node, c *Config) {
	switch root := root.(type) {
	case nil, *ast.NullNode:
	case ast.MapNode:
		d.object("", root, reflect.ValueOf(c).Elem())
	default:
		d.fail("", "the file is %s; want settings, such as \"watch:\"", describe(root))
	}
}

// value decodes a node into v, with the options of the field that v is or is an element
// of. The type of v bounds the depth.
func (d *decoder) value(path string, n ast.Node, v reflect.Value, opts string) {
	t := v.Type()
	_, isNull := n.(*ast.NullNode)
	switch {
	case isLeaf(t):
		if isNull {
			d.fail(path, "has no value; want %s", expected(t))
			return
		}
		d.scalar(path, n, v, opts)
	case isNull && strings.HasSuffix(path, "]"): // an element of a list
		d.fail(path, "has no value; want %s", expected(t))
	case isNull && t.Kind() == reflect.Pointer && isLeaf(t.Elem()):
		d.fail(path, "has no value; want %s", expected(t))
	case isNull: // an empty block, as when all of its lines are commented out
		delete(d.places, path)
	case t.Kind() == reflect.Pointer:
		v.Set(newDefault(t.Elem()))
		d.value(path, n, v.Elem(), opts)
	case t.Kind() == reflect.Struct:
		d.structure(path, n, v)
	case t.Kind() == reflect.Map:
		d.mapping(path, n, v)
	default:
		d.list(path, n, v, opts)
	}
}

// structure decodes a mapping of settings, or its short form.
func (d *decoder) structure(path string, n ast.Node, v reflect.Value) {
	if m, ok := n.(ast.MapNode); ok {
		d.object(path, m, v)
		return
	}
	for _, f := range fieldsOf(v.Type()) {
		if _, ok := n.(ast.ScalarNode); ok && f.has("short") {
			path += "." + f.name
			d.places[path] = nodePlace(n)
			d.scalar(path, n, v.FieldByIndex(f.index), f.opts)
			return
		}
	}
	d.fail(path, "is %s; want %s", describe(n), expected(v.Type()))
}

// object decodes a mapping into a struct.
func (d *decoder) object(path string, m ast.MapNode, v reflect.Value) {
	fields := fieldsOf(v.Type())
	first := map[string]place{}
	for iter := m.MapRange(); iter.Next(); {
		key, at := d.key(iter.Key())
		sub := key
		if path != "" {
			sub = path + "." + key
		}
		if before, ok := first[key]; ok {
			d.failAt(at, "%s: is set twice; want one (the other is on line %d)", sub, before.line)
			continue
		}
		first[key] = at
		f, asFile, ok := find(fields, key)
		if !ok {
			d.failAt(at, "unknown setting %s; want %s", quote(sub), suggest(fields, key))
			d.taint(sub)
			continue
		}
		n := iter.Value()
		d.places[sub] = placeOf(n, at)
		if _, isSecret := v.FieldByIndex(f.index).Interface().(Secret); isSecret {
			other := f.name
			if !asFile {
				other += "_file"
			}
			if _, both := first[other]; both {
				d.fail(sub, "is set together with %s; want one of the two", other)
				continue
			}
			d.secret(sub, n, v.FieldByIndex(f.index), asFile)
			continue
		}
		d.value(sub, n, v.FieldByIndex(f.index), f.opts)
	}
}

// mapping decodes a mapping whose keys are leaves.
func (d *decoder) mapping(path string, n ast.Node, v reflect.Value) {
	m, ok := n.(ast.MapNode)
	if !ok {
		d.fail(path, "is %s; want %s", describe(n), expected(v.Type()))
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for iter := m.MapRange(); iter.Next(); {
		text, at := d.key(iter.Key())
		key := reflect.New(v.Type().Key()).Elem()
		l, _ := leafOf(key)
		if err := l.read(text); err != nil {
			d.failAt(at, "%s[%s]: %s", path, text, l.wrong(text, err))
			continue
		}
		sub := path + "[" + l.text() + "]"
		if v.MapIndex(key).IsValid() {
			d.failAt(at, "%s: is set twice; want one (the other is on line %d)", sub, d.places[sub].line)
			continue
		}
		d.places[sub] = at
		elem := reflect.New(v.Type().Elem()).Elem()
		d.value(sub, iter.Value(), elem, "")
		v.SetMapIndex(key, elem)
	}
}

// list decodes a sequence, which replaces the default.
func (d *decoder) list(path string, n ast.Node, v reflect.Value, opts string) {
	auto := hasOption(opts, "auto")
	if text, _, ok := scalarText(n); ok && auto && text == "auto" {
		v.SetZero()
		return
	}
	seq, ok := n.(*ast.SequenceNode)
	switch {
	case !ok && auto:
		d.fail(path, "is %s; want a list, [] for none, or auto", describe(n))
		return
	case !ok:
		d.fail(path, "is %s; want %s", describe(n), expected(v.Type()))
		return
	}
	v.SetZero() // an empty list is nil, like an absent one
	if auto {
		v.Set(reflect.MakeSlice(v.Type(), 0, len(seq.Values)))
	}
	for i, n := range seq.Values {
		sub := fmt.Sprintf("%s[%d]", path, i)
		d.places[sub] = nodePlace(n)
		elem := newDefault(v.Type().Elem()).Elem()
		d.value(sub, n, elem, opts)
		v.Set(reflect.Append(v, elem))
	}
}

// scalar decodes a single value.
func (d *decoder) scalar(path string, n ast.Node, v reflect.Value, opts string) {
	text, quoted, ok := scalarText(n)
	if !ok {
		d.fail(path, "is %s; want %s", describe(n), expected(v.Type()))
		return
	}
	raw := text
	text, fromEnv, err := d.expand(raw)
	if err != nil {
		d.fail(path, "%s", err)
		return
	}
	l, _ := leafOf(v)
	err = l.read(text)
	if k := v.Kind(); quoted && !fromEnv && (k == reflect.Bool || k == reflect.Int) {
		err = errInvalid
	}
	if err != nil {
		d.fail(path, "%s", l.wrong(raw, err))
		return
	}
	isPath := false
	switch {
	case text == "":
	case hasOption(opts, "path"), hasOption(opts, "cred"):
		isPath = true
	case hasOption(opts, "location"):
		isPath = !strings.Contains(text, "://")
	case hasOption(opts, "listkey"):
		isPath = text != "google"
	}
	if isPath {
		resolved := d.resolve(text, hasOption(opts, "cred"))
		if !filepath.IsAbs(text) && resolved == d.resolve(text, false) {
			raw = escape(d.dir) + "/" + raw // the same file in any directory
		}
		v.SetString(resolved)
	}
	if fromEnv {
		value := l.text()
		d.written[path] = written{raw, func(s string) bool { return s == value }}
	}
}

// key returns a mapping's key and its place.
func (d *decoder) key(k ast.MapKeyNode) (string, place) {
	if text, _, ok := scalarText(k); ok {
		return text, nodePlace(k)
	}
	return k.GetToken().Value, nodePlace(k)
}

// failAt records a mistake at a place.
func (d *decoder) failAt(p place, format string, args ...any) {
	d.errs = append(d.errs, &Error{File: d.file, Line: p.line, Column: p.column, Msg: fmt.Sprintf(format, args...)})
}
