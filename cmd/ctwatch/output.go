package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"ctwatch/ctwatch"
)

// printJSON writes one indented document.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.Stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// printLine writes one object on one line.
func printLine(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printArray writes a JSON array with an element on each line, as the elements
// come, so that even a long one takes no memory.
func printArray[T any](w io.Writer, elements iter.Seq2[T, error]) error {
	before := "[\n"
	for v, err := range elements {
		if err != nil {
			return err
		}
		var line bytes.Buffer
		if err := printLine(&line, v); err != nil {
			return err
		}
		if _, err := fmt.Fprint(w, before, strings.TrimSuffix(line.String(), "\n")); err != nil {
			return err
		}
		before = ",\n"
	}
	end := "\n]\n"
	if before == "[\n" { // nothing came
		end = "[]\n"
	}
	_, err := io.WriteString(w, end)
	return err
}

// joined lists values, with commas.
func joined[T fmt.Stringer](list []T) string {
	var out []string
	for _, v := range list {
		out = append(out, v.String())
	}
	return strings.Join(out, ", ")
}

// paragraph makes text printable and breaks it into lines of at most 80 columns.
func paragraph(s string) string {
	var b strings.Builder
	column := 0
	for i, word := range strings.Fields(ctwatch.Printable(s, 4000)) {
		switch n := len([]rune(word)); {
		case i == 0:
			column = n
		case column+1+n > 80:
			b.WriteByte('\n')
			column = n
		default:
			b.WriteByte(' ')
			column += 1 + n
		}
		b.WriteString(word)
	}
	return b.String()
}

// day writes a date; "" for an unknown one.
func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

// moment writes a time to the second; "" for an unknown one.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// ago parses a point in time: a date, an RFC 3339 time, or how long ago it was.
func ago(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(-d), nil
	}
	return time.Time{}, usagef("time %q: want a date such as 2026-11-01, an RFC 3339 time, or how long ago, such as 24h", s)
}
