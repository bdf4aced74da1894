package ctwatch

import "errors"

// Errors by which a caller decides.
var (
	// ErrNotFound says that there is no such certificate, key or version of an app.
	ErrNotFound = errors.New("not found")
	// ErrAmbiguous says that several certificates have an ID that begins so.
	ErrAmbiguous = errors.New("ambiguous: give more digits")
)
