package follow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
	"ctwatch/ctwatch/scan"
)

// A Reader fetches and scans ranges of one log, several spans at once. It has no side
// effects: all that it finds out is in the batches that it yields.
type Reader struct {
	Log     ctlog.Log
	Scanner *scan.Scanner
	Logger  *slog.Logger // required
	// Pace is the one that Log was opened with. The Reader reports to it whether replies are
	// useful. While none has been for minutes, each Read requests one span once. Optional.
	Pace *ctlog.LogPace

	// Parallel is how many requests are under way at once. By default it depends on what
	// that brings: from 4 to MaxParallel, which is 64 by default and at least 16.
	Parallel    int
	MaxParallel int
	// Attempts is how often a span is requested before Read fails, with pauses that grow
	// from Pause. Only one span at a time is requested again: while it fails, others would
	// fail too. The defaults are 5 and 1 s.
	Attempts uint
	Pause    time.Duration

	// Lenient accepts entries that have another index than their place, and those before one
	// whose end cannot be found, so that nothing that can be read is missed. It must not
	// change during a Read. A Follower sets it while the log is reported for invalid replies.
	Lenient bool

	// Hooks observe the Reader, and the Follower that uses it. Optional.
	Hooks Hooks

	window window
}

// Read yields the entries [start, end) of a tree of the given size in batches, in the order
// in which they arrive. Each entry is in exactly one batch. An error comes last, and means
// that the range was not read in full; what was yielded before is valid.
func (r *Reader) Read(ctx context.Context, start, end, size uint64) iter.Seq2[ctwatch.Batch, error] {
	return func(yield func(ctwatch.Batch, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()

		batches := make(chan ctwatch.Batch)
		failed := make(chan struct{})
		var fail sync.Once
		var firstErr error

		requests, attempts := r.window.requests, r.attempts()
		if r.Parallel > 0 {
			requests = func() int { return r.Parallel }
		}
		if r.Pace.Broken() {
			requests, attempts = func() int { return 1 }, 1
		}
		t := &rangeReader{Reader: r, attempts: attempts, failed: failed, turn: make(chan struct{}, 1)}
		var workers sync.WaitGroup
		ended := make(chan struct{}, max(r.Parallel, r.MaxParallel, mostRequests))
		go func() {
			// After a failure no further spans begin and none is requested again, but
			// requests under way are finished: they may bring a match.
			defer func() { r.window.fill(false); workers.Wait(); close(batches) }()
			r.window.most = max(firstRequests, cmp.Or(r.MaxParallel, mostRequests))
			r.window.fill(true)
			running := 0
			for at := start; at < end; {
				select {
				case <-failed:
					return
				case <-ctx.Done():
					return
				default:
				}
				if running >= requests() {
					select {
					case <-ended:
						running--
					case <-failed:
					case <-ctx.Done():
					}
					continue
				}
				span := r.Log.Span()
				from, to := at, min(end, at+span-at%span)
				at = to
				running++
				workers.Go(func() {
					if err := t.span(ctx, from, to, size, batches); err != nil {
						fail.Do(func() { firstErr = err; close(failed) })
					}
					ended <- struct{}{}
				})
			}
		}()

		for b := range batches {
			if !yield(b, nil) {
				cancel()
				for range batches { // until the workers have ended
				}
				return
			}
		}
		if firstErr == nil {
			firstErr = ctx.Err()
		}
		if firstErr != nil {
			yield(ctwatch.Batch{}, firstErr)
		}
	}
}

func (r *Reader) attempts() uint {
	if r.Attempts > 0 {
		return r.Attempts
	}
	return 5
}

// A rangeReader reads the spans of one Read.
type rangeReader struct {
	*Reader
	attempts uint
	failed   <-chan struct{} // closed when the Read has failed
	turn     chan struct{}   // held by the span that is requested again
	good     atomic.Int64    // batches
}

// span reads [start, end), in as many replies as the log takes for it.
func (t *rangeReader) span(ctx context.Context, start, end, size uint64, out chan<- ctwatch.Batch) error {
	for start < end {
		b, err := t.attempt(ctx, start, end, size)
		// A reply may be invalid because of one of its entries.
		for upTo := end; err != nil && t.canNarrow(err) && upTo-start > 1; {
			upTo = start + (upTo-start)/2
			b, err = t.attempt(ctx, start, upTo, size)
		}
		if err != nil {
			return fmt.Errorf("entries [%d, %d): %w", start, end, err)
		}
		select {
		case out <- b:
		case <-ctx.Done():
			return ctx.Err()
		}
		start = b.End
	}
	return nil
}

// canNarrow reports whether a request for fewer entries may succeed after an error.
func (t *rangeReader) canNarrow(err error) bool {
	return t.Lenient && isContent(err) && t.Log.Info().Kind == ctwatch.KindRFC6962
}

// attempt reads one batch from start on, with as many attempts as allowed.
func (t *rangeReader) attempt(ctx context.Context, start, end, size uint64) (ctwatch.Batch, error) {
	b, err := t.once(ctx, start, end, size)
	if err == nil {
		t.good.Add(1)
		return b, nil
	}
	if t.Lenient && isContent(err) {
		return b, err // the next reply would be the same
	}
	good := t.good.Load()
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-t.failed:
		return b, err
	case <-ctx.Done():
		return b, ctx.Err()
	}
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval = time.Second
	if t.Pause > 0 {
		pause.InitialInterval = t.Pause
	}
	for n := uint(1); n < t.attempts; n++ {
		wait := retryAfter(err)
		if n > 1 || t.good.Load() == good { // nothing better has come meanwhile
			wait = max(wait, pause.NextBackOff())
		}
		t.Logger.Debug("will retry", "log", t.Log.Info().Name, "start", start, "end", end, "in", wait, "error", err)
		if n > 1 {
			t.Hooks.retry(start, wait, err)
		}
		if !sleep(ctx, wait) {
			return b, ctx.Err()
		}
		select {
		case <-t.failed:
			return b, err
		default:
		}
		if b, err = t.once(ctx, start, end, size); err == nil {
			t.good.Add(1)
			return b, nil
		}
		if t.Lenient && isContent(err) {
			break
		}
	}
	return b, err
}

