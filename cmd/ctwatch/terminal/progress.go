package terminal

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// A Progress shows how far long work has come and how long it still takes: on a terminal
// in one line that changes, elsewhere in a line every ten seconds. Work of less than two
// seconds shows nothing.
type Progress struct {
	w        io.Writer
	total    uint64
	done     uint64
	started  time.Time
	shown    time.Time
	width    int // of the text on the terminal's line
	terminal bool
}

// NewProgress returns the progress of work of some size, which starts now.
func NewProgress(w io.Writer, total uint64) *Progress {
	now := time.Now()
	return &Progress{w: w, total: total, started: now, shown: now, terminal: Is(w)}
}

// Set shows how much is done, if it is time to.
func (p *Progress) Set(done uint64) {
	p.done = done
	now := time.Now()
	every := 10 * time.Second
	if p.terminal {
		every = 200 * time.Millisecond
	}
	if now.Sub(p.started) < 2*time.Second || now.Sub(p.shown) < every {
		return
	}
	p.shown = now
	s := progressLine(done, p.total, now.Sub(p.started))
	if !p.terminal {
		fmt.Fprintln(p.w, s)
		return
	}
	fmt.Fprintf(p.w, "\r%s%s", s, strings.Repeat(" ", max(0, p.width-len(s))))
	p.width = len(s)
}

// progressLine says how far it is, how fast it goes and when it will be done.
func progressLine(done, total uint64, elapsed time.Duration) string {
	rate := float64(done) / elapsed.Seconds()
	left := "unknown"
	if rate > 0 {
		left = time.Duration(float64(total-done) / rate * float64(time.Second)).Round(time.Second).String()
	}
	return fmt.Sprintf("%d of %d entries (%.0f %%), %.0f/s, %s left", done, total, 100*float64(done)/float64(max(total, 1)), rate, left)
}

// Clear empties the terminal's line, so that another can be written.
func (p *Progress) Clear() {
	if p.width > 0 {
		fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", p.width))
		p.width = 0
	}
}
