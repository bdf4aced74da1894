package terminal

import (
	"io"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/width"

	"ctwatch/ctwatch"
)

// A Table is printed with aligned columns. Every cell is made printable: much of
// the text comes from certificates.
//
// On a terminal it is never wider: it drops columns that can be missed, and cuts long
// cells. Elsewhere it cuts nothing, since programs read it.
type Table struct {
	Spare []string // headers of columns that can be missed, the first ones first

	w       io.Writer
	columns int // of the terminal; 0: as wide as it is
	rows    [][]string
}

const (
	columnGap = 2
	// keptWidth is the least width of a column while others can be dropped: a time fits.
	// narrowest is its least width in any case.
	keptWidth, narrowest = 20, 8
	// maxCell bounds a cell, in runes.
	maxCell = 10_000
)

// NewTable returns a table with a header that is as wide as some columns at most; 0 cuts
// nothing.
func NewTable(w io.Writer, columns int, header ...string) *Table {
	t := &Table{w: w, columns: columns}
	t.Row(header...)
	return t
}

// Row adds a row.
func (t *Table) Row(cells ...string) {
	for i, c := range cells {
		cells[i] = ctwatch.Printable(c, maxCell)
	}
	t.rows = append(t.rows, cells)
}

// Flush prints the table.
func (t *Table) Flush() error {
	widths := t.widths()
	if t.columns > 0 {
		for _, name := range t.Spare {
			if total(widths, keptWidth) <= t.columns {
				break
			}
			if i := slices.Index(t.rows[0], name); i >= 0 {
				t.drop(i)
				widths = slices.Delete(widths, i, i+1)
			}
		}
		narrow(widths, t.columns)
	}
	var b strings.Builder
	for _, row := range t.rows {
		line := ""
		for i, c := range row {
			c = cut(c, widths[i])
			if i < len(row)-1 {
				c += strings.Repeat(" ", widths[i]-shownWidth(c)+columnGap)
			}
			line += c
		}
		b.WriteString(line + "\n")
	}
	_, err := io.WriteString(t.w, b.String())
	return err
}

// widths returns how wide each column is.
func (t *Table) widths() (widths []int) {
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], shownWidth(c))
		}
	}
	return widths
}

// drop leaves a column out.
func (t *Table) drop(column int) {
	for i, row := range t.rows {
		if column < len(row) {
			t.rows[i] = slices.Delete(slices.Clone(row), column, column+1)
		}
	}
}

// total is the width of a table whose columns are at most so wide.
func total(widths []int, most int) int {
	n := columnGap * (len(widths) - 1)
	for _, w := range widths {
		n += min(w, most)
	}
	return n
}

// narrow makes the widest columns as narrow as it takes to fit.
func narrow(widths []int, columns int) {
	most := slices.Max(widths)
	for most > narrowest && total(widths, most) > columns {
		most--
	}
	for i := range widths {
		widths[i] = min(widths[i], most)
	}
}

// cut cuts text to a width, and marks that it did.
func cut(s string, most int) string {
	if shownWidth(s) <= most {
		return s
	}
	n := 0
	for i, r := range s {
		if n += runeWidth(r); n > most-1 {
			return s[:i] + "…"
		}
	}
	return s
}

// shownWidth is how many columns of a terminal text takes.
func shownWidth(s string) (n int) {
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

// runeWidth is 2 for the wide characters of East Asia, and 0 for marks that stand on
// others (Unicode Standard Annex #11).
func runeWidth(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case r < 0x1100:
		return 1
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}