// maxPause bounds Retry-After: an operator's mistake must not stop the watch for longer.
const maxPause = 10 * time.Minute

// retryAfter returns how long the log asks not to be requested (Retry-After).
func retryAfter(err error) time.Duration {
	var se *ctlog.StatusError
	if errors.As(err, &se) {
		return min(se.RetryAfter, maxPause)
	}
	return 0
}

func (r *Reader) once(ctx context.Context, start, end, size uint64) (ctwatch.Batch, error) {
	begun := time.Now()
	b, err := r.scan(ctx, start, end, size)
	if ctx.Err() == nil {
		r.Pace.Verdict(begun, err)
	}
	if err != nil {
		if ctx.Err() == nil && !isContent(err) {
			r.window.failed(begun)
		}
		return ctwatch.Batch{}, err
	}
	r.window.read(b.End - b.Start)
	for i := range b.Found {
		r.complete(ctx, &b.Found[i])
	}
	r.Hooks.batch(b)
	return b, nil
}

func (r *Reader) scan(ctx context.Context, start, end, size uint64) (ctwatch.Batch, error) {
	begun := time.Now()
	c, err := r.Log.Fetch(ctx, start, end, size)
	r.Hooks.took(StageFetch, begun)
	if err != nil {
		return ctwatch.Batch{}, err
	}
	c.Lenient = r.Lenient
	begun = time.Now()
	b, err := r.Scanner.Scan(c)
	r.Hooks.took(StageScan, begun)
	return b, err
}

// complete fetches the chain of a certificate that was found, if the log names it by
// fingerprints only, and proves by it who issued the certificate. The proof takes the
// issuer's certificate, and the one above if the first is a precertificate signing
// certificate; the rest of the chain may show whose key the issuer's is. An alert does not
// wait for what the log fails to serve: f is marked as incomplete.
func (r *Reader) complete(ctx context.Context, f *ctwatch.Found) {
	defer func() {
		f.Chain = slices.DeleteFunc(f.Chain, func(der []byte) bool { return len(der) > ctwatch.MaxChainCertificate })
	}()
	issuer := &f.Certificate.Issuer
	for i, fingerprint := range f.ChainFingerprints {
		if i == 2 && !issuer.Proven {
			return // further certificates do not help
		}
		der, err := r.Log.Issuer(ctx, fingerprint)
		if err != nil {
			f.Incomplete = true
			if !issuer.Proven {
				f.Certificate.Problems = append(f.Certificate.Problems, ctwatch.ProblemNoIssuer)
			}
			r.Logger.Warn("the chain of a certificate could not be fetched whole; will try again",
				"log", r.Log.Info().Name, "certificate", f.Certificate.ID, "issuer_proven", issuer.Proven, "error", err)
			return
		}
		f.Chain = append(f.Chain, der)
		if !issuer.Proven {
			scan.ProveIssuer(f, f.Chain)
		}
	}
}
