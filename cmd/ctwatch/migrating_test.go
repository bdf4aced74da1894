package main

import (
	"log/slog"
	"strings"
	"testing"

	"ctwatch/store"
)

// TestMigrationIsAnnounced: a migration that takes more than one step is announced once;
// one that is done at once is not.
func TestMigrationIsAnnounced(t *testing.T) {
	var out strings.Builder
	a := &app{environment: environment{Stderr: &out}}
	show := a.migrating(slog.New(slog.NewTextHandler(&out, nil)))
	show(store.Progress{What: "packing", Done: 10, Total: 10})
	if out.String() != "" {
		t.Errorf("what is done at once: %q", out.String())
	}
	for _, what := range []string{"listing", "counting"} {
		for done := int64(10); done <= 30; done += 10 {
			show(store.Progress{What: what, Done: done, Total: 30})
		}
	}
	if n := strings.Count(out.String(), "migrating it"); n != 1 {
		t.Errorf("announced %d times: %q", n, out.String())
	}
}
