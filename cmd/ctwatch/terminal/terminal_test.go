package terminal

import (
	"bytes"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"
)

// TestNoColorOnlyIfNotEmpty: NO_COLOR counts if it is not empty (no-color.org).
func TestNoColorOnlyIfNotEmpty(t *testing.T) {
	for value, want := range map[string]bool{"": true, "1": false} {
		if got := MayColor(func(string) (string, bool) { return value, true }); got != want {
			t.Errorf("NO_COLOR=%q: %v", value, got)
		}
	}
}

// TestArrayComesAsItsElements: an array is printed as its elements come; none is [], and
// what fails ends it.
func TestArrayComesAsItsElements(t *testing.T) {
	broken := errors.New("broken")
	seq := func(fail bool, values ...string) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			for _, v := range values {
				if !yield(v, nil) {
					return
				}
			}
			if fail {
				yield("", broken)
			}
		}
	}
	for want, s := range map[string]iter.Seq2[string, error]{"[]\n": seq(false), "[\n\"a\",\n\"<b>\"\n]\n": seq(false, "a", "<b>")} {
		var out bytes.Buffer
		if err := PrintArray(&out, s); err != nil || out.String() != want {
			t.Errorf("%q, %v; want %q", out.String(), err, want)
		}
	}
	if err := PrintArray(&bytes.Buffer{}, seq(true, "a")); !errors.Is(err, broken) {
		t.Errorf("%v, want %v", err, broken)
	}
}

// TestParagraphIsNarrow: no line of a paragraph is wider than 80 columns, unless a word is,
// and no word is lost.
func TestParagraphIsNarrow(t *testing.T) {
	long := strings.Repeat("x", 100)
	text := strings.Repeat("word ", 40) + long + " end"
	got := Paragraph(text)
	for _, line := range strings.Split(got, "\n") {
		if len(line) > 80 && line != long {
			t.Errorf("a line of %d columns: %q", len(line), line)
		}
	}
	if strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(text), " ") {
		t.Errorf("words are lost: %q", got)
	}
}

// TestProgressSaysWhatIsLeft: the line has how far, how fast and how long still.
func TestProgressSaysWhatIsLeft(t *testing.T) {
	for want, p := range map[string]Progress{
		"250 of 1000 entries (25 %), 50/s, 15s left":                  {done: 250, total: 1000},
		"0 of 0 entries (0 %), 0/s, unknown left":                     {},
		"1 of 4 entries (25 %), 0/s, 15s left; limited by --max-rate": {done: 1, total: 4, Note: "limited by --max-rate"},
		"indexing names: 300 of 400 rows (75 %), 20/s, 5s left":       {Work: "indexing names", Unit: "rows", From: 200, done: 300, total: 400},
	} {
		if got := p.line(5 * time.Second); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
