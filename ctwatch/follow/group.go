package follow

import (
	"context"
	"log/slog"
	"reflect"
	"sync"

	"ctwatch/ctwatch"
)

// A Group follows a set of logs that changes with time.
type Group struct {
	// New makes the follower of a log. After an error the log is not followed.
	New func(ctwatch.Log) (*Follower, error)
	// OnUnfollow is called when a log is no longer followed, after its follower has
	// ended. An error ends the group. Optional.
	OnUnfollow func(context.Context, ctwatch.Log) error
	Logger     *slog.Logger // required
}

// Run follows the logs of the set that was received last until ctx ends. Then it waits for
// all followers and returns nil. A log whose facts have changed gets a new follower. The
// error of a follower, which is that of the recorder, ends the group.
func (g *Group) Run(ctx context.Context, sets <-chan []ctwatch.Log) error {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()

	type running struct {
		log  ctwatch.Log
		stop func() // returns when the follower has ended
	}
	followers := make(map[ctwatch.LogID]running)
	failed := make(chan error, 1)

	start := func(l ctwatch.Log) {
		f, err := g.New(l)
		if err != nil {
			g.Logger.Error("log is not followed", "log", l.Name, "error", err)
			return
		}
		fctx, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		all.Go(func() {
			defer close(done)
			if err := f.Run(fctx); err != nil {
				select {
				case failed <- err:
				default: // one is enough
				}
			}
		})
		followers[l.ID] = running{l, func() { stop(); <-done }}
	}

	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case logs := <-sets:
			wanted := make(map[ctwatch.LogID]bool)
			for _, l := range logs {
				wanted[l.ID] = true
				r, ok := followers[l.ID]
				if ok && reflect.DeepEqual(r.log, l) {
					continue
				}
				if ok {
					g.Logger.Info("log changed in the list", "log", l.Name)
					r.stop()
				}
				start(l)
			}
			for id, r := range followers {
				if !wanted[id] {
					g.Logger.Warn("log is no longer followed: it left the list, or its state is not chosen", "log", r.log.Name)
					r.stop()
					delete(followers, id)
					if g.OnUnfollow == nil {
						continue
					}
					if err := g.OnUnfollow(ctx, r.log); err != nil {
						return unlessEnded(ctx, err)
					}
				}
			}
		}
	}
}
