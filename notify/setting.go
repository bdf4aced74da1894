package notify

import (
	"errors"
	"fmt"
)

// A SettingError is a mistake in one setting of a sender.
type SettingError struct {
	Setting string // below the sender's own, such as "routes[0].channel"; "" for the sender as a whole
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

// At returns the parts of the error, for a reader of configurations that knows where the
// sender's settings stand.
func (e *SettingError) At() (setting, value, wrong string) { return e.Setting, e.Value, e.Wrong }

// Settings collects the mistakes in a sender's settings.
type Settings []error

// Wrong adds a mistake. Value may be "", and then is not shown.
func (s *Settings) Wrong(setting, value, wrong string) {
	*s = append(*s, &SettingError{setting, value, wrong})
}

// Add adds the mistakes in a part of the settings, such as a filter, which stands below
// another setting.
func (s *Settings) Add(setting string, err error) {
	for _, e := range joined(err) {
		var one *SettingError
		if errors.As(e, &one) && setting != "" {
			e = &SettingError{setting + "." + one.Setting, one.Value, one.Wrong}
		}
		*s = append(*s, e)
	}
}

func joined(err error) []error {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		return several.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// Err returns all mistakes as one error; nil if there are none.
func (s Settings) Err() error { return errors.Join(s...) }
