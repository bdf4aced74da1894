package ctlog_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
	"ctwatch/ctwatch/ctlogtest"
)

// With a budget of one reply, two logs hold at most three replies, and each always gets
// one.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := ctlog.NewBudget(1)
		var logs []ctlog.Log
		for _, kind := range []ctwatch.LogKind{ctwatch.KindRFC6962, ctwatch.KindStatic} {
			l, err := ctlogtest.New(ctlogtest.Options{Kind: kind})
			if err != nil {
				t.Fatal(err)
			}
			pipe := ctlogtest.NewPipe()
			t.Cleanup(l.Serve(pipe))
			if err := l.Fill(300); err != nil {
				t.Fatal(err)
			}
			if _, err := l.Publish(); err != nil {
				t.Fatal(err)
			}
			tr := &http.Transport{DialContext: pipe.Dial}
			t.Cleanup(tr.CloseIdleConnections)
			log, err := ctlog.Open(l.Info(), ctlog.Options{Client: &http.Client{Transport: tr}, Logger: slog.New(slog.DiscardHandler), Budget: budget})
			if err != nil {
				t.Fatal(err)
			}
			logs = append(logs, log)
		}
		fetch := func(log ctlog.Log) (*ctlog.Chunk, error) {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			return log.Fetch(ctx, 0, 256, 300)
		}
		must := func(log ctlog.Log) *ctlog.Chunk {
			t.Helper()
			c, err := fetch(log)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		a1, a2 := must(logs[0]), must(logs[0]) // its own, and the shared one
		if _, err := fetch(logs[0]); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a third reply of one log: %v", err)
		}
		b1 := must(logs[1]) // its own, whatever the other holds
		if _, err := fetch(logs[1]); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a fourth reply: %v", err)
		}
		a2.Close()
		a2.Close() // twice is once
		b2 := must(logs[1])
		b2.Close()
		a1.Close()
		b1.Close()
		for range 10 { // nothing is lost, also by replies that are no use
			must(logs[0]).Close()
			if _, err := logs[0].Fetch(t.Context(), 299, 301, 300); err == nil {
				t.Fatal("past the tree")
			}
		}
	})
}
