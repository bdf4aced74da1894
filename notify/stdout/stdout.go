// Package stdout writes events to a writer such as standard output, one line each.
package stdout

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/words"
)

// Name is the name of the sender, of which there is at most one.
const Name = "stdout"

// Options says how a Stdout writes.
type Options struct {
	W io.Writer
	// JSON writes each event as the CloudEvent it is, on one line; otherwise a line
	// for a person is written.
	JSON bool
	// Color marks the severity with terminal colors; not in JSON.
	Color bool
}

// A Sender writes events of severity info and above to a writer, one line each.
type Sender struct{ o Options }

// New returns a sender named "stdout".
func New(o Options) *Sender { return &Sender{o} }

// Name implements Sender.
func (*Sender) Name() string { return Name }

// Wants implements Sender: all but debug, and, where people read, events in a digest.
func (s *Sender) Wants(e ctwatch.Event) bool {
	return e.Data.Severity.AtLeast(ctwatch.Info) && (s.o.JSON || !e.Data.InDigest)
}

// Send implements Sender. A write cannot be interrupted: while the other end of a pipe is
// not read, Send waits.
func (s *Sender) Send(_ context.Context, e ctwatch.Event) (retry bool, err error) {
	var line []byte
	if s.o.JSON {
		if line, err = json.Marshal(e); err != nil {
			return false, fmt.Errorf("encoding event %s: %w", e.ID, err)
		}
		line = append(line, '\n')
	} else {
		line = []byte(humanLine(e, s.o.Color) + "\n")
	}
	if _, err := s.o.W.Write(line); err != nil {
		return true, fmt.Errorf("writing to standard output: %w", err)
	}
	return false, nil
}

// humanLine returns an event on one line: time, severity, type, summary, and what it is
// about.
func humanLine(e ctwatch.Event, color bool) string {
	severity := fmt.Sprintf("%-8s", ctwatch.Printable(string(e.Data.Severity), 20))
	if color {
		severity = colorOf(e.Data.Severity) + severity + "\x1b[0m"
	}
	line := fmt.Sprintf("%s %s %s: %s", e.Time.UTC().Format(time.DateTime), severity,
		ctwatch.Printable(string(e.Type), 60), ctwatch.Printable(e.Data.Summary, 1000))
	if about := aboutLine(e); about != "" {
		line += " [" + about + "]"
	}
	return line
}

// aboutLine returns what a person looks for next: the names, verdict and pins of a
// certificate, or the ID of a log.
func aboutLine(e ctwatch.Event) string {
	var parts []string
	if c := e.Data.Certificate; c != nil {
		names, more := words.First(c.Names, 5)
		for i := range names {
			names[i] = ctwatch.ShownName(names[i], 100)
		}
		list := strings.Join(names, ", ")
		if more += c.Omitted["names"]; more > 0 {
			list += fmt.Sprintf(", and %d more", more)
		}
		parts = append(parts, "names "+list)
		if c.Verdict != "" {
			parts = append(parts, "verdict "+string(c.Verdict))
		}
		for _, p := range c.Pins {
			parts = append(parts, fmt.Sprintf("%s %s", p.Role, p.Pin))
		}
		parts = append(parts, "id "+c.ID.String())
	}
	if l := e.Data.Log; l != nil {
		parts = append(parts, "log "+l.ID.String())
	}
	return strings.Join(parts, "; ")
}

func colorOf(s ctwatch.Severity) string {
	switch s {
	case ctwatch.Debug:
		return "\x1b[2m" // dim
	case ctwatch.Info:
		return "\x1b[32m" // green
	case ctwatch.Warning:
		return "\x1b[33m" // yellow
	}
	return "\x1b[1;31m" // bold red
}
