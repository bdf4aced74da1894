package follow_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/ctwatch/follow"
)

// Hooks see each entry, stage and failure once.
func TestHooksSeeEachEntryAndStageOnce(t *testing.T) {
	kinds(t, func(t *testing.T, o ctlogtest.Options) {
		r := newRig(t, o)
		r.fill(700)
		r.precert("a." + watched)
		size := r.publish().Size
		r.log.SetFault(ctlogtest.Status(503, 0).On(ctlogtest.Heads).Times(2))

		var mu sync.Mutex
		var entries, found, failed uint64
		stages := make(map[follow.Stage]int)
		reader := r.reader(r.log.Info())
		reader.Hooks = follow.Hooks{
			Batch: func(b ctwatch.Batch) {
				mu.Lock()
				defer mu.Unlock()
				entries, found = entries+b.End-b.Start, found+uint64(len(b.Found))
			},
			Took: func(s follow.Stage, d time.Duration) {
				mu.Lock()
				defer mu.Unlock()
				if d < 0 {
					t.Errorf("%s took %v", s, d)
				}
				stages[s]++
			},
			Failed: func(err error) {
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					t.Error("a failure without an error")
				}
				failed++
			},
		}
		f := follow.New(follow.Options{Reader: reader, Start: beginning, Recorder: r.db.Logs, Logger: logger(t), Now: time.Now, Poll: 20 * time.Millisecond})
		ctx, cancel := context.WithCancel(t.Context())
		r.cancel, r.done = cancel, make(chan error, 1)
		go func() { r.done <- f.Run(ctx) }()
		r.verified(size)
		r.stop()

		if entries != size || found != 1 || failed != 2 {
			t.Errorf("reported %d entries, %d found, %d failures; want %d, 1, 2", entries, found, failed, size)
		}
		for _, s := range follow.Stages() {
			if stages[s] == 0 {
				t.Errorf("stage %s was not reported", s)
			}
		}
		if n := stages[follow.StageFetch]; n != stages[follow.StageScan] || n > 10 {
			t.Errorf("%d fetches, %d scans of %d entries", n, stages[follow.StageScan], size)
		}
	})
}
