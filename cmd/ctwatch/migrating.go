package main

import (
	"log/slog"

	"ctwatch/cmd/ctwatch/terminal"
	"ctwatch/store"
)

// writing returns the options of a store that a command opens to write.
func (a *app) writing() store.Options {
	logger := a.logger()
	return store.Options{Logger: logger, Progress: a.migrating(logger)}
}

// migrating returns a function that shows how far the migration of an older database is:
// on a terminal in one line that changes, elsewhere in the log.
func (a *app) migrating(logger *slog.Logger) func(store.Progress) {
	var shown *terminal.Progress
	said := false
	return func(p store.Progress) {
		if shown == nil || shown.Work != p.What {
			shown = terminal.NewProgress(a.Stderr, uint64(p.Total))
			shown.Work, shown.Unit, shown.From = p.What, "rows", uint64(p.Done)
			shown.Line = func(line string) { logger.Info("migrating the database", "progress", line) }
			if p.Done == p.Total {
				return // at once
			}
			if !said {
				logger.Info("the database is of an older version: migrating it; this can be interrupted, and continues at the next start")
				said = true
			}
		}
		shown.Set(uint64(p.Done))
		if p.Done == p.Total {
			shown.Clear()
		}
	}
}
