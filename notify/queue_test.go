package notify

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// What became of a send is recorded however long the store takes while the daemon
// works, and for some time after it was asked to stop.
func TestRecordingContextOutlivesDaemon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(context.Background())
		rctx, done := recording(ctx)
		defer done()
		if at, ok := rctx.Deadline(); ok {
			t.Errorf("it ends at %v though the daemon works", at)
		}
		begun := time.Now()
		stop()
		if err := rctx.Err(); err != nil {
			t.Errorf("it ends with the daemon: %v", err)
		}
		<-rctx.Done()
		if took := time.Since(begun); took < recordTimeout-time.Second {
			t.Errorf("it ended %v after the daemon was asked to stop", took)
		}
	})
}
