// Package terminal prints answers for people and programs: tables that fit, progress, JSON.
package terminal

import (
	"os"

	"golang.org/x/term"
)

// Is reports whether a stream is a terminal.
func Is(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Columns returns how many columns a terminal has; 0 if the stream is not one, or does not
// say.
func Columns(stream any) int {
	f, ok := stream.(*os.File)
	if !ok {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}

// MayColor reports whether the environment allows color (https://no-color.org).
func MayColor(lookupEnv func(string) (string, bool)) bool {
	noColor, _ := lookupEnv("NO_COLOR")
	return noColor == ""
}
