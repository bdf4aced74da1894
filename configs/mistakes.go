package configs

import (
	"errors"
	"fmt"

	"ctwatch/ctwatch"
)

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
