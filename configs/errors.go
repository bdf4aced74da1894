package configs

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ctwatch/ctwatch"
)

// maxErrors bounds how many mistakes of one file are reported.
const maxErrors = 50

// An Error is one mistake in a configuration file.
type Error struct {
	File         string // as it was given; "" for the built-in defaults
	Line, Column int    // from 1; 0 for a mistake without a place
	Msg          string // what is wrong; what is wanted
	Err          error  // the cause; may be nil, and is not printed
}

// Error writes "FILE:LINE:COLUMN: what is wrong; what is wanted".
func (e *Error) Error() string {
	file := e.File
	if file == "" {
		file = "built-in configuration"
	}
	if e.Line == 0 {
		return file + ": " + e.Msg
	}
	return fmt.Sprintf("%s:%d:%d: %s", file, e.Line, e.Column, e.Msg)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errors are the mistakes of one file. They print as one line each.
type Errors []*Error

func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the mistakes, for errors.Is and errors.As.
func (es Errors) Unwrap() []error {
	out := make([]error, len(es))
	for i, e := range es {
		out[i] = e
	}
	return out
}

// asError returns the sorted mistakes as an error; nil if there are none.
func (es Errors) asError() error {
	if es = es.Sorted(); len(es) == 0 {
		return nil
	}
	return es
}

// Sorted returns the mistakes in the order of the file, each once, and at most some fifty:
// the last one says how many more there are.
func (es Errors) Sorted() Errors {
	es = slices.Clone(es)
	slices.SortStableFunc(es, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	seen := make(map[string]bool, len(es))
	es = slices.DeleteFunc(es, func(e *Error) bool {
		text := e.Error()
		again := seen[text]
		seen[text] = true
		return again
	})
	if more := len(es) - maxErrors; more > 0 {
		last := *es[maxErrors]
		last.Msg = fmt.Sprintf("%d more mistakes from here on; want none", more)
		es = append(es[:maxErrors:maxErrors], &last)
	}
	return es
}

// A source holds the places and texts of values in a file.
type source struct {
	file string
	// places are those of the settings in the file, by their paths, such as
	// "watch[3].domain": of the key of a list or mapping, of the value of any other.
	places map[string]place
	// written are the texts in the file of values with references to the environment.
	written map[string]written
	// credentials are the directories of systemd's credentials.
	credentials []string

	failed  map[string]bool // paths with a mistake
	tainted map[string]bool // the paths in failed, and those around them
}

type place struct{ line, column int }

// A written value contains ${NAME}. Its value may be secret, so that it is not stored
// where printing a struct would show it.
type written struct {
	text string
	is   func(value string) bool // whether text expands to value
}

// at returns the place of a setting, or of the nearest setting around it.
func (s *source) at(path string) place {
	for path != "" {
		if p, ok := s.places[path]; ok {
			return p
		}
		path = parent(path)
	}
	return place{1, 1}
}

// spoiled reports whether there is a mistake at path, around it or within it, so that
// another one would only repeat it.
func (s *source) spoiled(path string) bool {
	if s.tainted[path] {
		return true
	}
	for path != "" {
		if path = parent(path); s.failed[path] {
			return true
		}
	}
	return false
}

// shown quotes a value for an error: the text of the file, with references to the
// environment.
func (s *source) shown(path, value string) string {
	if s != nil {
		if w, ok := s.written[path]; ok {
			value = w.text
		}
	}
	return quote(value)
}

// parent returns the path of the setting around one; "" for the file.
func parent(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}

// errorf returns an Error about the setting at path.
func (s *source) errorf(path, format string, args ...any) *Error {
	err := fmt.Errorf(path+": "+format, args...)
	e := &Error{Msg: err.Error(), Err: errors.Unwrap(err)}
	if s != nil {
		p := s.at(path)
		e.File, e.Line, e.Column = s.file, p.line, p.column
	}
	return e
}

// Errorf returns an *Error about the setting with a path, such as "watch[3].domain", with
// indexes from 0. The message says what is wrong and, after a semicolon, what is wanted;
// %w wraps the cause, as in fmt.Errorf. If the file does not have the setting, the place is
// that of the nearest setting around it; without a file there is no place.
func (c *Config) Errorf(path, format string, args ...any) error {
	return c.src.errorf(path, format, args...)
}

// Spoiled reports whether Inspect found a mistake in the setting with a path, around it or
// within it, so that another one would only repeat it.
func (c *Config) Spoiled(path string) bool { return c.src != nil && c.src.spoiled(path) }

// Mistakes collects the mistakes that other packages find in a configuration, so that a
// person sees all of them at once.
type Mistakes struct {
	Config *Config // nil if it could not be read

	all   Errors
	paths []string // of the settings with mistakes
}

// At adds a mistake in the setting with a path, unless one about it is known already;
// several, where err joins several. A mistake that names its place itself keeps that
// place. For nil it adds nothing.
func (m *Mistakes) At(err error, path string, args ...any) {
	if err == nil {
		return
	}
	path = fmt.Sprintf(path, args...)
	for _, err := range ctwatch.Joined(err) {
		var placed *Error
		var setting *ctwatch.SettingError
		switch {
		case errors.As(err, &placed):
			m.all = append(m.all, placed)
		case errors.As(err, &setting):
			m.setting(path, setting)
		case !m.Config.Spoiled(path):
			m.paths = append(m.paths, path)
			m.Add(m.Config.Errorf(path, "%w", err))
		}
	}
}

// setting adds a mistake in a setting below the one with a path.
func (m *Mistakes) setting(path string, e *ctwatch.SettingError) {
	if e.Setting != "" {
		path += "." + e.Setting
	}
	if m.Config.src != nil {
		if _, ok := m.Config.src.places[path+"_file"]; ok {
			path += "_file" // a secret's
		}
	}
	if m.Config.Spoiled(path) {
		return
	}
	wrong := e.Wrong
	if e.Value != "" {
		wrong = m.Config.src.shown(path, e.Value) + " " + wrong
	}
	m.paths = append(m.paths, path)
	m.Add(m.Config.Errorf(path, "%s", wrong))
}

// Add adds a mistake, or several, that name their places themselves. For nil it adds
// nothing.
func (m *Mistakes) Add(err error) {
	if err == nil {
		return
	}
	var many Errors
	var one *Error
	switch {
	case errors.As(err, &many):
		m.all = append(m.all, many...)
	case errors.As(err, &one):
		m.all = append(m.all, one)
	default:
		file := ""
		if m.Config != nil {
			file = m.Config.File()
		}
		m.all = append(m.all, &Error{File: file, Msg: err.Error(), Err: err})
	}
}

// Err returns the mistakes as Errors, in the order of the file; nil if there are none.
func (m *Mistakes) Err() error { return m.all.asError() }
