package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
)

// A part is one component of the daemon.
type part struct {
	name  string
	needs []string // parts whose work start or run uses; they start before this one
	// start makes what the part, and later ones, use. If it fails, it leaves nothing
	// behind. Optional.
	start func(context.Context) error
	// run works until its context ends, and then returns nil. Optional.
	run func(context.Context) error
	// stop releases what start made. Optional.
	stop func() error
}

// runParts starts parts one after the other, then runs all of them until ctx ends or one
// fails, and stops them in reverse order. If a part does not start, it stops those before
// it. It returns nil if ctx ends.
func runParts(ctx context.Context, parts []part) (err error) {
	var started []string
	defer func() {
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			err = nil // perhaps before all had started
		}
		for _, p := range slices.Backward(parts[:len(started)]) {
			if p.stop != nil {
				err = errors.Join(err, p.stop())
			}
		}
	}()
	for _, p := range parts {
		for _, need := range p.needs {
			if !slices.Contains(started, need) {
				return fmt.Errorf("the part %q of the daemon starts before %q, which it needs", p.name, need)
			}
		}
		if p.start != nil {
			if err := p.start(ctx); err != nil {
				return err
			}
		}
		started = append(started, p.name)
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, p := range parts {
		if p.run != nil {
			g.Go(func() error { return p.run(ctx) })
		}
	}
	return g.Wait()
}
