package terminal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"ctwatch/ctwatch"
)

// PrintJSON writes one indented document.
func PrintJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// PrintLine writes one object on one line.
func PrintLine(w io.Writer, v any) error {
	if a, ok := v.(interface{ AppendJSON([]byte) ([]byte, error) }); ok {
		b, err := a.AppendJSON(make([]byte, 0, 2<<10))
		if err != nil {
			return err
		}
		_, err = w.Write(append(b, '\n'))
		return err
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// PrintArray writes a JSON array with an element on each line, as the elements
// come, so that even a long one takes no memory.
func PrintArray[T any](to io.Writer, elements iter.Seq2[T, error]) (err error) {
	w := bufio.NewWriterSize(to, 64<<10)
	defer func() { err = errors.Join(err, w.Flush()) }()
	before := "[\n"
	var line bytes.Buffer
	for v, err := range elements {
		if err != nil {
			return err
		}
		line.Reset()
		line.WriteString(before)
		if err := PrintLine(&line, v); err != nil {
			return err
		}
		if _, err := w.Write(bytes.TrimSuffix(line.Bytes(), []byte("\n"))); err != nil {
			return err
		}
		before = ",\n"
	}
	end := "\n]\n"
	if before == "[\n" { // nothing came
		end = "[]\n"
	}
	_, err = io.WriteString(w, end)
	return err
}

// List lists values, with commas.
func List[T fmt.Stringer](list []T) string {
	var out []string
	for _, v := range list {
		out = append(out, v.String())
	}
	return strings.Join(out, ", ")
}

// Paragraph makes text printable and breaks it into lines of at most 80 columns.
func Paragraph(s string) string {
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

// Day writes a date; "" for an unknown one.
func Day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

// Moment writes a time to the second; "" for an unknown one.
func Moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}
