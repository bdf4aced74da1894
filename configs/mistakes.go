package configs

import (
	"errors"
	"fmt"
)

// Mistakes collects the mistakes that other packages find in a configuration, so that a
// person sees all of them at once.
type Mistakes struct {
	Config *Config // nil if it could not be read

	all Errors
}

// At adds a mistake in the setting with a path, unless one about it is known already;
// several, where err joins several. A mistake that names its place itself keeps that
// place. For nil it adds nothing.
func (m *Mistakes) At(err error, path string, args ...any) {
	if err == nil {
		return
	}
	path = fmt.Sprintf(path, args...)
	for _, err := range joined(err) {
		var placed *Error
		var setting interface {
			At() (setting, value, wrong string)
		}
		switch {
		case errors.As(err, &placed):
			m.all = append(m.all, placed)
		case errors.As(err, &setting):
			m.setting(path, setting)
		case !m.Config.Spoiled(path):
			m.Add(m.Config.Errorf(path, "%w", err))
		}
	}
}

// setting adds a mistake in a setting below the one with a path.
func (m *Mistakes) setting(path string, at interface {
	At() (setting, value, wrong string)
},
) {
	sub, value, wrong := at.At()
	if sub != "" {
		path += "." + sub
	}
	if m.Config.src != nil {
		if _, ok := m.Config.src.places[path+"_file"]; ok {
			path += "_file" // a secret's
		}
	}
	if m.Config.Spoiled(path) {
		return
	}
	if value != "" {
		wrong = m.Config.src.shown(path, value) + " " + wrong
	}
	m.Add(m.Config.Errorf(path, "%s", wrong))
}

// joined returns the errors that errors.Join joined, of which each is one line, or the
// error itself.
func joined(err error) []error {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		if list := several.Unwrap(); err.Error() == errors.Join(list...).Error() {
			return list
		}
	}
	return []error{err}
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
