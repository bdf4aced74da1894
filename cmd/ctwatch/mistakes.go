package main

import (
	"errors"
	"fmt"

	"ctwatch/configs"
)

// mistakes collects what is wrong with a configuration, so that a person sees all of it
// at once.
type mistakes struct {
	cfg *configs.Config
	all configs.Errors
}

// at adds a mistake about the setting with a path, unless there is one about it already;
// several, where err joins several. None is added for nil.
func (m *mistakes) at(err error, path string, args ...any) {
	if err == nil {
		return
	}
	path = fmt.Sprintf(path, args...)
	if m.cfg.Spoiled(path) {
		return
	}
	for _, err := range joined(err) {
		m.add(m.cfg.Errorf(path, "%w", err))
	}
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

// add adds a mistake, or several, that name their places themselves. None is added for
// nil.
func (m *mistakes) add(err error) {
	if err == nil {
		return
	}
	var many configs.Errors
	var one *configs.Error
	switch {
	case errors.As(err, &many):
		m.all = append(m.all, many...)
	case errors.As(err, &one):
		m.all = append(m.all, one)
	default:
		file := ""
		if m.cfg != nil {
			file = m.cfg.File()
		}
		m.all = append(m.all, &configs.Error{File: file, Msg: err.Error(), Err: err})
	}
}

// err returns the mistakes in the order of the file; nil if there are none.
func (m *mistakes) err() error {
	if len(m.all) == 0 {
		return nil
	}
	return &usageError{m.all.Sorted()}
}
