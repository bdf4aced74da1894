package terminal

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"
)

// A Progress shows how far long work has come and how long it still takes: on a terminal
// in one line that changes, elsewhere in a line every ten seconds. Work of less than two
// seconds shows nothing.
type Progress struct {
	Work string            // what is done, before the numbers; optional
	Unit string            // of the numbers; "entries" by default
	Note string            // after the numbers; optional
	From uint64            // what was done when it started, earlier
	Line func(line string) // writes a line where there is no terminal; optional

	w        io.Writer
	now      func() time.Time
	total    uint64
	done     uint64
	started  time.Time
	shown    time.Time
	width    int // of the text on the terminal's line
	terminal bool
}

// NewProgress returns the progress of work of some size, which starts now, by a clock.
func NewProgress(w io.Writer, total uint64, now func() time.Time) *Progress {
	at := now()
	return &Progress{w: w, now: now, total: total, started: at, shown: at, terminal: Is(w)}
}

// Took returns how long the work has taken so far, and whether that is long enough to be
// shown.
func (p *Progress) Took() (d time.Duration, long bool) {
	d = p.now().Sub(p.started)
	return d, d >= 2*time.Second
}

// Set shows how much is done, if it is time to.
func (p *Progress) Set(done uint64) {
	p.done = done
	now := p.now()
	every := 10 * time.Second
	if p.terminal {
		every = 200 * time.Millisecond
	}
	if _, long := p.Took(); !long || now.Sub(p.shown) < every {
		return
	}
	p.shown = now
	s := p.line(now.Sub(p.started))
	switch {
	case p.terminal:
	case p.Line != nil:
		p.Line(s)
		return
	default:
		fmt.Fprintln(p.w, s)
		return
	}
	fmt.Fprintf(p.w, "\r%s%s", s, strings.Repeat(" ", max(0, p.width-len(s))))
	p.width = len(s)
}

// line says how far it is, how fast it goes and when it will be done.
func (p *Progress) line(elapsed time.Duration) string {
	rate := float64(p.done-p.From) / elapsed.Seconds()
	left := "unknown"
	if rate > 0 {
		left = time.Duration(float64(p.total-p.done) / rate * float64(time.Second)).Round(time.Second).String()
	}
	work := p.Work
	if work != "" {
		work += ": "
	}
	note := p.Note
	if note != "" {
		note = "; " + note
	}
	return fmt.Sprintf("%s%d of %d %s (%.0f %%), %.0f/s, %s left%s", work, p.done, p.total, cmp.Or(p.Unit, "entries"), 100*float64(p.done)/float64(max(p.total, 1)), rate, left, note)
}

// Clear empties the terminal's line, so that another can be written.
func (p *Progress) Clear() {
	if p.width > 0 {
		fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", p.width))
		p.width = 0
	}
}
