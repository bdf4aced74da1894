package ctwatch

import (
	"errors"
	"fmt"
)

// A SettingError is a mistake in a setting of one part of the configuration, such as a
// sender or a log. configs.Mistakes adds the place of the part.
type SettingError struct {
	Setting string // below the part's own, such as "routes[0].channel"; "" for the part as a whole
	Value   string // the value, if that helps to find the mistake; "" leaves it out
	Wrong   string // what is wrong; what is wanted
}

// Error writes "SETTING: VALUE is wrong; want …".
func (e *SettingError) Error() string {
	out := e.Wrong
	if e.Value != "" {
		out = fmt.Sprintf("%.60q %s", e.Value, out)
	}
	if e.Setting != "" {
		out = e.Setting + ": " + out
	}
	return out
}

// Settings collects the mistakes in the settings of one part.
type Settings []error

// Wrong adds a mistake. Value may be "", and then is not shown.
func (s *Settings) Wrong(setting, value, wrong string) {
	*s = append(*s, &SettingError{setting, value, wrong})
}

// Add adds the mistakes in a part of the settings, such as a filter, which is below
// another setting.
func (s *Settings) Add(setting string, err error) {
	for _, e := range Joined(err) {
		var one *SettingError
		if errors.As(e, &one) && setting != "" {
			e = &SettingError{setting + "." + one.Setting, one.Value, one.Wrong}
		}
		*s = append(*s, e)
	}
}

// Joined returns the errors that errors.Join joined, or the error itself; none for nil.
func Joined(err error) []error {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		if list := several.Unwrap(); err.Error() == errors.Join(list...).Error() {
			return list
		}
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// Err returns all mistakes as one error; nil if there are none.
func (s Settings) Err() error { return errors.Join(s...) }
