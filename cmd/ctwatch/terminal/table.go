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
//
// It is printed in blocks of some hundred rows: columns of later ones may be wider, and of
// the first block those are dropped that do not fit.
type Table struct {
	Spare []string // headers of columns that can be missed, the first ones first

	w       io.Writer
	columns int // of the terminal; 0: as wide as it is
	rows    [][]string
	begun   bool  // the first block is printed
	widths  []int // of what is printed
	dropped []int // columns, one after the other
	err     error
}

// block is how many rows are printed at once.
const block = 500

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
	if t.rows = append(t.rows, cells); len(t.rows) == block {
		t.print()
	}
}

// Flush prints what is left of the table. Its error may be of any row.
func (t *Table) Flush() error {
	t.print()
	return t.err
}

// print prints a block.
func (t *Table) print() {
	for _, i := range t.dropped {
		t.drop(i)
	}
	t.widen()
	widths := slices.Clone(t.widths)
	if t.columns > 0 {
		for _, name := range t.Spare {
			if t.begun || total(widths, keptWidth) <= t.columns {
				break
			}
			if i := slices.Index(t.rows[0], name); i >= 0 {
				t.drop(i)
				t.dropped = append(t.dropped, i)
				widths, t.widths = slices.Delete(widths, i, i+1), slices.Delete(t.widths, i, i+1)
			}
		}
		narrow(widths, t.columns)
	}
	t.begun = true
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
	t.rows = t.rows[:0]
	if _, err := io.WriteString(t.w, b.String()); t.err == nil {
		t.err = err
	}
}

// widen makes columns as wide as their cells.
func (t *Table) widen() {
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(t.widths) {
				t.widths = append(t.widths, 0)
			}
			t.widths[i] = max(t.widths[i], shownWidth(c))
		}
	}
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
