package main

import (
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ctwatch/store"
)

// TestMigrationIsAnnounced: a migration that takes more than one transaction is announced
// once, with the number of each step; one that is done at once is not.
func TestMigrationIsAnnounced(t *testing.T) {
	var out strings.Builder
	now := time.Unix(0, 0)
	show := working(io.Discard, slog.New(slog.NewTextHandler(&out, nil)), func() time.Time { return now })
	show(store.Progress{What: "packing", Step: 1, Steps: 3, Done: 10, Total: 10})
	if out.String() != "" {
		t.Errorf("what is done at once: %q", out.String())
	}
	for i, what := range []string{"listing", "counting"} {
		for done := int64(10); done <= 30; done += 10 {
			show(store.Progress{What: what, Step: 2 + i, Steps: 3, Done: done, Total: 30})
			now = now.Add(11 * time.Second)
		}
	}
	if n := strings.Count(out.String(), "migrating it"); n != 1 {
		t.Errorf("announced %d times: %q", n, out.String())
	}
	for _, want := range []string{
		"step 2 of 3: listing: 20 of 30 rows (67 %), 1/s, 11s left", `done="step 2 of 3: listing" rows=30 took=22s`,
		"step 3 of 3: counting: 20 of 30 rows (67 %), 1/s, 11s left", `done="step 3 of 3: counting" rows=30 took=22s`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %q", want, out.String())
		}
	}
}

// TestLongWorkIsLogged: work that lasts is in the log once in ten seconds and at its end,
// and work of less than two seconds is not, each time that it is done.
func TestLongWorkIsLogged(t *testing.T) {
	var out strings.Builder
	now := time.Unix(0, 0)
	show := working(io.Discard, slog.New(slog.NewTextHandler(&out, nil)), func() time.Time { return now })
	judge := func(pause time.Duration) int {
		out.Reset()
		for done := range int64(61) {
			show(store.Progress{What: "judging", Done: 1 + done, Total: 61})
			now = now.Add(pause)
		}
		return strings.Count(out.String(), "\n")
	}
	for range 2 {
		if n := judge(time.Second); n != 6 || !strings.Contains(out.String(), `msg="working on the database" done=judging rows=61 took=1m0s`) {
			t.Errorf("%d lines in a minute: %s", n, out.String())
		}
		if n := judge(time.Millisecond); n != 0 {
			t.Errorf("of short work: %s", out.String())
		}
	}
}
