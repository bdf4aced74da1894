package main

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"ctwatch/cmd/ctwatch/terminal"
	"ctwatch/store"
)

// writing returns the options of a store that a command opens to write.
func (a *app) writing() store.Options {
	logger := a.logger()
	return store.Options{Logger: logger, Progress: working(a.Stderr, logger, time.Now)}
}

// working returns a function that shows how far long work on the database is, such as the
// migration of an older one: on w, if that is a terminal, in one line that changes, and
// elsewhere in the log. The log has a line at the end, too. Work of less than two seconds
// shows nothing.
func working(w io.Writer, logger *slog.Logger, now func() time.Time) func(store.Progress) {
	var shown *terminal.Progress
	said := false
	return func(p store.Progress) {
		subject, work := "working on the database", p.What
		if p.Steps > 0 {
			subject, work = "migrating the database", fmt.Sprintf("step %d of %d: %s", p.Step, p.Steps, p.What)
		}
		if shown == nil || shown.Work != work {
			shown = terminal.NewProgress(w, uint64(p.Total), now)
			shown.Work, shown.Unit, shown.From = work, "rows", uint64(p.Done)
			shown.Line = func(line string) { logger.Info(subject, "progress", line) }
			if p.Done == p.Total {
				shown = nil // done at once
				return
			}
			if p.Steps > 0 && !said {
				logger.Info("the database is of an older version: migrating it; this can be interrupted, and continues at the next start")
				said = true
			}
		}
		if p.Done < p.Total {
			shown.Set(uint64(p.Done))
			return
		}
		shown.Clear()
		if took, long := shown.Took(); long {
			logger.Info(subject, "done", work, "rows", p.Total, "took", took.Round(100*time.Millisecond).String())
		}
		shown = nil
	}
}
