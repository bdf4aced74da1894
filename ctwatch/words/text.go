package words

import (
	"fmt"
	"strings"
	"time"
)

// Plural returns the form of a word that goes with a number: one for 1, many otherwise.
func Plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// Count writes a number of things: "1 key", "2 keys".
func Count(n int, thing string) string {
	return fmt.Sprintf("%d %s", n, Plural(n, thing, thing+"s"))
}

// List joins words: "a", "a and b", "a, b and c".
func List(words []string) string {
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
	return strings.Join(words, "")
}

// Short lists the first words, at most so many, and counts the others: "a, b +3".
func Short(words []string, most int) string {
	if len(words) <= most {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s +%d", strings.Join(words[:most], ", "), len(words)-most)
}

// few lists at most three values, and how many more there are.
func few[T fmt.Stringer](values []T) string { return List(some(values)) }

func some[T fmt.Stringer](values []T) (out []string) {
	const most = 3
	for _, v := range values[:min(most, len(values))] {
		out = append(out, v.String())
	}
	if n := len(values) - most; n > 0 {
		out = append(out, fmt.Sprintf("%d more", n))
	}
	return out
}

// First returns a copy of the first names, at most n, and how many are left out.
func First(names []string, n int) (first []string, more int) {
	n = min(n, len(names))
	return append(first, names[:n]...), len(names) - n
}

// Day writes a date, in UTC.
func Day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// span writes a length of time, in days if it is some.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= day && d%day == 0 {
		return Count(int(d/day), "day")
	}
	return d.String()
}

// ShortID returns the first digits of a certificate's ID, enough to name it in a command.
func ShortID(id string) string { return id[:min(16, len(id))] }

// versions names versions of an app: "version 5.2", "versions 5.2 and 5.1".
func versions(names []string) string {
	return Plural(len(names), "version ", "versions ") + List(names)
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
